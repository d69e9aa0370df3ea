"""The stage that checks the tables before a release; what it finds is a value, and the gate reads it."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any

from expectations.checks import Suite
from expectations.gate import findings
from expectations.links import FAMILY, Gold
from expectations.registry import TABLES, family_of, suite_of
from expectations.suite import Asked, Verdict, as_json, run_suite
from featurizers.registry import spec_of
from storage import clock
from storage.hashing import digest, digest_of
from storage.lazy import pa
from storage.releases import Release, releases
from storage.store import Store
from tasks.features import feature_stages
from tasks.gold import gold_sets
from tasks.settings import Catalogue
from tasks.settings_stages import ValidationSettings
from tasks.stage import Stage, rows_table

VERSION = "2"


def validate_stage(catalogue: Catalogue, store: Store) -> Stage:
    """Every table that the catalogue builds to `validations`: a row per check.

    A table is checked again when it changes, when the catalogue changes one of its checks, or when the release that it
    is compared with does; all its checks at once, as one suite.
    """
    built = [stage.writes for stage in feature_stages(catalogue, store)]
    settings = catalogue.validation.with_defaults({"media.window_length": catalogue.audio.length_s})
    gold = gold_sets(catalogue)
    links = [f"{FAMILY}/{source}" for source in gold]
    known = [*TABLES, *(name for name in built if name.startswith("features/")), *links]
    tables = [table for table in known if asked_of(suite_of(table), settings)]
    reads = {name for table in tables for name in suite_of(table).reads}
    return Stage(
        name="validate",
        version=VERSION,
        reads=tuple(sorted(reads)),
        writes="validations",
        inputs=partial(wanted, tables=tables, settings=settings, gold=gold),
        compute=partial(validate_tables, settings=settings, gold=gold),
        outside=lambda: digest_of([settings.model_dump(mode="json"), tables, baselines(store, tables), _told(gold)]),
        runs_in="driver",  # Great Expectations takes 5 s to import, workers 3 s more to start
        seconds_per_key=0.05,
    )


def _told(gold: Mapping[str, Gold]) -> dict[str, str]:
    """A digest of what the gold set says, by source: another file under the same name judges anew."""
    return {source: digest_of(asdict(one)) for source, one in gold.items()}


def asked_of(suite: Suite, settings: ValidationSettings) -> list[Asked]:
    """The checks that the catalogue wants of a table."""
    made = [
        Asked(check=c, severity=settings.severity(suite.table, c), threshold=settings.threshold(suite.table, c))
        for c in suite.checks
    ]
    return [a for a in made if a.severity != "off"]


def baselines(store: Store, tables: list[str]) -> dict[str, str | None]:
    """Per table that holds something the release that it is compared with: the current one.

    Once a table is released as it stands, it keeps the release that it was compared with then: neither publishing it
    nor a roll-back is a reason to check it again.
    """
    known = releases(store)
    current = next((r.release_id for r in known if r.current), None)
    newest = next((r.tables for r in reversed(known) if r.state == "published"), {})
    compared = {f.table: f.compared_with for f in findings(store)}
    reads = {table: suite_of(table).reads for table in tables}
    versions = {name: store.data_version(name) for name in {name for names in reads.values() for name in names}}
    # Others have not been written to: no check is due.
    tables = [table for table in tables if versions[reads[table][0]] > 0]

    def settled(table: str) -> bool:
        return table in compared and all(versions[name] <= newest.get(name, -2) for name in reads[table])

    return {table: compared[table] if settled(table) else current for table in tables}


def wanted(
    store: Store, *, tables: list[str], settings: ValidationSettings, gold: Mapping[str, Gold] | None = None
) -> pa.Table:
    """The checks there should be: `table_name`, `check_name`, `compared_with`, `input_hash`; empty tables have none."""
    former, told = baselines(store, tables), _told(gold or {})
    rows: list[dict[str, Any]] = []
    for table in former:
        suite = _suite(table)
        asked = asked_of(suite, settings)
        said = [[a.check.name, a.severity, a.threshold] for a in asked]
        versions = {name: store.data_version(name) for name in suite.reads}
        judged = [told[source]] if (source := _source_of(table)) else []
        hash_ = digest(json.dumps([versions, said, former[table], *judged], sort_keys=True).encode())
        rows += [
            {"table_name": table, "check_name": a.check.name, "compared_with": former[table], "input_hash": hash_}
            for a in asked
        ]
    text = ("table_name", "check_name", "compared_with")
    columns = {name: pa.array([row[name] for row in rows], pa.string()) for name in text}
    return pa.table(columns | {"input_hash": pa.array([row["input_hash"] for row in rows], pa.int64())})


def validate_tables(
    rows: pa.Table, store: Store, *, settings: ValidationSettings, gold: Mapping[str, Gold] | None = None
) -> pa.Table:
    """A verdict for each row of `table_name`, `check_name`, `compared_with`; keeps a page per table."""
    from expectations.docs import page, write_page

    asked = rows.to_pylist()
    out: list[dict[str, Any]] = []
    for table, former in {row["table_name"]: row["compared_with"] for row in asked}.items():
        suite = _suite(table, (gold or {}).get(_source_of(table) or ""))
        verdicts, result = _validate(store, suite, former, settings)
        write_page(store, table, page(result))
        names = {row["check_name"] for row in asked if row["table_name"] == table}
        out += [_row(table, former, v) for v in verdicts if v.asked.check.name in names]
    return rows_table("validations", out)


def _validate(
    store: Store, suite: Suite, former: str | None, settings: ValidationSettings
) -> tuple[list[Verdict], Any]:
    release = _released(store, former, suite.table)
    before = None if release is None else store.database(release.tables, only=suite.reads)
    return run_suite(suite, asked_of(suite, settings), store.database(only=suite.reads), before)


def _released(store: Store, name: str | None, table: str) -> Release | None:
    """The release of that name if it is still there and holds the table."""
    return next(
        (r for r in releases(store) if r.release_id == name and r.state == "published" and table in r.tables), None
    )


def _source_of(table: str) -> str | None:
    """The source whose links are judged, of `links/SOURCE`."""
    return table.partition("/")[2] if family_of(table) == FAMILY else None


def _suite(table: str, gold: Gold | None = None) -> Suite:
    spec = spec_of(table.removeprefix("features/")) if table.startswith("features/") else None
    return suite_of(table, unit_norm=spec is not None and spec.unit == "unit-norm", gold=gold)


def _row(table: str, former: str | None, verdict: Verdict) -> dict[str, Any]:
    check = verdict.asked.check
    again = check.passes_with_time and not verdict.success
    return {
        "table_name": table,
        "check_name": check.name,
        "severity": verdict.asked.severity,
        "success": verdict.success,
        "observed": as_json(verdict.observed),
        "expected": verdict.asked.expected,
        "examples": as_json(verdict.examples),
        "about": check.about,
        "compared_with": former,
        "retry_at": clock.now() + timedelta(days=1) if again else None,
    }
