"""A featurizer's arrays as rows of its table."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from typing import Any

from featurizers.base import FeatureBatch
from storage.lazy import np, pa
from storage.reasons import Reason
from storage.schemas import table_of


def vectors_table(name: str, rows: pa.Table, batch: FeatureBatch) -> pa.Table:
    """A featurizer's answer as rows of its table."""
    n, width = batch.values.shape
    missing = np.array([error is not None for error in batch.errors], bool)
    mask = None if batch.mask is None else _lists(batch.mask.reshape(-1), n, width, missing, pa.bool_())
    return _feature_rows(
        name,
        rows,
        _lists(batch.values.astype(np.float32).reshape(-1), n, width, missing, pa.float32()),
        mask,
        list(batch.errors),
    )


def reasons_table(name: str, rows: pa.Table, reason: Reason, detail: str) -> pa.Table:
    """The same reason for every row."""
    n, schema = rows.num_rows, table_of(name).schema
    value = pa.nulls(n, schema.field("value").type)
    return _feature_rows(name, rows, value, None, [reason.value] * n, detail)


def _lists(flat: Any, n: int, width: int, missing: Any, type_: pa.DataType) -> pa.Array:
    # By mask, not by null offsets: a list before a null one would take that one's cells as its own.
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, pa.array(flat, type_), mask=pa.array(missing))


def _feature_rows(
    name: str,
    rows: pa.Table,
    value: pa.Array,
    mask: pa.Array | None,
    reasons: list[str | None],
    detail: str | None = None,
) -> pa.Table:
    schema, n = table_of(name).schema, rows.num_rows
    return pa.table(
        {
            "item_id": rows.column("item_id"),
            "value": value,
            "mask": pa.nulls(n, schema.field("mask").type) if mask is None else mask,
            "reason": pa.array(reasons, pa.string()),
            "detail": pa.array([detail] * n, pa.string()),
            "retry_at": pa.nulls(n, pa.timestamp("us", tz="UTC")),
        }
    )
