"""Which featurizers there are. Strings, so that listing them imports none."""

from importlib import import_module
from typing import Any

from featurizers.base import FeatureSpec, NoWeights
from featurizers.encoders import PLANNED, known, with_defaults

FEATURIZERS: dict[str, str] = {
    "audio_descriptors": "featurizers.audio_descriptors:AudioDescriptors",
    "image_descriptors": "featurizers.image_descriptors:ImageDescriptors",
    "mel": "featurizers.mel:Mel",
    "tabular": "featurizers.tabular:Tabular",
}
"""Those that need no weights; encoders are data (`featurizers.encoders`)."""
_FAMILIES = {
    "text": "featurizers.hf_text:HfText",
    "image": "featurizers.hf_vision:HfVision",
    "audio": "featurizers.hf_audio:HfAudio",
}


def spec_of(name: str) -> FeatureSpec | None:
    """What the featurizer's arrays are, where that does not depend on its settings or fit."""
    if encoder := known().get(name):
        unit = "unit-norm" if encoder.settings.get("normalise") else "activation"
        return FeatureSpec(shape=(encoder.dimension,), dtype="float32", unit=unit)
    if name not in FEATURIZERS:
        return None
    spec = getattr(_loaded(FEATURIZERS[name]), "spec", None)
    return spec if isinstance(spec, FeatureSpec) else None


def featurizer(name: str, /, **settings: Any) -> Any:
    """The featurizer of that name; an encoder as it is known, but for what `settings` say otherwise.

    Raises:
        ValueError: None has that name, and `settings` do not say what it is.
        NoWeights: It is one that comes later.
    """
    if name in PLANNED:
        raise NoWeights(PLANNED[name])
    if name in FEATURIZERS:
        return _loaded(FEATURIZERS[name])(**settings)
    said = with_defaults(name, settings)
    if said.get("family") not in _FAMILIES:
        raise ValueError(f"unknown featurizer '{name}'; known: {', '.join(sorted([*FEATURIZERS, *known()]))}")
    return _loaded(_FAMILIES[said.pop("family")])(**{"name": name, **said})


def cells_of(name: str) -> tuple[tuple[str, str], ...]:
    """Name and unit of each number of the featurizer's vectors, where they have names that no fit decides."""
    if name not in FEATURIZERS:
        return ()
    module = import_module(FEATURIZERS[name].split(":")[0])
    names = getattr(module, "NAMES", ())
    return tuple(zip(names, getattr(module, "UNITS", ("",) * len(names)), strict=True))


def _loaded(where: str) -> Any:
    module, made = where.split(":")
    return getattr(import_module(module), made)
