"""Defects for tests: rows appended to a table as a broken stage would leave them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from storage.schemas import table_of
from storage.store import Store

Row = dict[str, Any]
ATTEMPTED: Row = {"input_hash": 0, "value_hash": 0, "version": "1", "attempt": 1}


def plant(store: Store, table: str, *rows: Row) -> None:
    """Append rows; what they leave out is null, or that of a first attempt of now."""
    schema, now = table_of(table).schema, datetime.now(UTC)
    given = ATTEMPTED | {"computed_at": now} if table_of(table).kind == "keyed" else {}
    if generation := store.generation(table):  # a row of another version would not count
        given |= {"version": generation}
    full = [given | row for row in rows]
    store.append(table, pa.table({f.name: pa.array([row.get(f.name) for row in full], f.type) for f in schema}))


def spoil(
    store: Store, table: str, change: Callable[[Row], Row], *, where: str = "true", twice: bool = False
) -> list[Row]:
    """Append changed copies of the rows that count, as newer rows of their keys; the copies.

    Args:
        store: The store.
        table: A keyed table.
        change: What differs, from the row.
        where: Which rows, SQL.
        twice: Append each copy two times, which no stage does: both count.
    """
    con = store.database(only=(table,))
    found = con.sql(f"select * from {table_of(table).view} where {where} order by all").to_arrow_table().to_pylist()
    rows = [row | {"computed_at": datetime.now(UTC)} | change(row) for row in found]
    plant(store, table, *rows, *(rows if twice else []))
    return rows
