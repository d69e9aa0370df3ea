"""Small datasets for tests of training."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.data import NO_TIME, Dataset, Events


def dataset(*histories: Sequence[int], times: Sequence[Sequence[int]] | None = None, **more: Any) -> Dataset:
    """A dataset of these histories; `times` in milliseconds beside them."""
    rows = [np.asarray(row, np.int32) for row in histories]
    item = np.concatenate(rows)
    at = np.concatenate([np.asarray(row, np.int64) for row in times]) if times else np.full(len(item), NO_TIME)
    given = {"item_ids": tuple(f"i{n:03d}" for n in range(item.max() + 1))} | more
    return Dataset(
        name="toy",
        user_ids=tuple(f"u{n:03d}" for n in range(len(rows))),
        events=Events(
            user=np.repeat(np.arange(len(rows)), [len(row) for row in rows]).astype(np.int32),
            item=item,
            at=at,
            value=more.pop("value", np.full(len(item), np.nan, np.float32)),
        ),
        **{name: value for name, value in given.items() if name != "value"},
    )


def lists(ragged: Any) -> list[list[int]]:
    """Rows as plain lists."""
    return [row.tolist() for row in ragged]
