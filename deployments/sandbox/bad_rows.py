"""Rows that are wrong on purpose, so that quarantine has something to catch."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class BadRow:
    """A wrong row and what a connector ought to say of it."""

    file: str  # relative to the world, "/" between folders
    line: int  # 1-based, a header counts
    reason: str  # bad_row or bad_value, as in `storage.reasons.Reason`
    what: str


@dataclass(frozen=True, kw_only=True)
class Spoiler:
    """A wrong row that is still to be put into a file."""

    place: float  # share of the file's lines that come before it
    text: str  # without line end
    reason: str
    what: str


def spoil(file: str, lines: list[str], spoilers: Sequence[Spoiler], *, end: str) -> list[BadRow]:
    """Put wrong rows between the lines of a file, each line with its end; say where they went."""
    bad: list[BadRow] = []
    for spoiler in sorted(spoilers, key=lambda each: each.place):  # ascending, so that no line number moves again
        at = max(1, int(spoiler.place * len(lines)))
        lines.insert(at, spoiler.text + end)
        bad.append(BadRow(file=file, line=at + 1, reason=spoiler.reason, what=spoiler.what))
    return bad
