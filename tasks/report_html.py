"""Words, numbers and tables of the report, as HTML; every text is escaped here and nowhere else."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, NamedTuple

NARROW = "\u202f"  # a narrow space at which no line is broken
SERIES = 7
"""Colours of the style sheet: c0 to c6; `co` is the grey of all others."""

# Controls but tab and newline, lone surrogates, non-characters; and marks that turn the direction of what follows.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\u202a-\u202e\u2066-\u2069]")

REASONS = {
    "not_found": "the source was asked and has nothing",
    "empty": "the source has it and it is empty; a value, such as the lyrics of an instrumental",
    "missing_input": "what it is computed from has no value itself",
    "no_weights": "the encoder's weights are not on this machine",
    "quota": "the source's quota was used up; tried again when it is renewed",
    "blocked_page": "the source kept robots out",
    "no_access": "a key is missing, or was refused",
    "unreachable": "the source did not answer, after all retries",
    "decode_error": "the file, or a part of it, cannot be parsed",
    "too_short": "less audio than a window needs",
    "too_large": "refused by its size, before it was decoded",
    "not_finite": "the encoder gave a number that is none",
    "silent": "every sample is below hearing",
    "schema_drift": "the response lacks a field that is needed",
    "low_recall": "the index is there, but finds fewer true neighbours than wanted",
    "internal_error": "a fault of mediateca on one item; the detail names it",
    "removed": "the input is gone",
    "taken_down": "removed on request",
    "bad_row": "the line of the input file has the wrong number of fields, or is cut short",
    "bad_value": "a field is not of its type, or out of its range",
    "bad_encoding": "the bytes are not text in the file's encoding",
    "duplicate": "the same key was given before",
    "not_media": "the file is neither audio nor a picture",
    "unreadable": "the file or folder cannot be opened",
}
"""What each `storage.reasons.Reason` says to a reader of the report."""


class Cell(NamedTuple):
    """A cell of a table that is HTML already."""

    html: str


def text(value: Any) -> str:
    """Any value as escaped text, without what HTML cannot hold; nothing for None."""
    return "" if value is None else escape(_UNFIT.sub("", str(value)))


def shortened(value: str, length: int) -> str:
    """The text, cut at a word with an ellipsis where it is longer; not escaped."""
    if len(value) <= length:
        return value
    head = value[:length]
    return (head.rsplit(" ", 1)[0] if " " in head[length // 2 :] else head).rstrip(" ,;:-") + "\u00a0…"


def number(value: float | None, digits: int = 0) -> str:
    """`12,345`; `none` where there is no number."""
    return "none" if value is None else f"{value:,.{digits}f}"


def compact(value: float) -> str:
    """For axes: 950, 1.5 k, 33 M."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.4g}"


def share(part: float, whole: float) -> str:
    """A percentage that is 0 % or 100 % only where it is exactly so."""
    if not whole:
        return "none"
    percent = 100 * part / whole
    if percent in (0, 100):
        said = f"{percent:.0f}"
    elif percent < 0.1 or percent > 99.9:
        said = "< 0.1" if percent < 1 else "> 99.9"
    else:
        said = f"{percent:.1f}" if percent < 10 or percent > 99 else f"{percent:.0f}"
    return said.replace(" ", NARROW) + NARROW + "%"


def size(bytes_: int) -> str:
    """Bytes as kB or MB."""
    return f"{bytes_ / 1e6:,.1f} MB" if bytes_ >= 1e6 else f"{bytes_ / 1e3:,.0f} kB"


def plural(n: int, one: str) -> str:
    """`1 film`, `2 films`."""
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], *, caption: str, kind: str = "") -> str:
    """A table whose first column heads its rows; numbers to the right, and without columns that are all empty."""
    body = [list(row) for row in rows]
    used = [i for i in range(len(heads)) if any(row[i] not in (None, "") for row in body)]
    heads, body = [heads[i] for i in used], [[row[i] for i in used] for row in body]
    right = [all(isinstance(row[i], int | float | None) for row in body) for i in range(len(heads))]
    head = "".join(f'<th scope="col"{_right(right[i])}>{text(name)}</th>' for i, name in enumerate(heads))
    lines = "".join(f"<tr>{''.join(_cell(value, i, right[i]) for i, value in enumerate(row))}</tr>" for row in body)
    return (
        f'<div class="scroll"><table class="{kind or "plain"}" aria-label="{text(caption)}">'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _cell(value: Any, column: int, right: bool) -> str:
    inner = value.html if isinstance(value, Cell) else number(value) if isinstance(value, int) else text(value)
    return f'<th scope="row">{inner}</th>' if column == 0 else f"<td{_right(right)}>{inner}</td>"


def _right(right: bool) -> str:
    return ' class="num"' if right else ""


def section(name: str, title: str, lead: str, *parts: str) -> str:
    """A section of the page; nothing where it has no parts."""
    inner = "".join(parts)
    said = f'<p class="lead">{lead}</p>' if lead else ""
    return f'<section id="{name}"><h2>{text(title)}</h2>{said}{inner}</section>' if inner else ""
