"""`mediateca index`: the bundles that a service answers from."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.cli_common import CatalogueArg, JsonOption, print_json

if TYPE_CHECKING:
    from storage.bundles import Bundle
    from storage.store import Store

index_app = typer.Typer(no_args_is_help=True, help="Published bundles: publish, list, show, roll back.")
SlotOption = Annotated[
    str | None, typer.Option("--of", help="A slot: track, new-track, film, ...; default: the only one there is.")
]
EachOption = Annotated[str | None, typer.Option("--of", help="A slot: track, new-track, film, ...; default: each.")]


@index_app.command("list")
def list_command(catalogue: CatalogueArg, slot: EachOption = None, as_json: JsonOption = False) -> None:
    """The bundles there are, the oldest first, and which is served in each slot.

    Example: `mediateca index list demo`
    """
    from storage.bundles import bundles

    rows = [_row(bundle) for bundle in bundles(_store(catalogue), slot)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        typer.echo("no bundle yet; `publish-index` makes one of a trained model")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], box=None, header_style="bold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()), style="green" if row["current"] else None)
    Console().print(table)


@index_app.command("show")
def show_command(
    catalogue: CatalogueArg,
    bundle: Annotated[str | None, typer.Argument(help="A bundle; left out, the one that is served.")] = None,
    slot: SlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a bundle holds: release, model, revisions, kind of index, what was measured, files; all of it with --json.

    Example: `mediateca index show demo --of track`
    """
    from storage.bundle_delta import delta_of
    from storage.bundles import find_bundle

    store = _store(catalogue)
    found = find_bundle(store, bundle, slot=slot)
    delta = delta_of(store, found.slot, found.bundle_id)
    since = {"added": len(delta.added), "removed": len(delta.removed)}
    if as_json:
        print_json({**found.manifest, "current": found.current, "since": since})
        return
    size = sum(file["size_bytes"] for file in found.manifest["files"].values())
    lines = {**_row(found), "features": found.manifest["features"], "measured": found.manifest["measured"]}
    for name, value in (lines | {"since": since, "files": f"{len(found.manifest['files'])}, {size:,} bytes"}).items():
        typer.echo(f"{name:>12}  {json.dumps(value) if isinstance(value, dict) else _cell(value)}")


@index_app.command("publish")
def publish_command(catalogue: CatalogueArg, slot: EachOption = None, as_json: JsonOption = False) -> None:
    """Serve the champion from an index: embed its items, measure, check, then switch; a failed check changes nothing.

    Example: `mediateca index publish demo --of track`
    """
    from tasks.publish_champion import NoUserTower, publish_champions

    found = publish_champions(_store(catalogue), slot, again=True)
    if as_json:
        print_json([one.as_json() for one in found])
    for one in found:
        if not as_json:
            typer.echo(_served(one.bundle) if one.bundle else f"{one.slot}: {one.error}")
        if one.error and (slot or not isinstance(one.error, NoUserTower)):
            raise one.error


@index_app.command("rollback")
def rollback_command(
    catalogue: CatalogueArg,
    bundle: Annotated[str | None, typer.Argument(help="A bundle; left out, the one before the served one.")] = None,
    slot: SlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve an earlier bundle again, after comparing its files with their checksums; services follow in seconds.

    What was removed since stays removed.

    Example: `mediateca index rollback demo --of track`
    """
    from storage.bundles import rollback

    store = _store(catalogue)
    made = rollback(store, bundle or _before(store, slot), slot=slot)
    print_json(_row(made)) if as_json else typer.echo(_served(made))


def _served(made: "Bundle") -> str:
    return f"{made.slot}: serving {made.bundle_id}, model {made.manifest['model']}"


def _before(store: "Store", slot: str | None) -> str:
    from storage.bundles import NoSuchBundle, bundles, slot_of

    there = bundles(store, slot := slot_of(store, slot))
    names = [bundle.bundle_id for bundle in there]
    served = next((at for at, bundle in enumerate(there) if bundle.current), 0)
    if not served:
        raise NoSuchBundle(
            f"store {store.url}: no bundle of '{slot}' before the served one; there are: {', '.join(names) or 'none'}"
        )
    return names[served - 1]


def _store(catalogue: str) -> "Store":
    from storage.store import Store
    from tasks.settings import load_catalogue

    return Store(load_catalogue(catalogue).store_url)


def _row(bundle: "Bundle") -> dict[str, Any]:
    said = bundle.manifest
    return {
        "bundle": bundle.bundle_id,
        "of": bundle.slot,
        "current": bundle.current,
        "release": said["release"],
        "model": said["model"],
        "kind": said["index"]["kind"],
        "items": said["index"]["count"],
        "recall_at_10": said["measured"]["recall_at_10"],
        "p50_ms": said["measured"]["latency_ms"]["p50"],
        "created_at": said["created_at"],
    }


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "*" if value else ""
    return f"{value:,}" if isinstance(value, int) else str(value)
