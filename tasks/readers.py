"""Small readers of fields as found: what cannot be read is None, never an error."""

import math
import re
from typing import Any

LONGEST_MS = 10 * 365 * 86_400_000
"""The longest film takes 857 hours; more is a slip, and may not fit a column."""


def as_text(value: Any) -> str | None:
    """The value as text without blanks around it; None where nothing is left."""
    text = str(value).strip() if value is not None else ""
    return text or None


def as_texts(value: Any) -> list[str]:
    """The texts of a list, or of one value."""
    values = value if isinstance(value, list) else [value]
    return [text for text in map(as_text, values) if text]


def as_number(value: Any) -> float | None:
    """A finite number."""
    try:
        number = float(value) if value not in (None, "") else None
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None


def as_positive(value: Any) -> float | None:
    """A number above 0: TMDb writes 0 for unknown budgets, revenues and running times."""
    number = as_number(value)
    return number if number and number > 0 else None


def as_milliseconds(value: Any, unit_ms: int = 1) -> int | None:
    """A length in units of `unit_ms`; None where it is 0, or longer than anything is."""
    number = as_positive(value)
    return int(number * unit_ms) if number and number * unit_ms <= LONGEST_MS else None


def as_id(value: Any) -> int | None:
    """A whole number above 0, also as pandas writes one in a column with gaps: "862.0"."""
    found = re.fullmatch(r"0*([1-9][0-9]{0,17})(?:\.0)?", str(value or "").strip())
    return int(found[1]) if found else None


def as_imdb(value: Any) -> str | None:
    """IMDb's id of a film as IMDb writes it: with seven digits or more."""
    number = as_id(str(value or "").strip().removeprefix("tt"))
    return f"tt{number:07d}" if number else None


def as_flag(value: Any) -> bool | None:
    """True or false, in whatever letters."""
    return {"true": True, "false": False}.get(str(value).strip().lower())


def as_year(date: Any) -> int | None:
    """The four digits that a date starts with."""
    found = re.match(r"(\d{4})(?:\D|$)", str(date or ""))
    return int(found[1]) or None if found else None
