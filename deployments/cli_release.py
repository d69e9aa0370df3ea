"""`mediateca release`: list, compare and roll back releases."""

from typing import Annotated

import typer

from deployments.cli_common import CatalogueArg, JsonOption, built, print_json, print_table

release_app = typer.Typer(no_args_is_help=True, help="List, compare and roll back releases.")


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
