"""What a catalogue says of an encoder: which weights, and how it is run."""

import re
from collections.abc import Mapping
from typing import Any, Literal, Self, cast

from pydantic import Field, model_validator

from featurizers.encoders import PLANNED, PRECISIONS, Family, Precision, by_model, known, with_defaults
from featurizers.registry import FEATURIZERS
from featurizers.weights import Weights
from tasks.settings_base import Strict, nearest

NAME = "name"  # of the feature; put in by the catalogue, which knows it
_NAME = re.compile(r"[a-z][a-z0-9_]*")
STAGES = frozenset(
    "audio duplicates entities images index ingest items links lookalikes lyrics release report texts users "
    "validate".split()
)
"""Names of stages that are no featurizers: a plan, and what ran, is told by them."""
DEVICE = r"^(cpu|mps|cuda(:\d+)?)$"
# Settings that one family alone has, and what the families read.
_OWN: dict[Family, tuple[str, ...]] = {
    "text": ("max_tokens", "overflow", "prompt", "batch_tokens"),
    "audio": ("piece_s",),
}
_READS = {"text": "documents", "image": "pictures", "audio": "recordings"}


class EncoderSettings(Strict):
    """An encoder of the Hugging Face hub; a known one (`featurizers/encoders.toml`) needs no word."""

    name: str
    family: Family  # what it reads: the documents, the pictures, or the recordings
    model: str = Field(min_length=1)  # a name of the hub, or a folder that begins with `/`, `.` or `~`
    revision: str | None = None  # commit on the hub; None: the known one, or a folder
    architecture: str = Field(default="AutoModel", pattern=r"^[A-Z]\w*$")  # class of the transformers library
    pooling: Literal["cls", "mean", "last", "pooler", "projection"] = "mean"
    layer: int = -1  # whose output is pooled; -1: the last, 0: the embeddings
    normalise: bool = False  # to length 1
    batch_size: int = Field(default=32, ge=1)  # inputs per forward pass, at most
    device: str = Field(default="cpu", pattern=DEVICE)
    precision: Precision | None = None  # of the computation; None: bf16 on a GPU, else fp32
    compile: bool = False  # on a GPU, by torch: the first batches take minutes, the others less
    # Of texts:
    max_tokens: int = Field(default=512, ge=8)  # word pieces read of each document
    overflow: Literal["cut", "chunk"] = "cut"  # what is longer: left out, or read in pieces that are averaged
    prompt: str = ""  # stands before every text
    # Word pieces per forward pass with padding, at most; None: what suits the device.
    batch_tokens: int | None = Field(default=None, ge=8)
    # Of recordings:
    piece_s: float | None = Field(
        default=None, ge=1, allow_inf_nan=False
    )  # seconds read at once; None: as much as the model takes

    @model_validator(mode="before")
    @classmethod
    def _as_known(cls, said: Any) -> Any:
        if not isinstance(said, Mapping):
            raise ValueError("expected keys and values, such as `{precision: bf16}`, or `{}` for the usual ones")
        said = cast("Mapping[str, Any]", said)
        name = said[NAME]
        if not _NAME.fullmatch(name) or "__" in name:
            raise ValueError(f"featurizer '{name}': a name is lower-case letters, digits and single _")
        if name in STAGES:
            raise ValueError(f"featurizer '{name}': another stage has that name; take one of your own")
        if name in PLANNED:
            raise ValueError(PLANNED[name])
        if name not in known() and not {"family", "model"} & said.keys():
            names = sorted([*FEATURIZERS, *known()])
            raise ValueError(
                f"unknown featurizer '{name}'; {nearest(name, names)}known: {', '.join(names)}; "
                "an encoder of your own says `family`, `model` and `revision`"
            )
        return with_defaults(name, said)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        Weights(self.model, self.revision)
        if self.name in known() and self.family != (meant := known()[self.name].family):
            raise ValueError(f"'{self.name}' reads {_READS[meant]}; take a name of your own for an encoder of another")
        if self.pooling in ("pooler", "projection") and self.layer != -1:
            raise ValueError(f"the {self.pooling} is of the last layer; leave `layer` out, or pool by cls, mean, last")
        usual = known()[self.name].settings.get("normalise", False) if self.name in known() else self.normalise
        if self.normalise != usual:  # checks, maps and indexes know by the name whether lengths are 1
            raise ValueError(
                f"`normalise` of '{self.name}' is {str(usual).lower()}; take a name of your own for another"
            )
        for family, keys in _OWN.items():
            odd = [key for key in keys if getattr(self, key) != type(self).model_fields[key].default]
            if self.family != family and odd:
                said = f"`{odd[0]}` is of encoders of {_READS[family]}; '{self.name}' reads {_READS[self.family]}"
                raise ValueError(said)
        self._check_precision()
        if self.compile and not self.device.startswith("cuda"):
            raise ValueError(f"`compile` is of GPUs, and the device is '{self.device}'; leave it out, or write cuda")
        return self

    def _check_precision(self) -> None:
        encoder = by_model(self.model)
        offered = encoder.precisions if encoder else PRECISIONS
        if self.precision is not None and self.precision not in offered:
            raise ValueError(
                f"`precision: {self.precision}` is not offered for {self.model}, whose vectors are not known to keep "
                f"their neighbours in it; write one of {', '.join(offered)}"
            )
        if self.precision == "int8" and self.device != "cpu":
            raise ValueError(f"`precision: int8` is of CPUs, and the device is '{self.device}'; write bf16")

    @property
    def arguments(self) -> dict[str, Any]:
        """What `featurizers.registry.featurizer` takes."""
        others = {key for family, keys in _OWN.items() if family != self.family for key in keys}
        return self.model_dump(exclude=others)
