"""Lines as columns, for files of many millions of rows: no Python object per row, unless a row is bad."""

# Annotations stay text: polars is imported at its first use.
from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import compress
from typing import TYPE_CHECKING, Any

from connectors.base import Part, Reject, event_schema
from connectors.lines import Block
from connectors.rows import reject
from storage.lazy import np, pa, pl
from storage.reasons import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray


_UNIT_SEPARATOR = "\x1f"  # stands for a separator of two characters, which polars does not take


def field_frame(
    part: Part, block: Block, columns: Mapping[str, int], *, width: int, separator: str, fallback: str | None = None
) -> tuple[pl.DataFrame, list[Reject]]:
    """The fields of a block without quoting: the named columns as strings (null where empty), and `line`.

    Lines of another width are refused, and so are those that are not UTF-8 unless `fallback` names another encoding;
    blank lines are skipped.
    """
    mark = separator if len(separator) == 1 else _UNIT_SEPARATOR
    data = block.data.replace(b"\r\n", b"\n") if b"\r" in block.data else block.data
    data = data if mark == separator else data.replace(separator.encode(), mark.encode())
    widths = _widths(data, mark)
    good, rejects = widths == width, list[Reject]()
    text = _decoded(data, fallback)
    if text is None:
        good &= _decodable(data)
    if not good.all():
        bad = [int(at) for at in np.flatnonzero(~good) if block.lines[int(at)].strip(b" \r")]
        rejects = [_bad_line(part, block, at, int(widths[at]), width) for at in bad]
        text = _decoded(b"\n".join(compress(data.split(b"\n"), good.tolist())), fallback)
    line = pl.Series("line", np.flatnonzero(good) + block.line, dtype=pl.Int64)
    return _strings(text or b"", columns, width, mark).with_columns(line), rejects


def _strings(text: bytes, columns: Mapping[str, int], width: int, separator: str) -> pl.DataFrame:
    if not text:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    schema = {str(at): pl.String for at in range(width)}
    frame = pl.read_csv(text, has_header=False, schema=schema, separator=separator, quote_char=None)
    return frame.select(pl.col(str(at)).alias(name) for name, at in columns.items())


def _widths(data: bytes, separator: str) -> NDArray[np.int64]:
    """How many fields each line has."""
    codes = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(codes == ord("\n"))
    if data and not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    before = np.searchsorted(np.flatnonzero(codes == ord(separator)), ends)
    return np.diff(before, prepend=0) + 1


def _decoded(data: bytes, fallback: str | None) -> bytes | None:
    """The data if it is UTF-8, else read as `fallback`, else None."""
    with suppress(UnicodeDecodeError):
        data.decode("utf-8")
        return data
    return data.decode(fallback).encode("utf-8") if fallback else None


def _decodable(data: bytes) -> NDArray[np.bool_]:
    lines = data.split(b"\n") if not data.endswith(b"\n") else data.split(b"\n")[:-1]
    return np.fromiter((_decoded(line, None) is not None for line in lines), np.bool_, len(lines))


def _bad_line(part: Part, block: Block, at: int, found: int, width: int) -> Reject:
    if found == width:
        return reject(part, block.line + at, Reason.BAD_ENCODING, "bytes that are not UTF-8", block.lines[at])
    return reject(part, block.line + at, Reason.BAD_ROW, f"{found} fields, expected {width}", block.lines[at])


def refuse(
    part: Part, block: Block, frame: pl.DataFrame, faults: Mapping[str, pl.Expr], reason: Reason = Reason.BAD_VALUE
) -> tuple[pl.DataFrame, list[Reject]]:
    """The rows without a fault, and the others refused with the first fault's name as the detail."""
    # Before anything is left out: a fault may depend on the rows around, as `is_first_distinct` does.
    first = pl.coalesce([pl.when(fault).then(pl.lit(detail)) for detail, fault in faults.items()])
    details = frame.select(first.alias("detail")).get_column("detail")
    if details.null_count() == len(details):
        return frame, []
    bad = frame.select("line").with_columns(details).filter(details.is_not_null())
    rejects = [
        reject(part, int(line), reason, str(detail), block.lines[int(line) - block.line])
        for line, detail in bad.iter_rows()
    ]
    return frame.filter(details.is_null()), rejects


def events_table(frame: pl.DataFrame) -> pa.Table:
    """Events in `event_schema()`, of a frame with user, item, kind and line; the other columns are null if absent."""
    columns: dict[str, Any] = {
        "user": pl.String,
        "item": pl.String,
        "kind": pl.String,
        "value": pl.Float32,
        "at": pl.Datetime("us", "UTC"),
        "position": pl.Int32,
        "line": pl.Int64,
    }
    chosen = [
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in columns.items()
    ]
    return frame.select(chosen).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(event_schema())
