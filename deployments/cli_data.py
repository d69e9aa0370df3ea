"""`mediateca sql`, `neighbors`, `export`, `report`, `takedown`: looking at what was built, and taking it away."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.cli_common import CatalogueArg, JsonOption, built, print_json, print_table, stop, write_file

if TYPE_CHECKING:
    from storage.store import Store


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


def _named_in(query: str, store: "Store") -> list[str] | None:
    """The tables that the query can mean; None, for all, when it names none (`show tables`). Opening costs time."""
    from storage.schemas import table_of

    return [name for name in store.tables() if table_of(name).view in query.lower()] or None


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
        stop(f"stopped; nothing was written to {to}", 130)
    for name, counts in found["media_left_out"].items():
        told = ", ".join(f"{count:,} {why}" for why, count in counts.items())
        typer.secho(f"note: {name}: media files left out: {told}", fg="yellow", err=True)
    if as_json:
        print_json(found)
        return
    typer.echo(f"{found['release']}: {len(found['files'])} files, {found['bytes'] / 1e6:.1f} MB in {to}")
    typer.echo(f"before you publish it, fill in the licence in {to / 'README.md'}")


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
