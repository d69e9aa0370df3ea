"""`mediateca new`: the files of something of one's own, to start from what works."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from deployments.skeleton import Written

new_app = typer.Typer(no_args_is_help=True, help="Start a connector of your own from one that works.")


@new_app.callback()
def _group() -> None:
    """A callback keeps `connector` a command of its own while it is the only one."""


@new_app.command()
def connector(
    name: Annotated[str, typer.Argument(help="Its name in catalogues: small letters, digits, underscores.")],
    bulk: Annotated[
        bool, typer.Option("--bulk/--live", help="Reads files, or (the default) is asked over the network.")
    ] = False,
    into: Annotated[
        Path | None, typer.Option(help="A folder of plug-ins to write into, in place of the tree mediateca runs from.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Write a connector, its registry line, and a test with what it plays back: all of it passes as it is.

    In a checkout of mediateca the files go into its tree. Elsewhere they go into a folder of plug-ins: `--into`, else
    `MEDIATECA_PLUGINS`, else `mediateca-plugins` here. What lies there is known while that variable names the folder.

    The skeleton asks a service that does not exist; `docs/connectors.md` goes through what to change, with the
    connector for MusicBrainz as the example.

    Example: `mediateca new connector deezer`, `mediateca new connector my_charts --bulk`
    """
    from deployments.skeleton import write_connector

    written = write_connector(name, "bulk" if bulk else "live", into=into)
    if as_json:
        paths = {"connector": written.connector, "registry": written.registry, "folder": written.folder}
        print(json.dumps({**{key: str(path) for key, path in paths.items()}, "tests": [*map(str, written.tests)]}))
        return
    for path in (written.connector, *written.tests):
        typer.echo(f"wrote {path}")
    typer.echo(f"registered '{name}' in {written.registry}")
    typer.echo("\nnext:")
    for number, step in enumerate(_steps(name, written, bulk=bulk), 1):
        typer.echo(f"{number}. {step}")


def _steps(name: str, written: "Written", *, bulk: bool) -> list[str]:
    """What is left to do, with the commands."""
    test, answers = written.tests
    contract = "test_contract.py" if bulk else "test_live_contract.py"
    if written.in_tree:
        run = f"python -m pytest {_from(written, test)} tests/connectors/{contract} -k {name}"
        steps = [f"see that it passes, in {shlex.quote(str(written.folder))}: {run}"]
    else:
        place = shlex.quote(str(written.folder))
        steps = [
            f"make it known: export MEDIATECA_PLUGINS={place}",
            f"see that it passes: python -m pytest {shlex.quote(str(test))}",
        ]
    if bulk:
        return [
            *steps,
            f"{_from(written, written.connector)}: the columns of your files",
            f"{_from(written, answers)}: some rows of them",
            f"tasks/entities.py: what a '{name}' record says of an item (NAMESPACES, DESCRIBING, _PARSERS)",
            f"in a catalogue: `{name}: {{connector: {name}, path: where/the/files/are}}`",
        ]
    from deployments.skeleton import key_of

    return [
        *steps,
        f"{_from(written, written.connector)}: its address, what it is asked, the shape of what it answers; a service "
        f"without keys needs no `credentials` and no `keys` in {_from(written, written.registry)}",
        f"{_from(written, answers)}: the service's own answers, without keys, and where they are from",
        f"in a catalogue: `{name}: {{connector: {name}, items: false}}`, with {key_of(name)} in the environment",
    ]


def _from(written: "Written", path: Path) -> str:
    return str(path.relative_to(written.folder))
