"""What a catalogue says of an encoder: which weights, and how it is run."""

import re
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from featurizers.encoders import Family, known, with_defaults
from featurizers.registry import FEATURIZERS
from featurizers.weights import Weights
from tasks.settings_base import Strict, nearest

NAME = "name"  # of the feature; put in by the catalogue, which knows it
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_OF_TEXTS = ("max_tokens", "overflow", "prompt", "batch_tokens")


class EncoderSettings(Strict):
    """An encoder of the Hugging Face hub; a known one (`featurizers/encoders.toml`) needs no word."""

    name: str
    family: Family  # what it reads: the documents, or the pictures
    model: str = Field(min_length=1)  # a name of the hub, or a folder that begins with `/`, `.` or `~`
    revision: str | None = None  # commit on the hub; None: the known one, or a folder
    architecture: str = Field(default="AutoModel", pattern=r"^[A-Z]\w*$")  # class of the transformers library
    pooling: Literal["cls", "mean", "last", "pooler", "projection"] = "mean"
    layer: int = -1  # whose output is pooled; -1: the last, 0: the embeddings
    normalise: bool = False  # to length 1
    batch_size: int = Field(default=32, ge=1)  # inputs per forward pass, at most
    device: str = Field(default="cpu", pattern=r"^(cpu|mps|cuda(:\d+)?)$")
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    # Of texts:
    max_tokens: int = Field(default=512, ge=8)  # word pieces read of each document
    overflow: Literal["cut", "chunk"] = "cut"  # what is longer: left out, or read in pieces that are averaged
    prompt: str = ""  # stands before every text
    batch_tokens: int = Field(default=8_192, ge=8)  # word pieces per forward pass with padding, at most

    @model_validator(mode="before")
    @classmethod
    def _as_known(cls, said: Any) -> Any:
        name = said[NAME]
        if not _NAME.fullmatch(name):
            raise ValueError(f"featurizer '{name}': a name is lower-case letters, digits and _")
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
        if self.pooling in ("pooler", "projection") and self.layer != -1:
            raise ValueError(f"the {self.pooling} is of the last layer; leave `layer` out, or pool by cls, mean, last")
        usual = known()[self.name].settings.get("normalise", False) if self.name in known() else self.normalise
        if self.normalise != usual:  # checks, maps and indexes know by the name whether lengths are 1
            raise ValueError(
                f"`normalise` of '{self.name}' is {str(usual).lower()}; take a name of your own for another"
            )
        odd = [key for key in _OF_TEXTS if key in self.model_fields_set]
        if self.family != "text" and odd:
            raise ValueError(f"`{odd[0]}` is of encoders of texts; '{self.name}' reads pictures")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """What `featurizers.registry.featurizer` takes."""
        return self.model_dump(exclude=set(() if self.family == "text" else _OF_TEXTS))
