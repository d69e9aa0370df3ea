"""A toy stage over `texts`, for tests and for the kill test's child process: an overview to a vector of its length."""

import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from storage.reasons import Reason
from storage.schemas import table_of
from storage.store import Store
from tasks.run_stage import run_stage
from tasks.stage import Stage, per_item, rows_table

TABLE = "features/toy"


def write_texts(store: Store, texts: Mapping[str, str | None]) -> None:
    """Rows of `texts` as an upstream stage would leave them; None is a removed item."""
    schema, now = table_of("texts").schema, datetime.now(UTC)
    rows = [
        {
            "item_id": item,
            "kind": "overview",
            "value": text,
            "input_hash": 0,
            "value_hash": hash_of(text),
            "version": "1",
            "attempt": 1,
            "reason": None if text is not None else Reason.REMOVED,
            "computed_at": now,
        }
        for item, text in texts.items()
    ]
    store.append("texts", pa.table({f.name: pa.array([r.get(f.name) for r in rows], f.type) for f in schema}))


def hash_of(text: str | None) -> int:
    """A stable small digest."""
    return sum(ord(c) * (i + 1) for i, c in enumerate(text or ""))


def lengths(rows: pa.Table, store: Store) -> pa.Table:
    """The vector [length]; some texts mean trouble."""

    def one(row: dict[str, Any]) -> dict[str, Any]:
        text = row["value"]
        if text == "quota":
            return {"reason": Reason.QUOTA, "retry_at": datetime.now(UTC) + timedelta(hours=1)}
        if text == "later":
            return {"reason": Reason.UNREACHABLE, "retry_at": datetime.now(UTC) - timedelta(seconds=1)}
        if text == "bug":
            raise ZeroDivisionError("division by zero")
        return {"value": [float(len(text))]}

    return rows_table(TABLE, per_item(rows, ("item_id",), one))


def toy_stage(**changes: Any) -> Stage:
    """The stage."""
    texts = "from texts where kind = 'overview' and reason is null"
    given: dict[str, Any] = {
        "name": "toy",
        "version": "1",
        "reads": ("texts",),
        "writes": TABLE,
        "inputs": f"select item_id, value_hash as input_hash {texts}",
        "load": f"select item_id, value {texts}",
        "compute": lengths,
        "chunk_keys": 10,
    }
    return Stage(**given | changes)


def slow_lengths(rows: pa.Table, store: Store) -> pa.Table:
    """`lengths` at a pace that a kill can interrupt."""
    time.sleep(0.005)
    return lengths(rows, store)


def deadly_lengths(rows: pa.Table, store: Store) -> pa.Table:
    """`lengths`, but one text ends the process, as a decoder that crashes would."""
    if "deadly" in rows.column("value").to_pylist():
        os._exit(9)
    return lengths(rows, store)


if __name__ == "__main__":
    url, build, *version = sys.argv[1:]
    stage = toy_stage(compute=slow_lengths, chunk_keys=5, version=version[0] if version else "1")
    run_stage(Store(url), stage, build_id=build)
