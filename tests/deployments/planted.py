"""A catalogue in which order tells all: after each song comes the next one of a ring, nine times in ten.

Whoever counts what is met together learns little, as in time every listener meets every song: it takes a model that
reads histories in their order.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml

LISTENERS, PLAYS, SONGS = 36, 50, 60
RECIPE = {
    "recipe": "ring",
    "events": "play",
    "items": "track",
    "protocol": {"protocol": "temporal", "per_user": 20},
    "model": "two_tower",
    "settings": {
        "dimension": 16,
        "pooling": "gru",
        "history_length": 4,
        "batch_size": 64,
        "dropout": 0.0,
        "id_dropout": 0.0,
        "loop": {"epochs": 3, "learning_rate": 0.01},
    },
    "baselines": {"most_popular": {}, "repeat_last": {}, "user_knn": {}, "item_knn": {"decay": 0.8}},
}


def plant(folder: Path) -> Path:
    """The catalogue's file in a folder, with plays and recipes beside it.

    Of three recipes the first is not there, the second finds nothing to learn from, the third wins.
    """
    data = folder / "plays"
    data.mkdir(parents=True)
    (data / "userid-timestamp-artid-artname-traid-traname.tsv").write_text("\n".join(_plays()) + "\n")
    _write(folder / "rated.yaml", RECIPE | {"recipe": "rated", "events": "rating", "protocol": {"protocol": "loo"}})
    _write(folder / "ring.yaml", RECIPE)
    return _write(
        folder / "planted.yaml",
        {
            "catalogue": "planted",
            "sources": {"lastfm": {"connector": "lastfm_1k", "path": str(data)}},
            "training": {"recipes": [str(folder / f"{name}.yaml") for name in ("gone", "rated", "ring")]},
        },
    )


def _write(file: Path, said: Mapping[str, Any]) -> Path:
    file.write_text(yaml.safe_dump(dict(said), sort_keys=False))
    return file


def _plays() -> list[str]:
    dice, began, rows = np.random.default_rng(0), datetime(2020, 1, 1, tzinfo=UTC), list[str]()
    for listener in range(LISTENERS):
        song = int(dice.integers(SONGS))
        for play in range(PLAYS):
            at = began + timedelta(hours=play * LISTENERS + listener)
            rows.append(f"user_{listener:06d}\t{at:%Y-%m-%dT%H:%M:%SZ}\t\tBand {song:02d}\t\tSong {song:02d}")
            song = (song + 1) % SONGS if dice.random() < 0.9 else int(dice.integers(SONGS))
    return rows
