"""The `mediateca` command. Nothing heavy is imported before it is needed: an answer should not wait for torch."""

import os
import shlex
import shutil
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from deployments.cli_common import (
    CatalogueArg,
    JsonOption,
    built,
    open_store,
    print_json,
    print_table,
    tell,
    write_file,
)
from deployments.cli_index import index_app
from deployments.cli_links import links_app
from deployments.cli_models import models_app
from deployments.cli_new import new_app
from deployments.cli_sandbox import sandbox_app
from deployments.cli_train import evaluate, promote, recommend, train

if TYPE_CHECKING:
    from storage.store import Store
    from tasks.settings import Catalogue

DONE, FAILED, USAGE, PARTIAL, BLOCKED = 0, 1, 2, 3, 4
_INTERRUPTED = "stopped; run the same command again: it goes on where it stopped"

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Build, version and release multimodal recommendation datasets.\n\n"
    "A catalogue (`demo`, `demo-files`, `films`, `music`, or your own YAML file) says what to build.\n\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partial (a quota was used up), 4 not fit to be released.",
)
release_app = typer.Typer(no_args_is_help=True, help="List, compare and roll back releases.")
app.add_typer(release_app, name="release")
app.add_typer(links_app, name="links")
app.add_typer(new_app, name="new")
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(models_app, name="models")
app.add_typer(index_app, name="index")
app.command()(train)
app.command()(evaluate)
app.command()(promote)
app.command()(recommend)


def main() -> None:
    """Run the command line; errors that people can mend are one message, without a traceback."""
    with _mendable():
        app()


@contextmanager
def _mendable() -> Generator[None]:
    try:
        yield
    except KeyboardInterrupt:
        _stop(_INTERRUPTED, 130)
    except SystemExit as end:  # Typer's for Ctrl-C: it keeps the KeyboardInterrupt to itself
        if end.code == 130:
            _stop(_INTERRUPTED, 130)
        raise
    except Exception as exc:
        code = _code_of(exc)
        if code is None:
            raise
        _stop(str(exc), code)


def _code_of(exc: Exception) -> int | None:
    """Exit code of an error whose message says all there is to say; None for the others."""
    # Names, not classes: importing every module that can fail would cost what the lazy imports save.
    names = {cls.__name__ for cls in type(exc).__mro__}
    if "ReleaseBlocked" in names:
        return BLOCKED
    if names & {"NoSuchRelease", "NoPlace"}:
        return USAGE
    if names & {"StoreError", "ConnectorError", "ServerError"}:
        return FAILED
    if (
        type(exc).__module__.startswith(("tasks.", "connectors.", "storage.", "deployments.", "featurizers."))
        or type(exc) is ValueError
    ):
        return USAGE
    return None


def _stop(message: str, code: int) -> NoReturn:
    typer.secho(message, fg="red", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: what an exception keeps alive makes duckdb's bindings print a page about leaks at a usual exit.
    os._exit(code)


def _readable(catalogue: str, *, quiet: bool) -> tuple["Catalogue", "Store"]:
    """As `open_store`, and the sources' files are there: a generated world is made where it is not."""
    from tasks.prepare import ensure_world
    from tasks.progress import waiting

    chosen, store = open_store(catalogue)
    with waiting("world", quiet=quiet):
        ensure_world(chosen)
    return chosen, store


def _some(names: list[str], most: int = 2) -> str:
    """The first of the names, and how many more there are: twenty stages do not fit a column."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


# --- building


@app.command()
def build(
    catalogue: CatalogueArg,
    as_json: JsonOption = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait while another build holds the store.")] = 0.0,
    refit: Annotated[list[str] | None, typer.Option(help="Make this featurizer's frozen fit anew: tabular.")] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Ask no source: compute everything anew from what they answered.")
    ] = False,
    keep_server: Annotated[bool, typer.Option("--keep-server", help="Leave the local Prefect server running.")] = False,
) -> None:
    """Bring a catalogue up to date and release it. Interrupted, run it again: it goes on where it stopped.

    Example: `mediateca build demo`
    """
    from tasks.plan import make_plan
    from tasks.progress import waiting

    chosen, store = _readable(catalogue, quiet=as_json)
    if bad := set(refit or ()) - {"tabular"}:
        raise ValueError(f"--refit {sorted(bad)[0]}: nothing is fitted there; known: tabular")
    with waiting("plan", quiet=as_json):
        plan = make_plan(chosen, store)
    if not refit and not replay and all(row["up_to_date"] for row in plan):
        _nothing_to_do(catalogue, store, plan, as_json=as_json)
        return
    flags = {"wait_s": wait, "quiet": as_json, "refit": tuple(refit or ()), "replay": replay}
    result = _run_build(catalogue, store, keep_server=keep_server, **flags)
    if as_json:
        print_json(result)
    else:
        _say_built(catalogue, store, result)
    if result["partial"]:
        raise typer.Exit(PARTIAL)


def _run_build(catalogue: str, store: "Store", *, keep_server: bool, **flags: Any) -> dict[str, Any]:
    """The flow on a local server, or on the one that PREFECT_API_URL names."""
    from deployments.local_server import prefect_server
    from storage.lock import build_lock
    from tasks.progress import waiting
    from tasks.settings import home

    with build_lock(store.url, wait_s=flags["wait_s"]):
        pass  # refuse now, not after the server's start; the flow takes the lock for itself

    quiet = flags["quiet"]
    with ExitStack() as server, waiting("server", quiet=quiet):
        server.enter_context(prefect_server(home(), keep=keep_server, tell=tell))
        from flows.build_features import build_features
        from tasks.release import ReleaseBlocked

        flow: Any = build_features
        try:
            result = flow(catalogue, **flags)  # tells how far it is by itself
        except ReleaseBlocked as blocked:
            if quiet:
                print_json(blocked.result)
            raise
        with waiting("server", quiet=quiet):
            server.close()
        return result


def _nothing_to_do(catalogue: str, store: "Store", plan: list[dict[str, Any]], *, as_json: bool) -> None:
    from storage.releases import current_release, newest_release
    from tasks.release import validation_of
    from tasks.stage import StageResult

    current = current_release(store)
    name = current.release_id if current else None
    if as_json:
        stages = [StageResult(stage=row["stage"]).as_json() for row in plan]
        print_json({"release": name, "partial": False, "stages": stages, "validation": validation_of(store)})
        return
    _say_notes(plan)
    newest = newest_release(store)
    if newest is None or newest.release_id == name:
        typer.echo(f"nothing to do: release {name} is up to date")
        return
    whose = f"{name} is current since a rollback" if name else "no release is current"
    typer.echo(
        f"nothing to do: release {newest.release_id} holds all there is; {whose} "
        f"(`{_me()} release rollback {shlex.quote(catalogue)} {newest.release_id}` makes {newest.release_id} current)"
    )


def _say_notes(plan: list[dict[str, Any]]) -> None:
    for row in plan:
        if row["note"]:
            typer.echo(f"note: {row['stage']}: {row['note']}")


def _say_built(catalogue: str, store: "Store", result: dict[str, Any]) -> None:
    _print_status(catalogue, store, result["release"])
    state = " (partial: a quota was used up; run it again when it is renewed)" if result["partial"] else ""
    typer.secho(f"release {result['release']}{state}", fg="green", bold=True)
    me, named = _me(), shlex.quote(catalogue)
    typer.echo("next:")
    typer.echo(f'  {me} sql {named} "select title, creators, year, genres from items limit 10"')
    typer.echo(f"  {me} report {named}   # the page to look at")
    typer.echo(f"  {me} export {named} --to {shlex.quote(f'{Path(catalogue).stem}-export')}")
    typer.echo(f"  {me} build {named}   # again: nothing changed, so nothing is done")


def _me() -> str:
    """How this command is called, for a line to be copied."""
    return "mediateca" if shutil.which("mediateca") else shlex.quote(sys.argv[0])


@app.command()
def plan(catalogue: CatalogueArg, as_json: JsonOption = False) -> None:
    """Show what `build` would do, stage by stage, and how long it would take.

    Example: `mediateca plan films`
    """
    from deployments.cli_plan import version_change
    from tasks.plan import make_plan

    chosen, store = _readable(catalogue, quiet=as_json)
    rows = make_plan(chosen, store)
    if as_json:
        print_json({"stages": rows})
        return
    names = ("stage", "up_to_date", "new", "changed", "retry", "removed", "seconds_estimate", "requests_estimate")
    shown = [{n.replace("_", " "): row[n] for n in names} | {"after": _some(row["follows"])} for row in rows]
    print_table(f"{chosen.catalogue}: {store.url}", shown)
    for row in rows:
        if change := row["version_change"]:
            typer.echo(version_change(row["stage"], change))
    _say_notes(rows)


@app.command()
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


def _print_status(catalogue: str, store: "Store", release: str) -> None:
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


# --- looking


@app.command()
def sql(
    catalogue: CatalogueArg,
    query: Annotated[
        str, typer.Argument(help="A DuckDB query over the views `items`, `interactions`, `features_minilm` ...")
    ],
    release_id: Annotated[str | None, typer.Option("--release", help="Read this release instead of now.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the tables with SQL (DuckDB); `show tables` lists them.

    Example: `mediateca sql films "select title, year from items where list_contains(genres, 'film-noir') limit 5"`
    """
    import duckdb

    from storage.releases import find_release
    from storage.store import rows_of

    _, store = built(catalogue)
    versions = find_release(store, release_id).tables if release_id else None
    try:
        con = store.database(versions, only=_named_in(query, store))
        reads = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
        if [s.type in reads for s in con.extract_statements(query)] != [True]:
            raise ValueError("sql: one query, please, that reads: `select`, `show tables`, `describe`, `explain`")
        answer = con.sql(query)
        rows = rows_of(answer)
    except duckdb.Error as exc:
        raise ValueError(f"sql: {exc}") from exc
    if as_json:
        print_json(rows)
    elif rows:
        # Numbers as they are: 1,995 is no year.
        print_table("", [{name: str(v) if isinstance(v, int) else v for name, v in row.items()} for row in rows])


@app.command()
def neighbors(
    catalogue: CatalogueArg,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="item_id, `source:source_id`, or a title.")],
    feature: Annotated[str | None, typer.Option(help="By which feature; default: the first that is indexed.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many, 1 to 1,000.")] = 10,
    release_id: Annotated[str | None, typer.Option("--release", help="Default: the current release.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the items nearest to one, by the vector index of a release. Higher scores are nearer.

    The score is the cosine, or, where the catalogue says `metric: l2`, the distance with a minus sign.

    Example: `mediateca neighbors films movielens:1 --feature minilm -k 5`
    """
    from storage.releases import find_release
    from tasks.neighbors import find_neighbors

    _, store = built(catalogue)
    release = find_release(store, release_id)
    found = find_neighbors(store, release, item, feature=feature, k=k)
    for note in found.notes:
        typer.secho(f"note: {note}", fg="yellow", err=True)
    if as_json:
        print_json([{name: row[name] for name in ("item_id", "title", "score")} for row in found.rows])
        return
    rows = [
        {"title": r["title"], "year": str(r["year"] or ""), "kind": r["kind"], "score": f"{r['score']:.3f}"}
        for r in found.rows
    ]
    # Not as the table's title, which would be broken at the table's width.
    title, item_id = found.item["title"], found.item["item_id"]
    typer.echo(f"nearest to {title} ({item_id}) by {found.feature}, release {release.release_id}")
    print_table("", rows)


def _named_in(query: str, store: "Store") -> list[str] | None:
    """The tables that the query can mean; None, for all, when it names none (`show tables`). Opening costs time."""
    from storage.schemas import table_of

    return [name for name in store.tables() if table_of(name).view in query.lower()] or None


# --- releases


@release_app.command("list")
def release_list(catalogue: CatalogueArg, as_json: JsonOption = False) -> None:
    """List the releases, oldest first.

    Example: `mediateca release list demo`
    """
    from dataclasses import asdict

    from storage.releases import releases

    _, store = built(catalogue)
    found = releases(store)
    if as_json:
        print_json([asdict(r) for r in found])
        return
    print_table(
        "",
        [
            {
                "release": r.release_id + (" (current)" if r.current else ""),
                "state": r.state + (", partial" if r.partial else ""),
                "created": f"{r.created_at:%Y-%m-%d %H:%M:%S} UTC",
                "items": r.counts.get("items", 0),
                "interactions": r.counts.get("interactions", 0),
                "code": r.code_version,
                "catalogue": r.catalogue_hash,
            }
            for r in found
        ],
    )


@release_app.command("diff")
def release_diff(
    catalogue: CatalogueArg,
    old: Annotated[str, typer.Argument(help="The earlier release.")],
    new: Annotated[str | None, typer.Argument(help="The later one; default: the current.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two releases: rows, and keys added, removed, changed.

    Example: `mediateca release diff demo v1 v2`
    """
    from storage.releases import diff, find_release

    _, store = built(catalogue)
    rows = diff(store, find_release(store, old), find_release(store, new))
    print_json(rows) if as_json else print_table("", rows)


@release_app.command("rollback")
def release_rollback(
    catalogue: CatalogueArg,
    to: Annotated[str, typer.Argument(help="The release to make current again.")],
    as_json: JsonOption = False,
) -> None:
    """Make an earlier release current again; nothing is deleted.

    Example: `mediateca release rollback demo v1`
    """
    from storage.lock import build_lock
    from storage.releases import rollback

    _, store = built(catalogue)
    with build_lock(store.url):
        found = rollback(store, to)
    print_json({"release": found.release_id}) if as_json else typer.echo(f"release {found.release_id} is current")


@app.command()
def export(
    catalogue: CatalogueArg,
    to: Annotated[Path, typer.Option("--to", help="Folder to write; it must not exist, or be empty.")],
    release_id: Annotated[str | None, typer.Option("--release", help="Default: the current release.")] = None,
    float16: Annotated[bool, typer.Option("--float16", help="Vectors as float16: half the size.")] = False,
    no_media: Annotated[bool, typer.Option("--no-media", help="Leave out recordings and pictures.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a release as plain Parquet shards with a card and checksums, for `datasets`, DuckDB, Polars, pandas.

    Example: `mediateca export demo --to demo-export`
    """
    from storage.releases import find_release
    from tasks.export import export_release
    from tasks.progress import Bars

    _, store = built(catalogue)
    release = find_release(store, release_id)
    try:
        with Bars(quiet=as_json, after_s=2.0) as bars:
            found = export_release(store, release, to, float16=float16, media=not no_media, progress=bars)
    except KeyboardInterrupt:
        _stop(f"stopped; nothing was written to {to}", 130)
    for name, counts in found["media_left_out"].items():
        told = ", ".join(f"{count:,} {why}" for why, count in counts.items())
        typer.secho(f"note: {name}: media files left out: {told}", fg="yellow", err=True)
    if as_json:
        print_json(found)
        return
    typer.echo(f"{found['release']}: {len(found['files'])} files, {found['bytes'] / 1e6:.1f} MB in {to}")
    typer.echo(f"before you publish it, fill in the licence in {to / 'README.md'}")


@app.command()
def report(
    catalogue: CatalogueArg,
    release_id: Annotated[str | None, typer.Option("--release", help="Default: the newest build.")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Copy the page to this file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print where the report of a release lies: one HTML page to look at in a browser, or to send.

    Each build draws one, also a build that is not fit to be released; the newest is the default.

    Example: `mediateca report demo --to demo.html`
    """
    from tasks.report import find_report, report_page

    _, store = built(catalogue)
    found = find_report(store, release_id)
    place = found.place
    if to is not None:
        write_file("report --to", to, report_page(store, found))
        place = str(to)
    if not found.published:
        typer.secho(f"note: {found.release_id} was not published", fg="yellow", err=True)
    if as_json:
        print_json(found._asdict() | {"place": place})
    else:
        typer.echo(place)


@app.command()
def takedown(
    catalogue: CatalogueArg,
    items: Annotated[list[str], typer.Argument(help="item_ids to remove for good.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    note: Annotated[str, typer.Option(help="Why; kept with the take-down.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Remove items for good: their rows, the releases that hold them, the files behind both; they stay out.

    Example: `mediateca takedown demo kq3v7x2m4c5n6b8a --yes --note "rights holder, 2026-11-22"`
    """
    from tasks.maintain import take_down

    _, store = built(catalogue)
    if not yes:
        typer.confirm(f"remove {len(items)} item(s) and retire every release that holds them?", abort=True, err=True)
    found = take_down(store, items, note=note)
    if as_json:
        print_json(found)
        return
    typer.echo(
        f"removed {found['rows']:,} rows of {len(found['items'])} item(s); "
        f"releases retired: {', '.join(found['retired']) or 'none'}"
    )
    if found["models"]:
        typer.echo(f"models trained on the retired releases: {', '.join(found['models'])}")
    typer.echo(f"`mediateca build {shlex.quote(catalogue)}` publishes a release without them")


# --- first steps


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The YAML file to write.")],
    movielens: Annotated[Path | None, typer.Option(help="Folder with ratings.csv, movies.csv, links.csv.")] = None,
    tmdb: Annotated[Path | None, typer.Option(help="Folder or file of TMDb films.")] = None,
    spotify: Annotated[Path | None, typer.Option(help="Spotify track table (CSV).")] = None,
    mpd: Annotated[Path | None, typer.Option(help="Million Playlist Dataset: folder, slice or archive.")] = None,
    lastfm: Annotated[Path | None, typer.Option(help="Folder of the Last.fm-1K dump.")] = None,
    music: Annotated[Path | None, typer.Option(help="Folder of recordings: MP3, FLAC, Ogg, M4A ...")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of pictures; one called like a recording belongs to it.")
    ] = None,
    listener: Annotated[
        list[str] | None, typer.Option(help="User of Last.fm whose history is read; may be repeated.")
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Also search the live sources: Spotify, YouTube, Genius, TMDb. Needs keys."),
    ] = False,
) -> None:
    """Write a catalogue over your own files and listeners, ready to build.

    Example: `mediateca init my-music.yaml --music ~/Music --images ~/Covers`

    With the live sources, whose keys `mediateca doctor` looks for: `mediateca init live.yaml --listener rj --live`
    """
    from deployments.template import catalogue_text

    given = {"movielens": movielens, "tmdb_files": tmdb, "spotify_tracks": spotify, "mpd": mpd, "lastfm_1k": lastfm}
    given |= {"music_folder": music, "image_folder": images}
    found = {name: folder for name, folder in given.items() if folder}
    text = catalogue_text(path, found, listeners=listener or (), live=live)
    write_file("init", path, text.encode(), mode="xb")
    typer.echo(f"wrote {path}; next: {_me()} plan {shlex.quote(str(path))}")


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Check this machine: what is missing, and how to get it.

    Example: `mediateca doctor`
    """
    from deployments.checks import run_checks

    rows = run_checks()
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            mark, colour = {"ok": ("ok  ", "green"), "warn": ("note", "yellow"), "fail": ("FAIL", "red")}[row["state"]]
            typer.echo(f"{typer.style(mark, fg=colour)}  {row['check']}: {row['found']}")
            if row["hint"]:
                typer.echo(f"      {row['hint']}")
    if any(row["state"] == "fail" for row in rows):
        raise typer.Exit(FAILED)


if __name__ == "__main__":
    main()
