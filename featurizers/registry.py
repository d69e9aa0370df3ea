"""Which featurizers there are. Strings, so that listing them imports none."""

from importlib import import_module
from typing import Any

from featurizers.base import FeatureSpec

FEATURIZERS: dict[str, str] = {
    "audio_descriptors": "featurizers.audio_descriptors:AudioDescriptors",
    "bert": "featurizers.hf_text:Bert",
    "image_descriptors": "featurizers.image_descriptors:ImageDescriptors",
    "mel": "featurizers.mel:Mel",
    "minilm": "featurizers.minilm:Minilm",
    "resnet18": "featurizers.hf_vision:Resnet18",
    "tabular": "featurizers.tabular:Tabular",
}


def spec_of(name: str) -> FeatureSpec | None:
    """What the featurizer's arrays are, where that does not depend on its settings or fit."""
    if name not in FEATURIZERS:
        return None
    module, made = FEATURIZERS[name].split(":")
    spec = getattr(getattr(import_module(module), made), "spec", None)
    return spec if isinstance(spec, FeatureSpec) else None


def featurizer(name: str, **settings: Any) -> Any:
    """The featurizer of that name.

    Raises:
        ValueError: None has that name.
    """
    if name not in FEATURIZERS:
        raise ValueError(f"unknown featurizer '{name}'; known: {', '.join(sorted(FEATURIZERS))}")
    module, made = FEATURIZERS[name].split(":")
    return getattr(import_module(module), made)(**settings)


def cells_of(name: str) -> tuple[tuple[str, str], ...]:
    """Name and unit of each number of the featurizer's vectors, where they have names that no fit decides."""
    if name not in FEATURIZERS:
        return ()
    module = import_module(FEATURIZERS[name].split(":")[0])
    names = getattr(module, "NAMES", ())
    return tuple(zip(names, getattr(module, "UNITS", ("",) * len(names)), strict=True))
