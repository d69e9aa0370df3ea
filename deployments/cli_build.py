"""`mediateca plan`, `build`, `status`: what there is to do, doing it, what there is then."""

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.cli_common import PARTIAL, CatalogueArg, JsonOption, me, open_store, print_json, print_table, tell
from deployments.cli_status import print_status

if TYPE_CHECKING:
    from storage.store import Store
    from tasks.settings import Catalogue


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


def _some(names: list[str], most: int = 2) -> str:
    """The first of the names, and how many more there are: twenty stages do not fit a column."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


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


def _readable(catalogue: str, *, quiet: bool) -> tuple["Catalogue", "Store"]:
    """As `open_store`, and the sources' files are there: a generated world is made where it is not."""
    from tasks.prepare import ensure_world
    from tasks.progress import waiting

    chosen, store = open_store(catalogue)
    with waiting("world", quiet=quiet):
        ensure_world(chosen)
    return chosen, store


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
        f"(`{me()} release rollback {shlex.quote(catalogue)} {newest.release_id}` makes {newest.release_id} current)"
    )


def _say_notes(plan: list[dict[str, Any]]) -> None:
    for row in plan:
        if row["note"]:
            typer.echo(f"note: {row['stage']}: {row['note']}")


def _say_built(catalogue: str, store: "Store", result: dict[str, Any]) -> None:
    print_status(catalogue, store, result["release"])
    state = " (partial: a quota was used up; run it again when it is renewed)" if result["partial"] else ""
    typer.secho(f"release {result['release']}{state}", fg="green", bold=True)
    called, named = me(), shlex.quote(catalogue)
    typer.echo("next:")
    typer.echo(f'  {called} sql {named} "select title, creators, year, genres from items limit 10"')
    typer.echo(f"  {called} report {named}   # the page to look at")
    typer.echo(f"  {called} export {named} --to {shlex.quote(f'{Path(catalogue).stem}-export')}")
    typer.echo(f"  {called} build {named}   # again: nothing changed, so nothing is done")
