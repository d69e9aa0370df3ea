"""What the search of a source offers for an item, in one form for all sources."""

import re
from dataclasses import dataclass
from typing import Any

LARGEST = 1 << 53  # a larger number, or infinity, is no count of anything, and the arithmetic of floats fails on it


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One entity that may be the item; what the source does not say is empty or None."""

    id: str  # the source's own id
    title: str
    artists: tuple[str, ...] = ()
    album: str | None = None
    channel: str | None = None  # who uploaded a video
    duration_ms: int | None = None
    year: int | None = None
    isrc: str | None = None
    kind: str | None = None  # the source's word: song, video, album, movie ...
    views: int | None = None
    url: str | None = None  # where its page, cover or poster lies

    @classmethod
    def of(cls, said: dict[str, Any]) -> "Candidate":
        """From JSON: unknown keys are left out, null lists are empty, a duration of 0 or less is not known.

        Raises:
            ValueError: `id` or `title` is missing, or a value is of another type.
        """
        names = set(cls.__slots__)
        known = {name: value for name, value in said.items() if name in names and value is not None}
        if not isinstance(known.get("id"), str) or not isinstance(known.get("title"), str):
            raise ValueError("a candidate needs `id` and `title`, both text")
        artists = known.pop("artists", ())
        if isinstance(artists, str) or not all(isinstance(name, str) for name in artists):
            raise ValueError("`artists` must be a list of names")
        for name in ("duration_ms", "year", "views"):
            if name in known and (isinstance(known[name], bool) or not isinstance(known[name], int | float)):
                raise ValueError(f"`{name}` must be a number")
            if name in known and not -LARGEST <= known[name] <= LARGEST:
                raise ValueError(f"`{name}` is no number that can be meant; at most {LARGEST:,} is expected")
            if name in known:
                known[name] = round(known[name])
        for name in ("album", "channel", "isrc", "kind", "url"):
            if not isinstance(known.get(name, ""), str):
                raise ValueError(f"`{name}` must be text")
        if (
            known.get("duration_ms", 1) <= 0
        ):  # no recording lasts 0 ms: some exports say so, or -1, of what they do not know
            del known["duration_ms"]
        return cls(artists=tuple(artists), **known)


def year_of(date: Any) -> int | None:
    """The year that a date starts with, as "1987-05", "1987-05-21" or 1987; None where it starts with none.

    >>> year_of("1987-05"), year_of(""), year_of(None)
    (1987, None, None)
    """
    found = re.match(r"[12]\d{3}(?!\d)", str(date or ""))
    return int(found[0]) if found else None
