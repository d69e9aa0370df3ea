"""Norms and mean vectors of a feature table, exact, in one pass of bounded memory."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.lazy import np, pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS = 8_192
"""Vectors in memory at a time; 50 MB at 768 numbers as float64."""


def profile_vectors(con: Any, former: Any, *, view: str) -> None:
    """Make `profiled` (item_id, reason, detail, size, norm), and `now_mean` and `before_mean` (mean, square).

    `norm` is NaN where a vector holds a null or NaN. `mean` is the mean of the finite vectors, `square` that of their
    squared norms; of vectors that another version made there is no mean of before. In numpy: DuckDB's
    `list_dot_product` fails on a table in which any list holds a null.
    """
    profile = Profile()
    for batch in con.sql(f"select item_id, reason, detail, value from {view}").to_arrow_reader(_ROWS):
        profile.add(batch)
    con.register("profiled", profile.rows())
    con.register("now_mean", profile.mean())
    then = Profile()
    if former is not None and _version(con, view) == _version(former, view):
        for batch in former.sql(f"select item_id, reason, detail, value from {view}").to_arrow_reader(_ROWS):
            then.add(batch)
    con.register("before_mean", then.mean())


def _version(con: Any, view: str) -> Any:
    """Vectors of another version are another encoder's: that they moved says nothing."""
    return con.sql(f"select min(version) from {view} where reason is null").fetchall()[0][0]


class Profile:
    """What is known of the vectors seen so far."""

    def __init__(self) -> None:
        """Nothing seen."""
        self._rows: list[pa.Table] = []
        self._sum: NDArray[np.float64] | None = None  # (width,), of the finite vectors
        self._square, self._count = 0.0, 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Count in rows of `item_id`, `reason`, `detail`, `value`."""
        values = batch.column("value")
        there = values.is_valid().to_numpy(zero_copy_only=False)
        sizes = np.zeros(len(values), np.int64)
        sizes[there] = values.drop_null().value_lengths().to_numpy(zero_copy_only=False)
        flat = values.flatten().to_numpy(zero_copy_only=False).astype(np.float64)  # nulls become NaN
        norms = np.sqrt(_sums(flat * flat, sizes))
        self._add_mean(flat, sizes, norms)
        columns = {name: batch.column(name) for name in ("item_id", "reason", "detail")}
        columns["size"] = pa.array(sizes, mask=~there)
        self._rows.append(pa.table(columns | {"norm": pa.array(norms, mask=~there, from_pandas=False)}))

    def _add_mean(self, flat: NDArray[np.float64], sizes: NDArray[np.int64], norms: NDArray[np.float64]) -> None:
        if self._sum is None and sizes.any():
            self._sum = np.zeros(sizes[sizes > 0][0])
        if self._sum is None:
            return
        # Vectors of another length than the first have a check of their own.
        chosen = np.isfinite(norms) & (sizes == len(self._sum))
        self._sum += flat[np.repeat(chosen, sizes)].reshape(-1, len(self._sum)).sum(axis=0)
        self._square += float((norms[chosen] ** 2).sum())
        self._count += int(chosen.sum())

    def rows(self) -> pa.Table:
        """A row per row seen: item_id, reason, detail, size, norm."""
        types = {"item_id": pa.string(), "reason": pa.string(), "detail": pa.string()}
        schema = pa.schema(types | {"size": pa.int64(), "norm": pa.float64()})
        return pa.concat_tables([rows.cast(schema) for rows in self._rows]) if self._rows else schema.empty_table()

    def mean(self) -> pa.Table:
        """One row of `mean` and `square`; none where no vector is finite."""
        schema = pa.schema({"mean": pa.list_(pa.float64()), "square": pa.float64()})
        if self._sum is None or self._count == 0:
            return schema.empty_table()
        return pa.table({"mean": [self._sum / self._count], "square": [self._square / self._count]}, schema=schema)


def _sums(cells: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum of each row's cells, shape (rows,); rows without cells have 0."""
    sums = np.zeros(len(sizes))
    full = sizes > 0
    if full.any():
        sums[full] = np.add.reduceat(cells, (np.cumsum(sizes) - sizes)[full])
    return sums
