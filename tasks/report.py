"""The stage that draws the release report: one self-contained page of what the tables hold, before the release."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from storage import clock
from storage.hashing import digest
from storage.lazy import pa
from storage.releases import current_release, find_release, next_number, releases
from storage.reports import newest_report, page_name, put_page, read_page
from storage.schemas import table_of
from storage.store import Store, rows_of
from tasks.pending import last_runs
from tasks.settings import Catalogue
from tasks.stage import Stage, per_item, rows_table

if TYPE_CHECKING:
    from expectations.gate import Found

VERSION = "4"
_NAME = "release"
_COUNTED = ("items", "users", "texts", "media")  # at the head of the page, beside interactions


class Subject(NamedTuple):
    """For which release a page is drawn, and against which."""

    release_id: str
    former: str | None


class NoReport(ValueError):
    """There is no page to show; the message says how to get one."""


class Report(NamedTuple):
    """A page that was drawn."""

    release_id: str  # for which it was drawn
    published: bool
    sha256: str
    size_bytes: int
    place: str  # path or URL
    made_at: datetime


# --- the stage


def report_stage(catalogue: Catalogue, store: Store, tables: Sequence[str], is_released: Callable[[], bool]) -> Stage:
    """The tables that a release holds to the one row of `reports`.

    Args:
        catalogue: Its digest is part of what the page says.
        store: The store.
        tables: What the page is drawn from.
        is_released: Whether the newest release holds what the tables hold now.
    """
    return Stage(
        name="report",
        version=VERSION,
        reads=tuple(tables),
        writes="reports",
        inputs=partial(wanted, catalogue=catalogue, tables=tables, is_released=is_released),
        compute=partial(draw_reports, catalogue=catalogue, tables=tables),
        outside=lambda: json.dumps([catalogue.digest, subject(store, is_released=is_released())]),
        runs_in="driver",  # one page; the work is DuckDB's, on all cores
        seconds_per_key=5.0,
    )


def subject(store: Store, *, is_released: bool) -> Subject:
    """The next release against the current one.

    Once the tables are released as they stand, the page stays that of the newest release: publishing what it shows is
    no reason to draw it again.
    """
    if is_released:
        drawn = newest_report(store)
        return Subject(f"v{next_number(store) - 1}", drawn["compared_with"] if drawn else None)
    current = current_release(store)
    return Subject(f"v{next_number(store)}", current.release_id if current else None)


def wanted(store: Store, *, catalogue: Catalogue, tables: Sequence[str], is_released: Callable[[], bool]) -> pa.Table:
    """The one page there should be: `name`, `release_id`, `compared_with`, `input_hash`."""
    of = subject(store, is_released=is_released())
    versions = {name: store.data_version(name) for name in tables}
    hash_ = digest(json.dumps([versions, catalogue.digest, of], sort_keys=True).encode())
    row = {"name": _NAME, "release_id": of.release_id, "compared_with": of.former}
    columns = {name: pa.array([value], pa.string()) for name, value in row.items()}
    return pa.table(columns | {"input_hash": pa.array([hash_], pa.int64())})


def draw_reports(rows: pa.Table, store: Store, *, catalogue: Catalogue, tables: Sequence[str]) -> pa.Table:
    """Draw and store the page; a fault in drawing it is a row with a reason, and keeps no release back."""

    def one(row: dict[str, Any]) -> dict[str, Any]:
        began = time.perf_counter()
        content = draw(store, catalogue, tables, Subject(row["release_id"], row["compared_with"]))
        return {
            "sha256": put_page(store, content),
            "size_bytes": len(content),
            "release_id": row["release_id"],
            "compared_with": row["compared_with"],
            "seconds": round(time.perf_counter() - began, 3),
        }

    return rows_table("reports", per_item(rows, ("name",), one))


# --- drawing


def draw(store: Store, catalogue: Catalogue, tables: Sequence[str], of: Subject) -> bytes:
    """The page of what these tables hold now."""
    from expectations.gate import findings
    from tasks import report_data, report_duplicates, report_gallery, report_items, report_maps, report_sections
    from tasks.report_page import page

    con, found, known = store.database(only=tables), findings(store, tables), releases(store)
    report_data.group_interactions(con)
    features = [name for name in tables if name.startswith("features/")]
    vectors = [name.removeprefix("features/") for name in features if _columns(name).get("value") == "floats"]
    items = report_items.choose(con)
    mel = _columns("features/mel").get("value") == "binary" and "features/mel" in features
    report_items.illustrate(store, con, items, mel=mel)
    maps = report_gallery.embeddings(con, report_maps.make_maps(con, vectors))
    indexes = rows_of(con.sql("select * from indexes order by feature"))
    sections = [
        report_sections.checks(found) if found else "",
        report_sections.coverage(con, features),
        report_sections.reasons(con, {name: table_of(name).view for name in tables if _has_reasons(name)}),
        report_duplicates.duplicates(con),
        report_sections.distributions(con),
        report_sections.interactions(con),
        report_gallery.gallery(items),
        maps.html,
        report_gallery.neighbours(store, con, indexes),
        report_gallery.indexes(indexes),
        report_gallery.history(known),
    ]
    head = _head(store, con, catalogue, of, found)
    return page(head, sections, report_gallery.script_data(maps.data))


def _head(store: Store, con: Any, catalogue: Catalogue, of: Subject, found: list[Found]) -> Any:
    from tasks import report_data
    from tasks.release import code_version  # it imports the plan, which imports this module
    from tasks.report_html import number
    from tasks.report_page import RIGHTS, Count, Head

    counts = report_data.glance(con, interactions=report_data.count_interactions(con))
    state, verdict, why = _verdict(store, found, of, items=sum(report_data.item_counts(con).values()))
    before = _counts_before(store, of)
    facts = {"drawn": f"{clock.now():%Y-%m-%d %H:%M} UTC", "compared with": of.former or "nothing before it"}
    facts |= {"code": code_version(), "catalogue": catalogue.digest, "sources": ", ".join(catalogue.sources)}
    return Head(
        kind="release report",
        title=catalogue.catalogue,
        name=of.release_id,
        about=catalogue.about,
        state=state,
        verdict=verdict,
        why=why,
        counts={name: Count(number(n), _grown(name, n, before, of.former)) for name, n in counts.items() if n},
        facts=facts,
        footer=f"Drawn by mediateca before {of.release_id} was published or refused. {RIGHTS}",
    )


def _grown(name: str, n: int, before: dict[str, int], former: str | None) -> str:
    """Since the former release, if there is one."""
    if not before:
        return ""
    grown = n - before.get(name, 0)
    return f"{grown:+,} since {former}" if grown else f"as in {former}"


def _verdict(store: Store, found: list[Found], of: Subject, *, items: int) -> tuple[str, str, str]:
    """The colour, the verdict and the reason for it."""
    blocking, failed = [f for f in found if f.blocks], [f for f in found if not f.success]
    stays = f"{of.former} stays current." if of.former else "Nothing is released yet."
    quota = [stage for stage, run in last_runs(store).items() if run["status"] == "partial"]
    left = f" Partial: a quota ended {', '.join(quota)}; the next build goes on there." if quota else ""
    if not items:
        return "bad", "Not released.", f"There is no item. {stays}"
    if blocking:
        n = "1 check" if len(blocking) == 1 else f"{len(blocking)} checks"
        return "bad", "Not fit to be released.", f"{n} of {len(found)} failed that must pass. {stays}{left}"
    if failed:
        passed = len(found) - len(failed)
        return "warned", "Fit to be released.", f"{passed} of {len(found)} checks passed, others warn.{left}"
    said = f"All {len(found)} checks passed." if found else "Nothing was checked."
    return "warned" if left else "good", "Fit to be released.", said + left


def _counts_before(store: Store, of: Subject) -> dict[str, int]:
    from tasks import report_data

    former = next((r for r in releases(store) if r.release_id == of.former), None)
    if former is None or any(name not in former.counts for name in (*_COUNTED, "interactions")):
        return {}
    con = store.database(former.tables, only=_COUNTED)
    return report_data.glance(con, interactions=former.counts["interactions"])


def _columns(table: str) -> dict[str, str]:
    return {column.name: column.type for column in table_of(table).columns}


def _has_reasons(table: str) -> bool:
    # What a check found is told in its section; its own reasons are faults of checking.
    return {"reason", "detail"} <= _columns(table).keys() and table != "validations"


# --- what was drawn


def find_report(store: Store, release_id: str | None = None) -> Report:
    """The page of a release, or the newest one.

    Raises:
        NoReport: None was drawn, or drawing it failed.
        NoSuchRelease: There is no release of that name.
    """
    release = find_release(store, release_id) if release_id else None
    row = newest_report(store, None if release is None else release.tables.get("reports", 0))
    if row is None:
        named = f"release {release_id}" if release_id else "nothing"
        raise NoReport(f"store {store.url}: no report of {named}; `mediateca build` draws one with the next release")
    if not row["sha256"]:
        raise NoReport(
            f"store {store.url}: the report could not be drawn: {row['reason']} ({row['detail']}); "
            "`mediateca build` tries again a day later"
        )
    published = {r.release_id for r in releases(store) if r.state == "published"}
    return Report(
        release_id=row["release_id"],
        published=row["release_id"] in published,
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        place=f"{store.url}/{page_name(row['sha256'])}",
        made_at=row["computed_at"],
    )


def report_page(store: Store, report: Report) -> bytes:
    """The page itself.

    Raises:
        StoreError: Its file is not there.
    """
    return read_page(store, report.sha256)
