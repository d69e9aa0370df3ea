"""Text encoders of the Hugging Face hub, frozen: one vector per text."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from featurizers.base import FeatureBatch
from featurizers.hf import HfEncoder, as_float32
from featurizers.weights import weights_folder
from storage.lazy import np
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

Overflow = Literal["cut", "chunk"]
_CPU_TOKENS, _GPU_TOKENS = 1_024, 16_384
"""Word pieces per forward pass. On CPU what lies between two layers then stays in its caches: 8,192 took 1.5 times the
CPU seconds in fp32 and twice in int8 (all-MiniLM-L6-v2, two cores with 1 MB each)."""
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
MOST_CHUNKS = 64  # of one text; a book is no document of an item


class HfText(HfEncoder):
    """An encoder over word pieces.

    Texts of like length share a batch of at most `batch_tokens` word pieces with padding. What is longer than
    `max_tokens` is cut, or (`overflow: chunk`) read in pieces whose vectors are averaged by their number of tokens.
    """

    code_version: ClassVar[str] = "text2"
    _tower: ClassVar[str] = "text_config"

    def __init__(
        self,
        *,
        max_tokens: int = 512,
        overflow: Overflow = "cut",
        prompt: str = "",
        batch_tokens: int | None = None,
        **settings: Any,
    ) -> None:
        """`settings` are those of `HfEncoder`; `prompt` stands before every text, as some encoders were trained.

        `batch_tokens` None is what suits the device.
        """
        super().__init__(**settings)
        self._positions: int | None = None  # of tokens; found when the model is loaded
        self._max_tokens = max_tokens
        self._overflow: Overflow = overflow
        self._prompt = prompt
        self._batch_tokens = batch_tokens or (_GPU_TOKENS if self._device.startswith("cuda") else _CPU_TOKENS)

    def _changes_bytes(self) -> list[Any]:
        return [*super()._changes_bytes(), self._max_tokens, self._overflow, self._prompt]

    def _check_tower(self, model: Any) -> None:
        super()._check_tower(model)
        config = getattr(model.config, self._tower, model.config)
        most = getattr(config, "max_position_embeddings", None)
        self._positions = most if most is not None and most > 0 else None  # XLNet's -1: as many as there are
        # RoBERTa and MPNet number theirs from behind that of padding.
        for name, table in model.named_modules():
            padding = getattr(table, "padding_idx", None) if name.endswith("position_embeddings") else None
            if self._positions is not None and padding is not None:
                self._positions -= padding + 1

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer beside the weights.

        Raises:
            ValueError: It is not there, cannot pad, or `max_tokens` is more than the model has positions for, or than
                the prompt leaves.
        """
        from transformers import AutoTokenizer

        folder = weights_folder(self._weights)
        # transformers 5 makes a tokenizer without a word from nothing, and every text is [UNK].
        if not any(path for pattern in _VOCABULARIES for path in folder.glob(pattern)):
            raise ValueError(f"{self.name}: {folder} has none of {', '.join(_VOCABULARIES)}; save the tokenizer there")
        with self.loading():
            found = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _ = self.model
        if self._positions is not None and self._max_tokens > self._positions:
            has = f"{self._weights.model} has {self._positions} positions"
            raise ValueError(f"{self.name}: max_tokens {self._max_tokens}; {has}")
        if found.pad_token is None:
            raise ValueError(f"{self.name}: the tokenizer of {self._weights.model} has no padding token")
        before = len(found(self._prompt)["input_ids"])
        if self._prompt and before >= self._max_tokens:
            raise ValueError(f"{self.name}: `prompt` takes {before} of max_tokens {self._max_tokens}; no text is left")
        found.padding_side = "right"
        return found

    def __call__(self, batch: Sequence[str]) -> FeatureBatch:
        """Vectors of shape (B, D); an empty text has the reason `empty`, one that gives no numbers `not_finite`.

        Raises:
            NoWeights: The weights are not here.
        """
        errors = [None if text.strip() else Reason.EMPTY.value for text in batch]
        values = np.zeros((len(batch), *self.spec.shape), np.float32)
        full = [i for i, error in enumerate(errors) if error is None]
        if full:
            pieces, of = self._pieces([self._prompt + batch[i] for i in full])
            found, lost = self._vectors(pieces)
            weight = np.array([len(piece) for piece in pieces], np.float32)
            sums = np.zeros((len(full), values.shape[1]), np.float32)
            np.add.at(sums, of, found * weight[:, None])
            values[full] = sums / np.bincount(of, weight)[:, None].astype(np.float32)
            for i in of[lost]:
                values[full[i]], errors[full[i]] = 0, Reason.INTERNAL_ERROR.value
        return FeatureBatch(values=self.finished(values, errors), errors=tuple(errors))

    def _pieces(self, texts: list[str]) -> tuple[list[list[int]], NDArray[np.intp]]:
        """Token ids of each piece of at most `max_tokens`, and which text it is of."""
        chunks = self._overflow == "chunk"
        more: dict[str, Any] = {"return_overflowing_tokens": True} if chunks else {}
        more |= {"return_attention_mask": False, "return_token_type_ids": False}
        found = self.tokenizer(texts, truncation=True, max_length=self._max_tokens, **more)
        ids: list[list[int]] = found["input_ids"]
        of = np.array(found["overflow_to_sample_mapping"] if chunks else range(len(ids)), np.intp)
        # Pieces of one text follow each other: a piece's number is its place behind the first of its text.
        number = np.arange(len(of)) - np.searchsorted(of, of)
        kept = np.flatnonzero(number < MOST_CHUNKS)
        return [ids[i] for i in kept], of[kept]

    def _vectors(self, pieces: list[list[int]]) -> tuple[NDArray[np.float32], list[int]]:
        """One per piece, (P, D), and the pieces that do not fit into memory."""
        lost: list[int] = []
        values = np.zeros((len(pieces), *self.spec.shape), np.float32)
        # Longest first: what does not fit in memory shows at once.
        order = sorted(range(len(pieces)), key=lambda i: len(pieces[i]), reverse=True)
        for rows in self._batches(pieces, order):
            lost += self.fill(values, rows, lambda part: self._encode([pieces[i] for i in part]), len(rows))
        return values, lost

    def _batches(self, pieces: list[list[int]], order: list[int]) -> Iterator[list[int]]:
        start = 0
        while start < len(order):
            longest = len(pieces[order[start]])
            part = order[start : start + max(1, min(self._batch_size, self._batch_tokens // max(1, longest)))]
            # Padding moves the last digits of attention, and rounding makes levels of them.
            if self._precision == "int8":
                part = [i for i in part if len(pieces[i]) == longest]
            yield part
            start += len(part)

    def _encode(self, pieces: list[list[int]]) -> NDArray[np.float32]:
        """Vectors of one batch, (B, D), in float32."""
        import torch

        tokens = self.tokenizer.pad({"input_ids": pieces}, return_tensors="pt")
        if self._device.startswith("cuda"):
            tokens = {name: tensor.pin_memory() for name, tensor in tokens.items()}
        output = self.run(**tokens)
        if self._pooling in ("pooler", "projection"):
            return as_float32(self.pooler(output))
        hidden = self.layer(output)
        seen = tokens["attention_mask"].to(hidden.device)
        if self._pooling == "cls":
            return as_float32(hidden[:, 0])
        if self._pooling == "last":
            return as_float32(hidden[torch.arange(len(pieces), device=hidden.device), seen.sum(1) - 1])
        weight = seen[:, :, None].float()  # padding must not weigh
        return as_float32((hidden * weight).sum(1) / weight.sum(1))
