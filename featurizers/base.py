"""What every featurizer is: a batch of inputs to arrays, the same alone or in a batch, without I/O."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from storage.lazy import np
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray


Input = TypeVar("Input", contravariant=True)


class NoWeights(Exception):
    """The encoder's weights are not at hand; the message says how to get them."""


class NoDevice(RuntimeError):
    """This machine cannot run the encoder as it was asked to; the message says what to write."""


class MediaError(Exception):
    """A picture or recording cannot be used; `reason` can be counted, `detail` is for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        """`detail` names the value that was found and what was expected."""
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[MediaError], tuple[Reason, str]]:
        """Whole again after the way out of a worker process."""
        return type(self), (self.reason, self.detail)


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What one item's array is."""

    shape: tuple[int, ...]  # without the batch axis: (384,)
    dtype: str  # "float32"
    unit: str  # "unit-norm", "z-score or 0/1"
    mixed: bool = False  # cells of several units: no distance as they are


@dataclass(frozen=True, kw_only=True)
class FeatureBatch:
    """Arrays of one batch, in the order of the inputs."""

    values: NDArray[Any]  # (B, *spec.shape); zeros where errors[i] is not None
    errors: tuple[str | None, ...]  # a `storage.reasons.Reason` per item that has no value; length B
    mask: NDArray[np.bool_] | None = None  # (B, *spec.shape); False: not observed, the value stands in for it


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantisedMel:
    """A log-Mel spectrogram as bytes: q / 255 is its min-max view in [0, 1]."""

    q: NDArray[np.uint8]  # (128, n_frames): Mel band, frame
    db_lo: float  # what 0 stands for
    db_hi: float  # what 255 stands for


@dataclass(frozen=True, kw_only=True)
class MelBatch:
    """Spectrograms of one batch, in the order of the inputs; their lengths differ."""

    values: tuple[QuantisedMel | None, ...]  # None where errors[i] is not
    errors: tuple[str | None, ...]  # a `storage.reasons.Reason` per clip that has no value


class Featurizer(Protocol[Input]):
    """A frozen function from inputs to arrays."""

    name: ClassVar[str]

    @property
    def version(self) -> str:
        """Raised whenever an output byte may change; holds the digest of weights or fit."""
        ...

    @property
    def spec(self) -> FeatureSpec:
        """Shape, type and unit of one item's array."""
        ...

    def __call__(self, batch: Sequence[Input]) -> FeatureBatch:
        """One array per input, in order."""
        ...
