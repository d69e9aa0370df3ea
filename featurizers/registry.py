"""Which featurizers there are. Strings, so that listing them imports none."""

from importlib import import_module
from typing import Any

FEATURIZERS: dict[str, str] = {
    "audio_descriptors": "featurizers.audio_descriptors:AudioDescriptors",
    "mel": "featurizers.mel:Mel",
    "minilm": "featurizers.minilm:Minilm",
    "tabular": "featurizers.tabular:Tabular",
}


def featurizer(name: str, **settings: Any) -> Any:
    """The featurizer of that name.

    Raises:
        ValueError: None has that name.
    """
    if name not in FEATURIZERS:
        raise ValueError(f"unknown featurizer '{name}'; known: {', '.join(sorted(FEATURIZERS))}")
    module, made = FEATURIZERS[name].split(":")
    return getattr(import_module(module), made)(**settings)
