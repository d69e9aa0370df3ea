"""Running a suite: DuckDB measures, Great Expectations judges, DuckDB fetches examples of what failed."""

# Annotations stay text: pandas is imported at its first use.
from __future__ import annotations

import json
import logging
import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from expectations.checks import EXAMPLES, Check, Severity, Suite
from storage.store import rows_of

_LONGEST_TEXT = 80


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A check as the catalogue wants it."""

    check: Check
    severity: Severity
    threshold: float

    @property
    def limit(self) -> float:
        """What the number is held against."""
        return self.check.limit(self.threshold)

    @property
    def expected(self) -> str:
        """What is expected, for people."""
        return self.check.says(self.threshold)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one check found."""

    asked: Asked
    success: bool
    observed: dict[str, Any]  # `value`, and the check's facts
    examples: list[dict[str, Any]]  # at most EXAMPLES offending rows


def run_suite(suite: Suite, asked: list[Asked], con: Any, former: Any | None) -> tuple[list[Verdict], Any]:
    """Check one table.

    Args:
        suite: The table's checks.
        asked: Those that are wanted.
        con: DuckDB over the tables of now (`Store.database`).
        former: DuckDB over those of the last release; None when there is nothing to compare with.

    Returns:
        A verdict per check asked for, and Great Expectations' result, from which `docs.page` makes a page.
    """
    _look_back(suite, con, former)
    if suite.prepare:
        suite.prepare(con, former)
    profile = measure(suite, asked, con)
    result = expect(suite.table, asked, profile)
    passed = {r.expectation_config.meta["check"]: bool(r.success) for r in result.results}
    return [_verdict(suite, a, profile, con, success=passed[a.check.name]) for a in asked], result


def _look_back(suite: Suite, con: Any, former: Any | None) -> None:
    for name, sql in suite.before.items():
        if former is None:
            con.sql(f"create temp table {name} as from ({sql}) limit 0")
        else:
            con.register(name, former.sql(sql).to_arrow_table())


def measure(suite: Suite, asked: list[Asked], con: Any) -> dict[str, Any]:
    """The profile: a number or None per check, and `check.fact` for what explains it."""
    columns: dict[str, str] = {}
    for a in asked:
        columns[a.check.name] = a.check.value
        columns |= {f"{a.check.name}.{fact}": sql for fact, sql in a.check.facts.items()}
        for name in (n for n in columns if n.partition(".")[0] == a.check.name):
            columns[name] = columns[name].format(threshold=a.threshold, source=suite.source)
    listed = ", ".join(f'{sql} as "{name}"' for name, sql in columns.items())
    (row,) = rows_of(con.sql(f"select {listed} from {suite.source}"))
    return {name: _finite(value) for name, value in row.items()}


def _finite(value: Any) -> Any:
    number = None if value is None else float(value)
    if number is None or math.isnan(number):
        return None
    return int(number) if isinstance(value, int) else number


def _verdict(suite: Suite, asked: Asked, profile: Mapping[str, Any], con: Any, *, success: bool) -> Verdict:
    name = asked.check.name
    facts = {fact: profile[f"{name}.{fact}"] for fact in asked.check.facts}
    examples = [] if success else _examples(suite, asked, con)
    return Verdict(asked=asked, success=success, observed={"value": profile[name]} | facts, examples=examples)


def _examples(suite: Suite, asked: Asked, con: Any) -> list[dict[str, Any]]:
    if not asked.check.examples:
        return []
    sql = asked.check.examples.format(source=suite.source, threshold=asked.threshold)
    rows = rows_of(con.sql(f"select * from ({sql}) limit {EXAMPLES}"))
    return [{name: _short(value) for name, value in row.items()} for row in rows]


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "…"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_short(cell) for cell in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


# --- Great Expectations


def expect(table: str, asked: list[Asked], profile: Mapping[str, Any]) -> Any:
    """Great Expectations' verdict on the profile as a frame of one row; its result can be rendered."""
    import pandas as pd

    gx, source = _great_expectations()
    suite = gx.ExpectationSuite(name=table, expectations=[_expectation(gx, a, profile) for a in asked])
    asset = source.add_dataframe_asset(table)
    batch = asset.add_batch_definition_whole_dataframe("profile").get_batch({"dataframe": pd.DataFrame([profile])})
    result = batch.validate(suite)
    source.delete_asset(table)
    for found in result.results:
        if "observed_value" in found.result:  # numpy's numbers, which the renderer refuses
            found.result["observed_value"] = float(found.result["observed_value"])
    return result


def _expectation(gx: Any, asked: Asked, profile: Mapping[str, Any]) -> Any:
    check, kinds = asked.check, gx.expectations
    given: dict[str, Any] = {
        "column": check.name,
        "min_value" if check.at_least else "max_value": asked.limit,
        "severity": "critical" if asked.severity == "block" else "warning",
        "description": f"{check.name}: {asked.expected} (else: {check.about})",
        "meta": {"check": check.name},
    }
    if profile[check.name] is None:
        return kinds.ExpectColumnValuesToBeBetween(**given)  # passes over nulls: there is nothing to check
    kind = kinds.ExpectColumnMinToBeBetween if check.at_least else kinds.ExpectColumnMaxToBeBetween
    return kind(**given)


@lru_cache(maxsize=1)
def _great_expectations() -> tuple[Any, Any]:
    """The library, quiet and alone, and a source of frames; its import takes about 5 s."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own deprecated imports
        import great_expectations as gx
        from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    # Its own site of pages would leave a temporary folder behind; `docs` keeps them in the store.
    backend = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
    config = DataContextConfig(store_backend_defaults=backend, analytics_enabled=False)
    context = gx.get_context(mode="ephemeral", project_config=config)
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    return gx, context.data_sources.add_pandas("profiles")


def as_json(value: Any) -> str:
    """Compact JSON of what a verdict holds."""
    return json.dumps(value, ensure_ascii=False, default=str)
