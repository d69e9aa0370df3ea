"""The stage: a keyed computation from one table to another, resumable and incremental, one commit per chunk.

What is done is known from the tables alone. A key is pending when no row has its (key, input_hash, version), or when
its row is a failure whose retry time has come (`tasks.pending`). `tasks.run_stage` runs a stage, chunk by chunk
(`tasks.chunks`). All of it is free of Prefect: `tasks.run` says how chunks are submitted.
"""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from storage.errors import StoreError
from storage.lazy import pa
from storage.reasons import Reason
from storage.schemas import ATTEMPT_COLUMNS, table_of
from storage.store import Store

if TYPE_CHECKING:
    Compute = Callable[[pa.Table, Store], pa.Table]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the pipeline.

    `inputs` and `load` are SQL over the store's views. `compute` is a function that worker processes can import: it
    gets the rows of `load` for one chunk and gives one row per key: key and value columns, `reason` and `detail` where
    there is no value, and optionally `retry_at`.
    """

    name: str
    version: str  # raised whenever an output byte may change
    reads: tuple[str, ...]  # tables whose change can make work
    writes: str  # the keyed table that gets a row per attempted key
    inputs: str | Callable[[Store], pa.Table]  # key columns of `writes` and `input_hash`
    compute: Compute
    # Key columns and what `compute` needs; may name `wanted` (what `inputs` gave) and `pending` (some keys to do).
    load: str = "select * exclude (input_hash) from wanted"
    scope: str = "true"  # SQL: which rows of `writes` are this stage's
    chunk_keys: int = 1_000  # about half a minute of work
    chunk_bytes: int | None = None  # also cut chunks where the inputs' `size_bytes` adds up to this
    # driver: holds a model or a device that processes cannot share. workers: decodes files from outside, never in the
    # driver, whose death would end the run. pool: in workers where they are worth their start. gpus: in one worker per
    # GPU that there is.
    runs_in: Literal["pool", "workers", "driver", "gpus"] = "pool"
    outside: Callable[[], str] | None = None  # fingerprint of what lies outside the store
    beside: tuple[str, ...] = ()  # tables that `compute` appends to by itself
    # `inputs` is asked anew after each pass that did something: a history goes on where its part ended.
    repeats: bool = False
    prepare: Callable[[Store], Stage] | None = None  # settles the version once the inputs are there
    refit: Callable[[Store], Stage] | None = None  # as `prepare`, with a frozen fit made anew
    seconds_per_key: float = 0.001  # a guess for the first plan; later plans use the last run's
    seconds_per_mb: float = 0.0  # what the inputs' `size_bytes` add to it
    bytes_per_key: float | None = None  # what a value takes in the table; None: as much as those that are there
    note: str = ""  # what whoever builds should know of it, whether or not there is something to do


# --- what `compute` gives


def per_item(
    rows: pa.Table, key: tuple[str, ...], one: Callable[[dict[str, Any]], dict[str, Any]]
) -> list[dict[str, Any]]:
    """`one(row)` for each row, its key columns added; an item that fails is a row with a reason, not an exception."""
    return [item_row(row, key, one) for row in rows.to_pylist()]


def item_row(
    row: dict[str, Any], key: tuple[str, ...], one: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """`per_item` for a single row."""
    named = {name: row[name] for name in key}
    try:
        return named | one(row)
    except StoreError:
        raise  # a full or read-only store is no fault of the item
    except Exception as exc:
        return named | {"reason": Reason.INTERNAL_ERROR, "detail": f"{type(exc).__name__}: {exc}"[:200]}


def rows_table(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Python rows as an Arrow table with the columns that `compute` must give; what a row leaves out is null."""
    said = ("reason", "detail", "retry_at")
    wanted = [f for f in table_of(name).schema if f.name not in ATTEMPT_COLUMNS or f.name in said]
    return pa.table({f.name: pa.array([row.get(f.name) for row in rows], f.type) for f in wanted})


# --- what was done, and who is told


@dataclass(frozen=True, kw_only=True)
class ChunkResult:
    """What one chunk did."""

    done: int
    reasons: dict[str, int]
    retry_at: datetime | None = None

    def __add__(self, other: ChunkResult) -> ChunkResult:
        """What both did."""
        return ChunkResult(
            done=self.done + other.done,
            reasons=dict(Counter(self.reasons) + Counter(other.reasons)),
            retry_at=earliest(self.retry_at, other.retry_at),
        )


@dataclass(kw_only=True)
class StageResult:
    """What a stage did in this build."""

    stage: str
    status: Literal["up_to_date", "completed", "partial"] = "up_to_date"
    done: int = 0
    skipped: int = 0  # keys that had their row already
    failed: int = 0
    removed: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter[str])
    retry_at: datetime | None = None

    def add(self, chunk: ChunkResult) -> None:
        """Count one chunk."""
        self.done += chunk.done
        self.failed += sum(chunk.reasons.values())
        self.reasons.update(chunk.reasons)
        self.retry_at = earliest(self.retry_at, chunk.retry_at)

    def go_on(self, again: StageResult) -> None:
        """Count a second run of the stage in the same build; keys that it found done are not skipped twice."""
        if again.status != "up_to_date":
            self.status = "partial" if "partial" in (self.status, again.status) else again.status
        self.done, self.failed = self.done + again.done, self.failed + again.failed
        self.removed, self.seconds = self.removed + again.removed, round(self.seconds + again.seconds, 3)
        self.reasons.update(again.reasons)
        self.retry_at = earliest(self.retry_at, again.retry_at)

    def as_json(self) -> dict[str, Any]:
        """What `mediateca build --json` prints of it."""
        names = ("stage", "status", "done", "skipped", "failed", "removed", "seconds")
        return {name: getattr(self, name) for name in names} | {"reasons": dict(self.reasons)}


class Progress(Protocol):
    """Who is told how far a stage is."""

    def look(self, what: str) -> None:
        """A stage looks for what there is to do."""
        ...

    def begin(self, stage: str, keys: int) -> None:
        """A stage has `keys` to do."""
        ...

    def more(self, keys: int) -> None:
        """The stage has so many more to do."""
        ...

    def advance(self, keys: int) -> None:
        """So many more are done."""
        ...

    def end(self, result: StageResult) -> None:
        """The stage is over."""
        ...


class Silent:
    """Tells nobody."""

    def look(self, what: str) -> None:
        """Nothing."""

    def begin(self, stage: str, keys: int) -> None:
        """Nothing."""

    def more(self, keys: int) -> None:
        """Nothing."""

    def advance(self, keys: int) -> None:
        """Nothing."""

    def end(self, result: StageResult) -> None:
        """Nothing."""


def earliest(*times: datetime | None) -> datetime | None:
    """The first of the times there are."""
    return min((t for t in times if t is not None), default=None)
