"""The gate: what the checks found, whether it keeps a release back, and how that is told."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from storage.store import Store, rows_of

_CHECKS_SHOWN = 5  # with their examples they fill a screen of 24 lines
_EXAMPLES_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Found:
    """One row of `validations`."""

    table: str
    check: str
    severity: str
    success: bool
    observed: dict[str, Any]
    expected: str
    examples: list[dict[str, Any]]
    about: str
    compared_with: str | None

    @property
    def name(self) -> str:
        """As the catalogue names it."""
        return f"{self.table}.{self.check}"

    @property
    def blocks(self) -> bool:
        """Whether it keeps a release back."""
        return not self.success and self.severity == "block"

    @property
    def saw(self) -> str:
        """What was observed, for people."""
        parts = self.observed
        if parts["value"] is None:
            return "nothing to check"
        if parts.keys() >= {"rows", "of"}:
            return f"{parts['rows']:,} of {parts['of']:,} rows"
        others = ", ".join(f"{name} {_number(value)}" for name, value in parts.items() if name != "value")
        return _number(parts["value"]) + (f" ({others})" if others else "")

    def as_json(self) -> dict[str, Any]:
        """What scripts read."""
        names = ("table", "check", "severity", "observed", "expected", "examples", "about", "compared_with")
        return {name: getattr(self, name) for name in names}


def findings(store: Store, tables: Iterable[str] | None = None) -> list[Found]:
    """What the checks found last, of these tables or of all; `links/SOURCE` is of the table `links`."""
    if "validations" not in store.tables():
        return []
    sql = "select * from validations where reason is null order by table_name, check_name"
    rows = rows_of(store.database(only=("validations",)).sql(sql))
    wanted = None if tables is None else {*tables}
    return [_parsed(row) for row in rows if wanted is None or _holder(row["table_name"]) in wanted]


def _holder(table: str) -> str:
    """The table that what is checked lies in."""
    return "links" if table.startswith("links/") else table


def summary(found: list[Found]) -> dict[str, Any]:
    """What `--json` prints under `validation`."""
    failed = [f.as_json() for f in found if not f.success]
    passed = len(found) - len(failed)
    return {"blocked": any(f.blocks for f in found), "passed": passed, "failed": failed}


def refusal(found: list[Found], *, current: str | None, docs: str) -> str:
    """One screen: what failed with examples, and what can be done."""
    blocking = _tables_in_turns([f for f in found if f.blocks])
    stays = f"{current} stays current" if current else "nothing is released yet"
    lines = [f"no release: {len(blocking)} of {len(found)} checks failed that must pass; {stays}"]
    shown = blocking[:_CHECKS_SHOWN]
    examples = _EXAMPLES_SHOWN if len(shown) <= _EXAMPLES_SHOWN else 1
    for f in shown:
        with_what = f" (compared with {f.compared_with})" if "last release" in f.expected + f.about else ""
        lines += [f"  {f.name}: {f.about}", f"    {f.saw}; expected: {f.expected}{with_what}"]
        lines += [f"    {_example(row)}" for row in f.examples[:examples]]
    if len(blocking) > len(shown):
        lines.append(f"  and {len(blocking) - len(shown)} more: {', '.join(f.name for f in blocking[len(shown) :])}")
    accept = ", ".join(f'"{f.name}": warn' for f in shown[:2])
    return "\n".join(
        [
            *lines,
            f"pages: {docs}",
            'more:  mediateca sql CATALOGUE "select * from validations where not success"',
            f"If it is right as it is, write in the catalogue: validation: {{checks: {{{accept}}}}} and build again.",
        ]
    )


def _tables_in_turns(found: list[Found]) -> list[Found]:
    # A defect often fails several checks of its table: the screen shows one of each table before it shows a second.
    turn = Counter[str]()
    places: list[tuple[int, int]] = []
    for at, f in enumerate(found):
        places.append((turn[f.table], at))
        turn[f.table] += 1
    return [found[at] for _, at in sorted(places)]


def _parsed(row: dict[str, Any]) -> Found:
    return Found(
        table=row["table_name"],
        check=row["check_name"],
        severity=row["severity"],
        success=row["success"],
        observed=json.loads(row["observed"]),
        expected=row["expected"],
        examples=json.loads(row["examples"]),
        about=row["about"],
        compared_with=row["compared_with"],
    )


def _number(value: Any) -> str:
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _example(row: dict[str, Any]) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in row.items() if value is not None)
    return text if len(text) <= 150 else text[:150] + "…"
