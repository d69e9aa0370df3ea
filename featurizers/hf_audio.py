"""Audio encoders of the Hugging Face hub, frozen: one vector per recording."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from featurizers.base import FeatureBatch, MediaError
from featurizers.hf import HfEncoder, ahead, as_float32
from featurizers.hf_waves import Preparation, decode_clip, preparation
from featurizers.weights import weights_folder
from storage.lazy import np
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What MERT's own code does beyond HuBERT's, by its configuration; MERT-v1-95M has neither (config.json at the pinned
# commit). Loaded as HuBERT with one of them, it would give other numbers without a word.
_BEYOND_HUBERT = ("feature_extractor_cqt", "deepnorm")


class HfAudio(HfEncoder):
    """An encoder over windows of recordings, prepared as its own feature extractor would.

    A clip longer than the model takes, or than `piece_s`, is read in pieces of one length whose vectors are averaged.
    Only pieces of one length share a batch: HuBERT's first GroupNorm is over time, so padding would change a vector.
    """

    code_version: ClassVar[str] = "audio1"
    _tower: ClassVar[str] = "audio_config"

    def __init__(self, *, bandlimited: bool = True, piece_s: float | None = None, **settings: Any) -> None:
        """`settings` are those of `HfEncoder`.

        Args:
            bandlimited: Its inputs are the clips at 22,050 Hz, else the windows at the recordings' own rates. No
                vector of the one is comparable with one of the other, so it is part of the version.
            piece_s: Seconds that the model reads at once, at most; None: all that it takes.
            **settings: See there.
        """
        super().__init__(**settings)
        self._bandlimited = bandlimited
        self._piece_s = piece_s

    @property
    def version(self) -> str:
        """That of `HfEncoder`, with `bandlimited` or `native` in it."""
        code, _, rest = super().version.partition("-")
        return f"{code}-{'bandlimited' if self._bandlimited else 'native'}-{rest}"

    def _changes_bytes(self) -> list[Any]:
        return [*super()._changes_bytes(), self._piece_s]

    @cached_property
    def preparation(self) -> Preparation:
        """What the feature extractor beside the weights does.

        Raises:
            ValueError: It is none that is known, or takes less than `piece_s` at once.
        """
        from transformers import AutoFeatureExtractor

        folder = weights_folder(self._weights)
        with self.loading():
            extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        found = preparation(extractor)
        most = found.longest and found.longest / found.rate_hz
        if most and self._piece_s and self._piece_s > most:
            raise ValueError(f"{self.name}: piece_s {self._piece_s:g}; {self._weights.model} takes {most:g} s at once")
        return found

    @cached_property
    def model(self) -> Any:
        """As in `HfEncoder`.

        Raises:
            ValueError: Also where MERT is one that is more than a HuBERT.
        """
        config = self.config()
        if odd := [key for key in _BEYOND_HUBERT if config.get(key)]:
            raise ValueError(
                f"{self.name}: {self._weights.model} has `{odd[0]}`, which is code of its own; none is run"
            )
        return super().model

    def __call__(self, batch: Sequence[bytes]) -> FeatureBatch:
        """Vectors of shape (B, D) of FLAC files; one that cannot be used has a reason.

        Raises:
            NoWeights: The weights are not here.
        """
        values = np.zeros((len(batch), *self.spec.shape), np.float32)
        errors: list[str | None] = [None] * len(batch)
        _ = self.preparation if batch else None  # once, before there are threads
        for start, prepared in ahead(self._prepared, batch, self._batch_size):
            pieces: list[tuple[int, NDArray[np.float32]]] = []
            for i, found in enumerate(prepared, start):
                if isinstance(found, MediaError):
                    errors[i] = found.reason.value
                else:
                    pieces += ((i, piece) for piece in found)
            for i in self._add(values, pieces):
                errors[i] = Reason.INTERNAL_ERROR.value
        return FeatureBatch(values=self.finished(values, errors), errors=tuple(errors))

    def _add(self, values: NDArray[np.float32], pieces: list[tuple[int, NDArray[np.float32]]]) -> list[int]:
        """The mean of each clip's pieces into its row of `values`; the rows that do not fit into memory."""
        rows, lost = np.array([row for row, _ in pieces], np.int64), list[int]()
        vectors = np.zeros((len(pieces), values.shape[1]), np.float32)
        order = sorted(range(len(pieces)), key=lambda at: pieces[at][1].shape)
        for _, same in groupby(order, key=lambda at: pieces[at][1].shape):
            encode = lambda part: self._encode([pieces[at][1] for at in part])  # noqa: E731
            lost += self.fill(vectors, list(same), encode, self._batch_size)
        np.add.at(values, rows, vectors)
        for row, count in zip(*np.unique(rows, return_counts=True), strict=True):
            values[row] /= count
        values[rows[lost]] = 0
        return rows[lost].tolist()

    def _prepared(self, data: bytes) -> list[NDArray[np.float32]] | MediaError:
        """The pieces of one clip as the model's inputs, or why there are none."""
        try:
            wave = decode_clip(data, self.preparation.rate_hz, bandlimited=self._bandlimited)
        except MediaError as exc:
            return exc
        return [self.preparation.apply(piece) for piece in self.preparation.pieces(wave, self._piece_s)]

    def _encode(self, pieces: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        import torch

        tensor = torch.from_numpy(np.stack(pieces))
        if self._device.startswith("cuda"):
            tensor = tensor.pin_memory()
        output = self.run(**{self.preparation.argument: tensor.to(self.model.dtype)})
        if self._pooling in ("pooler", "projection"):
            return as_float32(self.pooler(output))
        hidden = self.layer(output)
        if hidden.ndim == 4:  # CLAP's places: (B, D, H, W)
            if self._pooling != "mean":
                odd = f"{self.name}: {self._weights.model} has no {self._pooling} place"
                raise ValueError(f"{odd}; write `pooling: mean` or `projection`")
            return as_float32(hidden.mean((2, 3)))
        return as_float32({"cls": hidden[:, 0], "last": hidden[:, -1], "mean": hidden.mean(1)}[self._pooling])
