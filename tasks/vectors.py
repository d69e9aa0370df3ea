"""A featurizer's arrays as rows of its table."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from featurizers.base import FeatureBatch, MelBatch
from storage.lazy import np, pa
from storage.reasons import Reason
from storage.schemas import ATTEMPT_COLUMNS, table_of


def vectors_table(name: str, rows: pa.Table, batch: FeatureBatch) -> pa.Table:
    """A featurizer's vectors as rows of its table."""
    n, width = batch.values.shape
    missing = np.array([error is not None for error in batch.errors], bool)
    columns = {"value": _lists(batch.values.astype(np.float32).reshape(-1), n, width, missing, pa.float32())}
    if batch.mask is not None:
        columns["mask"] = _lists(batch.mask.reshape(-1), n, width, missing, pa.bool_())
    return _feature_rows(name, rows, columns, batch.errors)


def mels_table(name: str, rows: pa.Table, batch: MelBatch) -> pa.Table:
    """Spectrograms as rows of their table."""
    columns = {
        "value": pa.array([None if mel is None else mel.q.tobytes() for mel in batch.values], pa.binary()),
        "bands": pa.array([None if mel is None else mel.q.shape[0] for mel in batch.values], pa.int32()),
        "frames": pa.array([None if mel is None else mel.q.shape[1] for mel in batch.values], pa.int32()),
        "db_lo": pa.array([None if mel is None else mel.db_lo for mel in batch.values], pa.float64()),
        "db_hi": pa.array([None if mel is None else mel.db_hi for mel in batch.values], pa.float64()),
    }
    return _feature_rows(name, rows, columns, batch.errors)


def reasons_table(name: str, rows: pa.Table, reason: Reason, detail: str) -> pa.Table:
    """The same reason for every row."""
    return _feature_rows(name, rows, {}, [reason.value] * rows.num_rows, detail)


def _lists(flat: Any, n: int, width: int, missing: Any, type_: pa.DataType) -> pa.Array:
    # By mask, not by null offsets: a list before a null one would take that one's cells as its own.
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, pa.array(flat, type_), mask=pa.array(missing))


def _feature_rows(
    name: str,
    rows: pa.Table,
    columns: dict[str, pa.Array],
    reasons: Sequence[str | None],
    detail: str | None = None,
) -> pa.Table:
    n = rows.num_rows
    said = {
        "item_id": rows.column("item_id"),
        "reason": pa.array(reasons, pa.string()),
        "detail": pa.array([detail] * n, pa.string()),
    }
    wanted = [f for f in table_of(name).schema if f.name not in ATTEMPT_COLUMNS or f.name in (*said, "retry_at")]
    given = columns | said
    return pa.table({f.name: given.get(f.name, pa.nulls(n, f.type)) for f in wanted})
