"""`mediateca status`: rows, reasons and checks of a store, or the requests that live sources were asked."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.cli_common import CatalogueArg, JsonOption, built, print_json, print_table

if TYPE_CHECKING:
    from storage.store import Store


def status(
    catalogue: CatalogueArg,
    as_json: JsonOption = False,
    quota: Annotated[
        bool, typer.Option("--quota", help="Show the requests made to live sources, and what is left of their quotas.")
    ] = False,
) -> None:
    """Show what the store holds: rows, values, reasons for what has none, and the current release.

    Example: `mediateca status demo --json`

    With `--quota`: the ledger of requests, by source, credential (its digest) and day (UTC). It is the home's: all
    catalogues that use a credential share its quota.
    """
    if quota:
        _print_quota(catalogue, as_json=as_json)
        return
    from expectations.gate import findings, summary
    from storage.releases import current_release

    chosen, store = built(catalogue)
    current = current_release(store)
    name = current.release_id if current else None
    tables = _table_status(store)
    if as_json:
        print_json({"tables": tables, "release": name, "validation": summary(findings(store))})
        return
    _print_tables(f"{chosen.catalogue}: {store.url}, release {name or 'none yet'}", tables)
    _print_checks(store)


def _print_quota(catalogue: str, *, as_json: bool) -> None:
    from connectors.http_ledger import ledger_path, ledger_rows
    from tasks.settings import load_catalogue

    load_catalogue(catalogue)  # a catalogue that cannot be read is said here too
    rows = ledger_rows()
    if as_json:
        print_json({"ledger": str(ledger_path()), "quota": rows})
    elif not rows:
        typer.echo(f"no request has been made to a live source; the ledger would be {ledger_path()}")
    else:
        shown = [{name.replace("_", " "): value for name, value in row.items()} for row in rows]
        print_table(f"requests to live sources: {ledger_path()}", shown)


def print_status(catalogue: str, store: "Store", release: str) -> None:
    """Tables and checks, for people."""
    _print_tables(f"{catalogue}: {store.url}, release {release}", _table_status(store))
    _print_checks(store)


def _print_checks(store: "Store") -> None:
    from expectations.gate import findings

    found = findings(store)
    failed = [f for f in found if not f.success]
    if failed:
        rows = [{"check": f.name, "": f.severity, "observed": f.saw, "expected": f.expected} for f in failed]
        print_table(f"{len(found) - len(failed)} checks passed, {len(failed)} failed", rows)
    elif found:
        typer.echo(f"{len(found)} checks passed")


def _print_tables(title: str, tables: dict[str, dict[str, Any]]) -> None:
    rows = [
        {"table": name, "rows": t["rows"], "ok": t["ok"], "version": t["version"], "reasons": _counts(t["reasons"])}
        for name, t in tables.items()
    ]
    print_table(title, rows)


def _counts(reasons: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())


def _table_status(store: "Store") -> dict[str, dict[str, Any]]:
    from storage.schemas import table_of

    con, found = store.database(), {}
    for name in store.tables():
        table = table_of(name)
        # Refused rows are values of `quarantine`; their reasons are counted all the same.
        reason = "reason" if "reason" in table.names else "null::varchar"
        counted = con.sql(f"select {reason}, count(*) from {table.view} group by 1 order by 1").fetchall()
        reasons = {r: n for r, n in counted if r is not None}
        rows = sum(n for _, n in counted)
        failed = 0 if table.kind != "keyed" else sum(reasons.values()) - reasons.get("empty", 0)
        found[name] = {"rows": rows, "ok": rows - failed, "reasons": reasons, "version": store.version(name)}
    return found
