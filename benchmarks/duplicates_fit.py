"""Sets the limits of `featurizers/duplicates.json`: which pairs of fingerprints are believed.

    MEDIATECA_REAL_DATA=... python -m benchmarks.duplicates_fit

Half-way between the least alike copies, made in the ways named `fitted` there, and the most alike of other recordings
and pictures; of tones the former. `benchmarks.duplicates` measures on copies made in other ways.
"""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import duplicates_altered as altered
from benchmarks import real_data
from benchmarks.duplicates import as_file, heard, stretches, windows
from benchmarks.duplicates_altered import RATE_HZ
from featurizers.acoustic import chroma_frames, similarity
from featurizers.audio_fingerprint import bit_error_rate
from featurizers.duplicates import FILE
from featurizers.image_fingerprint import image_fingerprint, image_similarity

POSTERS = 80


def fit(data: Path, pieces: dict[tuple[str, int], Any], count: int) -> dict[str, Any]:
    """Limits half-way between copies and others, and how they were found."""
    dice = np.random.default_rng(7)
    pairs = {name: windows(stretch, dice) for name, stretch in pieces.items()}
    prints = {name: heard(pair[0])[0] for name, pair in pairs.items()}
    names = list(prints)
    others = [(a, b) for at, a in enumerate(names) for b in names[at + 1 :] if a[0] != b[0]]
    sound = [
        _rate(prints[name], heard(change(pair[1], dice))[0])
        for name, pair in pairs.items()
        for change in altered.SOUND_FITTED.values()
    ]
    chroma = {name: chroma_frames(pair[0], RATE_HZ) for name, pair in pairs.items()}
    speedy = {name: np.asarray(altered.faster(pair[1], 1.008), np.float32) for name, pair in pairs.items()}
    slower = [_tones(chroma[name], chroma_frames(wave, RATE_HZ)) for name, wave in speedy.items()]
    files = random.Random(8).sample(sorted((data / "posters").glob("*.jpg")), count)
    thumbs = [image_fingerprint(path.read_bytes()).thumbnail for path in files]
    copies = [
        image_similarity(thumb, image_fingerprint(as_file(change(Image.open(path).convert("RGB"), dice))).thumbnail)
        for path, thumb in zip(files, thumbs, strict=True)
        for change in altered.PICTURE_FITTED.values()
    ]
    strangers = [image_similarity(a, b) for at, a in enumerate(thumbs) for b in thumbs[at + 1 :]]
    ends = {
        "recording": (max(sound), min(_rate(prints[a], prints[b]) for a, b in others)),
        "tones": (float(np.percentile(slower, 1)), max(_tones(chroma[a], chroma[b]) for a, b in others)),
        "picture": (float(np.percentile(copies, 1)), max(strangers)),
    }
    return {
        # Of tones the least alike copy itself: generated songs over one chord sequence come as near as 0.75 (2026-11).
        "limits": {n: round(pair[0] if n == "tones" else sum(pair) / 2, 3) for n, pair in ends.items()},
        "provenance": {
            "script": "python -m benchmarks.duplicates_fit",
            "copies and others": {n: [round(v, 3) for v in pair] for n, pair in ends.items()},
            "fitted": {
                "sound": list(altered.SOUND_FITTED),
                "tones": ["0.8 % faster"],
                "picture": list(altered.PICTURE_FITTED),
            },
            "windows": len(pieces),
            "posters": len(files),
        },
    }


def _rate(mine: bytes, theirs: bytes) -> float:
    found = bit_error_rate(mine, theirs)
    return 0.5 if found is None else found[0]


def _tones(mine: Any, theirs: Any) -> float:
    found = similarity(mine, theirs)
    return 0.0 if found is None else found[0]


def main() -> None:
    """Fit, and write the file."""
    data = real_data()
    pieces = {name: piece for name, piece in stretches(data / "music-audio").items() if name[1] == 0}
    FILE.write_text(json.dumps(fit(data, pieces, POSTERS), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
