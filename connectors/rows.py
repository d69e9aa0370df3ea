"""Lines of text as rows of fields, and JSON; what cannot be read is refused, its neighbours go on."""

import csv
import json
import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

from connectors import lines
from connectors.base import Part, Reject
from connectors.lines import Block
from storage.reasons import Reason

TEXT_LIMIT = 500  # characters of a refused row that are kept
OPEN_QUOTE_LINES = 200  # a quoted field that is still open after so many lines was never meant to be one

# The csv module refuses fields over 131,072 characters by default; casts of TMDb films may be longer.
csv.field_size_limit(lines.PAGE_BYTES)


class Refused(Exception):
    """One row cannot be taken; caught where its page is made, and turned into a `Reject`."""

    def __init__(self, detail: str, reason: Reason = Reason.BAD_VALUE) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Line(NamedTuple):
    """One line of text, without its newline."""

    number: int  # 1-based, in the file
    text: str
    fault: Reason | None = None
    detail: str = ""


class Row(NamedTuple):
    """One logical row: a line, or several where a quoted field holds newlines."""

    line: int
    fields: list[str]
    text: str


def reject(part: Part, line: int, reason: Reason, detail: str, text: str | bytes) -> Reject:
    """A refused row, its text cut and made printable: it may hold bytes that are no text."""
    if isinstance(text, bytes):
        text = text[: 4 * TEXT_LIMIT].decode("utf-8", "backslashreplace")
    shown = printable(text[:TEXT_LIMIT]).rstrip("\r")[:TEXT_LIMIT]
    return Reject(file=part.file, line=line, reason=reason, detail=printable(detail[:TEXT_LIMIT]), text=shown)


def printable(text: str) -> str:
    """The text with what cannot be written as UTF-8 as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def too_long(part: Part, block: Block) -> Reject:
    """The refusal of a line that is longer than a page."""
    return reject(part, block.line, Reason.BAD_ROW, f"a line of more than {lines.PAGE_BYTES} bytes", block.data)


def text_lines(block: Block, fallback: str | None = None) -> Iterator[Line]:
    """The lines of a block as text; blank ones are skipped.

    Bytes that are not UTF-8 are read as `fallback`, or else marked as BAD_ENCODING with the bytes kept as surrogates,
    so that commas and quotes are still seen.
    """
    if block.oversize:
        text = block.data.decode("utf-8", "surrogateescape")
        yield Line(block.line, text, Reason.BAD_ROW, f"a line of more than {lines.PAGE_BYTES} bytes")
        return
    for number, raw in enumerate(block.lines, block.line):
        if raw in (b"", b"\r") or raw.isspace():
            continue
        try:
            yield Line(number, raw.decode("utf-8"))
        except UnicodeDecodeError:
            if fallback:
                yield Line(number, raw.decode(fallback))
            else:
                text = raw.decode("utf-8", "surrogateescape")
                yield Line(number, text, Reason.BAD_ENCODING, "bytes that are not UTF-8")


def parse_csv(text: str, separator: str = ",") -> list[str] | None:
    """The fields of one row, or None where a quoted field is still open.

    Raises:
        Refused: Text after a closing quote, or a carriage return outside quotes.
    """
    bare = text.removesuffix("\r")
    if '"' not in bare and "\r" not in bare and len(bare) < lines.HEAD_BYTES:
        return bare.split(separator)  # what the csv module makes of it, in a seventh of the time (measured 2026-11)
    try:
        return next(csv.reader([text], delimiter=separator, strict=True), list[str]())
    except csv.Error as exc:
        if "unexpected end of data" in str(exc):
            return None
        raise Refused(f"not a row of CSV: {exc}", Reason.BAD_ROW) from exc


def csv_rows(part: Part, lines: Iterable[Line], width: int) -> Iterator[Row | Reject]:
    """Rows of a CSV file. A quote that is never closed costs its own line only, not those after it."""
    source, ahead = iter(lines), deque[Line]()
    while line := ahead.popleft() if ahead else next(source, None):
        taken = [line]
        try:
            fields = _fields(taken, source, ahead)
            text = "\n".join(each.text for each in taken)
            if len(fields) != width:
                raise Refused(f"{len(fields)} fields, expected {width}", Reason.BAD_ROW)
        except Refused as bad:
            ahead.extendleft(reversed(taken[1:]))
            yield reject(part, line.number, line.fault or bad.reason, line.detail or bad.detail, line.text)
            continue
        fault = next((each for each in taken if each.fault), None)
        if fault and fault.fault:
            yield reject(part, line.number, fault.fault, fault.detail, text)
        else:
            yield Row(line.number, fields, text)


def _fields(taken: list[Line], source: Iterator[Line], ahead: deque[Line]) -> list[str]:
    """The fields of `taken`, which takes more lines in while a quoted field is open."""
    fields = parse_csv(taken[0].text)
    while fields is None:
        more = ahead.popleft() if ahead else next(source, None)
        if more is None or len(taken) >= OPEN_QUOTE_LINES:
            if more:
                ahead.appendleft(more)
            raise Refused("a quoted field is not closed", Reason.BAD_ROW)
        taken.append(more)
        if '"' in more.text:
            fields = parse_csv("\n".join(line.text for line in taken))
    return fields


def split_rows(part: Part, lines: Iterable[Line], separator: str, width: int) -> Iterator[Row | Reject]:
    """Rows of a file without quoting."""
    for line in lines:
        fields = line.text.rstrip("\r").split(separator)
        if line.fault:
            yield reject(part, line.number, line.fault, line.detail, line.text)
        elif len(fields) != width:
            detail = f"{len(fields)} fields, expected {width}"
            yield reject(part, line.number, Reason.BAD_ROW, detail, line.text)
        else:
            yield Row(line.number, fields, line.text)


def text_rows(part: Part, lines: Iterable[Line]) -> Iterator[Row | Reject]:
    """Rows of a file with one field: JSON lines."""
    for line in lines:
        if line.fault:
            yield reject(part, line.number, line.fault, line.detail, line.text)
        else:
            yield Row(line.number, [line.text], line.text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
"""JSON without NaN and infinities, which Python alone reads and writes."""


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        Refused: It is not JSON, is nested too deep, or holds half a surrogate pair, which no UTF-8 file can hold.
    """
    try:
        value = DECODER.decode(text)
    except (ValueError, RecursionError) as exc:
        raise Refused(f"not JSON: {exc}", Reason.BAD_ROW) from exc
    if "\\u" in text:
        check_text(value)
    return value


def as_object(value: Any) -> dict[str, Any] | None:
    """A JSON object as a dict, None for any other value."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """A JSON array as a list, None for any other value."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def check_text(value: Any) -> None:
    """Nothing, if every string of a JSON value can be written as UTF-8.

    Raises:
        Refused: One cannot.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise Refused("characters that cannot be written as UTF-8", Reason.BAD_ENCODING) from exc
    except RecursionError as exc:
        raise Refused("nested too deep") from exc
