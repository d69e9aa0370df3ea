"""How alike two fingerprints must be to be believed; the numbers were fitted and stand in `duplicates.json`."""

import json
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_suffix(".json")
MOST_CANDIDATES = 16
"""Of those that share a key with a fingerprint, so many are compared with it: those that share the most."""


class Limits(NamedTuple):
    """Which pairs are believed."""

    recording: float  # at most so large a share of the bits of two audio fingerprints differs
    picture: float  # at least so large is the correlation of two thumbnails
    tones: float  # at least so large is the chroma similarity of two windows


@lru_cache(maxsize=1)
def limits() -> Limits:
    """The fitted limits; `python -m benchmarks.duplicates_fit` makes them anew."""
    said = json.loads(FILE.read_text(encoding="utf-8"))
    return Limits(**{name: float(said["limits"][name]) for name in Limits._fields})
