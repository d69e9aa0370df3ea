"""What a check is: one number measured in SQL, a limit, and the rows to show when it is beyond.

Every check is exact: DuckDB computes its number over all rows of the table, so that 33 M interactions never become a
frame; Great Expectations gets the profile frame of one row whose columns are those numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["block", "warn", "off"]

EXAMPLES = 5
"""Offending rows kept per check."""
SLACK = 2
"""So many rows may go before a share of them counts: two of five lost is no trend."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One expectation. `value`, `facts` and `examples` are SQL over what the suite names `source`."""

    name: str
    about: str  # what is wrong where it fails
    value: str  # an aggregate that is one number; null: there is nothing to check or to compare
    threshold: float  # what the catalogue can set; see `meaning`
    meaning: str  # what the threshold is
    expected: str  # for people; `{threshold}` stands for it
    facts: Mapping[str, str] = field(default_factory=dict[str, str])  # other aggregates that explain the number
    examples: str = ""  # a query of rows; none where no row is at fault by itself
    severity: Severity = "block"  # where the catalogue says nothing
    at_least: bool = False  # the number must reach the limit; else it must not exceed it
    parameter: bool = False  # the threshold stands in `value`, and no row may offend
    passes_with_time: bool = False  # a failure is looked at again after a day

    def limit(self, threshold: float) -> float:
        """What the number is held against."""
        return 0.0 if self.parameter else threshold

    def says(self, threshold: float) -> str:
        """What is expected, for people."""
        if self.facts.keys() >= {"rows", "of"} and not self.parameter:
            return "no such row" if threshold == 0 else f"at most {threshold * 100:g} % of the rows"
        return self.expected.format(threshold=threshold)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The checks of one table."""

    table: str
    reads: tuple[str, ...]  # tables that the SQL names, the table itself first
    source: str  # SQL (a from item)
    checks: tuple[Check, ...]
    before: Mapping[str, str] = field(default_factory=dict[str, str])  # name -> query, run over the last release
    prepare: Callable[[Any, Any], None] | None = None  # makes what SQL cannot; gets both connections, as `run_suite`


def rows_where(name: str, about: str, bad: str, show: str, **given: Any) -> Check:
    """A check that no row of the source, or no more than a share of them, satisfies `bad`.

    Args:
        name: The check's name.
        about: What such a row is.
        bad: SQL condition; may name `{threshold}`, which then is its parameter and not the share.
        show: Columns of the example rows.
        given: Other fields of `Check`.
    """
    count = f"count(*) filter (where {bad})"
    default: dict[str, Any] = {
        "threshold": 0.0,
        "meaning": "share of rows that may be so",
        "expected": "",
        "parameter": "{threshold}" in bad,
        "facts": {"rows": count, "of": "count(*)"},
        "examples": f"select {show} from {{source}} where {bad}",
    }
    return Check(name=name, about=about, value=f"{count} / nullif(count(*), 0)", **default | given)


def twice(key: str, about: str, **given: Any) -> Check:
    """A check that no two rows share their key."""
    extra = f"count(*) - count(distinct ({key}))"
    return Check(
        name="key_unique",
        about=about,
        value=f"({extra}) / nullif(count(*), 0)",
        threshold=0.0,
        meaning="share of rows that may repeat a key",
        expected="",
        facts={"rows": extra, "of": "count(*)"},
        examples=f"select {key}, count(*) as rows from {{source}} group by all having count(*) > 1",
        **given,
    )


def shrink_and_growth(former: str) -> tuple[Check, Check]:
    """Rows against the last release's; `former` is SQL for their number there."""
    facts = {"now": "count(*)", "before": former}
    return (
        Check(
            name="not_shrunk",
            about="rows that the last release had are gone",
            value=f"case when {former} - count(*) <= {SLACK} then 1.0 else count(*) / {former} end",
            threshold=0.8,
            meaning="rows of now per row of the last release, at least",
            expected="at least {threshold:.0%} of the last release's rows",
            facts=facts,
            at_least=True,
        ),
        Check(
            name="not_swollen",
            about="many more rows than in the last release",
            value=f"count(*) / nullif({former}, 0)",
            threshold=10.0,
            meaning="rows of now per row of the last release, at most",
            expected="at most {threshold:g} times the last release's rows",
            facts=facts,
            severity="warn",
        ),
    )


def kept_values(name: str, what: str, valued: str, key: str, before: str, show: str) -> tuple[Check, Check]:
    """Coverage against the last release, and how many of its values are still there.

    Args:
        name: Ending of the checks' names, such as `_overview`; "" where the table has one kind only.
        what: Of what, for people.
        valued: SQL condition on a row that has a value of this kind.
        key: Columns of the item and kind, as in `before`.
        before: The view of the last release's keys with a value, of this kind only.
        show: Columns of the example rows: keys that had a value and have none now.
    """
    now = f"count(*) filter (where {valued})"
    items, items_then = "(select count(*) from items)", "(select n from before_items)"
    then = f"(select count(*) from {before})"
    still = f"(select count(*) from {before} semi join (from {{source}} where {valued}) using ({key}))"
    lost = f"select {show} from {{source}} semi join {before} using ({key}) where not ({valued})"
    return (
        Check(
            name=f"coverage{name}",
            about=f"the share of items with {what} fell",
            value=f"case when {then} = 0 then null when {then} - {now} <= {SLACK} and {items} >= {items_then} * 0.9 "
            f"and {items} <= {items_then} * 1.1 then 1.0 "
            f"else ({now} / nullif({items}, 0)) / ({then} / nullif({items_then}, 0)) end",
            threshold=0.7,
            meaning="share of items with a value, per share in the last release, at least",
            expected="at least {threshold:.0%} of the last release's share",
            facts={"now": f"{now} / nullif({items}, 0)", "before": f"{then} / nullif({items_then}, 0)"},
            examples=lost,
            at_least=True,
        ),
        Check(
            name=f"kept{name}",
            about=f"items that had {what} in the last release have none now",
            value=f"case when {then} = 0 then null when {then} - {still} <= {SLACK} then 1.0 else {still} / {then} end",
            threshold=0.8,
            meaning="share of the last release's values that are still there, at least",
            expected="at least {threshold:.0%} of the last release's values",
            facts={"now": still, "before": then},
            examples=lost,
            at_least=True,
        ),
    )
