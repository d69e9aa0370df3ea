"""Text encoders of the Hugging Face hub, frozen: one vector per text."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from featurizers.base import FeatureBatch
from featurizers.hf import HfEncoder, as_float32
from featurizers.weights import weights_folder
from storage.lazy import np
from storage.reasons import Reason


class HfText(HfEncoder):
    """An encoder over word pieces; texts are cut at `max_tokens` of them."""

    code_version: ClassVar[str] = "1"

    def __init__(self, *, max_tokens: int = 512, **settings: Any) -> None:
        """`settings` are those of `HfEncoder`."""
        super().__init__(**settings)
        self._max_tokens = max_tokens

    @property
    def version(self) -> str:
        """With the number of tokens read."""
        return f"{self._max_tokens}-{super().version}"

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer beside the weights.

        Raises:
            ValueError: It cannot pad, or `max_tokens` is more than the model has positions for.
        """
        from transformers import AutoTokenizer

        found = AutoTokenizer.from_pretrained(
            weights_folder(self._weights), local_files_only=True, trust_remote_code=False
        )
        most = getattr(self.model.config, "max_position_embeddings", None)
        if most is not None and self._max_tokens > most:
            raise ValueError(f"{self.name}: max_tokens {self._max_tokens}; {self._weights.model} has {most} positions")
        if found.pad_token is None:
            raise ValueError(f"{self.name}: the tokenizer of {self._weights.model} has no padding token")
        return found

    def __call__(self, batch: Sequence[str]) -> FeatureBatch:
        """Vectors of shape (B, D); an empty text has the reason `empty`.

        Raises:
            NoWeights: The weights are not here.
        """
        errors = tuple(None if text.strip() else Reason.EMPTY.value for text in batch)
        values = np.zeros((len(batch), *self.spec.shape), np.float32)
        full = [i for i, error in enumerate(errors) if error is None]
        # Longest first: texts of like length share a batch, and what does not fit in memory shows at once.
        full.sort(key=lambda i: len(batch[i]), reverse=True)
        for start in range(0, len(full), self._batch_size):
            rows = full[start : start + self._batch_size]
            values[rows] = self._encode([batch[i] for i in rows])
        return FeatureBatch(values=values, errors=errors)

    def _encode(self, texts: list[str]) -> Any:
        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt")
        output = self.run(**tokens)
        if self._pooling == "pooler":
            return as_float32(self.pooler(output))
        hidden = output.last_hidden_state.float()
        if self._pooling == "cls":
            return as_float32(hidden[:, 0])
        seen = tokens["attention_mask"].to(hidden.device)[:, :, None].float()  # padding must not weigh
        return as_float32((hidden * seen).sum(1) / seen.sum(1))


class Bert(HfText):
    """BERT base, uncased: the mean over the word pieces of a text."""

    name: ClassVar[str] = "bert"

    def __init__(self, *, model: str = "google-bert/bert-base-uncased", pooling: Any = "mean", **settings: Any) -> None:
        """`settings` are those of `HfText`."""
        super().__init__(model=model, pooling=pooling, **settings)
