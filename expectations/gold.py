"""A gold set: which ids of which sources are the same track or film, as people or a generated world say.

A line of JSON is `{"spotify": "4uLU6h", "youtube": ["a1", "a2"], "genius": [], "not": {"youtube": ["b7"]}}`: a source's
name in the catalogue, and all its ids that are right. An empty list says that nothing there is; a source that is left
out is not judged, but for the ids under `not`, which are wrong. In CSV the header names the sources, `not:youtube` for
wrong ids; ids of one cell are parted by `|`, an empty cell leaves the source out, and `-` is the empty list.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NOT, _NOTHING = "not", "-"


@dataclass(frozen=True, kw_only=True)
class GoldLine:
    """What one line says, by source."""

    number: int  # 1-based line of the file
    right: Mapping[str, tuple[str, ...]]
    wrong: Mapping[str, tuple[str, ...]]


def read_gold(path: Path) -> list[GoldLine]:
    """The lines of a gold file, `.csv` or JSON lines.

    Raises:
        ValueError: There is no such file, it holds nothing, or a line is not of the form above; names file and line.
    """
    if not path.is_file():
        raise ValueError(
            f"validation.gold: there is no file '{path}'; expected JSON lines or CSV, see docs/validation.md"
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            found = list(_of_csv(text) if path.suffix.lower() == ".csv" else _of_json(text))
    except UnicodeDecodeError as exc:
        raise ValueError(f"validation.gold: {path} is not UTF-8: {exc}") from exc
    except _Bad as exc:
        raise ValueError(f"validation.gold: {path}, {exc}") from exc
    if not found:
        raise ValueError(f"validation.gold: {path} holds no line; an empty gold set would let everything pass")
    return found


class _Bad(ValueError):
    """A line that cannot be read; says which."""


def _of_json(text: Any) -> Iterator[GoldLine]:
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
        except ValueError as exc:
            raise _Bad(f"line {number}: not JSON: {exc}") from exc
        if not isinstance(said, dict) or not isinstance(wrong := said.pop(_NOT, {}), dict):
            raise _Bad(f'line {number}: expected an object of sources, such as {{"youtube": ["id"]}}')
        right, wrong = ({name: _ids(number, name, v) for name, v in part.items()} for part in (said, wrong))
        yield GoldLine(number=number, right=right, wrong=wrong)


def _ids(number: int, source: str, said: Any) -> tuple[str, ...]:
    ids = [said] if isinstance(said, str) else said
    if not isinstance(ids, list) or not all(isinstance(one, str) and one for one in ids):
        raise _Bad(f"line {number}: '{source}' is {said!r}; expected an id or a list of ids, as text")
    return tuple(ids)


def _of_csv(text: Any) -> Iterator[GoldLine]:
    rows = csv.reader(text)
    names = [name.strip() for name in next(rows, [])]
    for cells in rows:
        if not any(cells):
            continue
        if len(cells) != len(names):
            raise _Bad(f"line {rows.line_num}: {len(cells)} cells; the header has {len(names)}")
        told = {name: _cell(cell) for name, cell in zip(names, cells, strict=True) if cell.strip()}
        wrong = {name.removeprefix(f"{_NOT}:"): ids for name, ids in told.items() if name.startswith(f"{_NOT}:")}
        right = {name: ids for name, ids in told.items() if not name.startswith(f"{_NOT}:")}
        yield GoldLine(number=rows.line_num, right=right, wrong=wrong)


def _cell(cell: str) -> tuple[str, ...]:
    return () if cell.strip() == _NOTHING else tuple(one.strip() for one in cell.split("|") if one.strip())
