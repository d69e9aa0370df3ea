"""`mediateca models`: the encoders there are, and their weights on this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.cli_common import JsonOption, print_json

if TYPE_CHECKING:
    from featurizers.encoders import Encoder

NO_WEIGHTS = 1

models_app = typer.Typer(no_args_is_help=True, help="Encoders and their weights: list, fetch, check, convert.")
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Encoders; left out, all of them.")]


@models_app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """The known encoders: what they read, under which licence, whether their weights are here; the rest with --json.

    Example: `mediateca models list`
    """
    from featurizers.encoders import PLANNED, known

    rows = [_described(encoder) for encoder in known().values()]
    if as_json:
        print_json(rows)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for name in ("name", "reads", "numbers", "licence", "weights", "what it is"):
        table.add_column(name, justify="right" if name == "numbers" else "left", overflow="fold")
    for row in rows:
        state = "[green]here" if row["folder"] else "[dim]to convert" if row["pickle_sha256"] else "[dim]to fetch"
        table.add_row(row["name"], row["family"], str(row["dimension"]), row["licence"], state, row["about"])
    for name in PLANNED:
        table.add_row(name, "", "", "", "[dim]to train", "not there yet: mediateca models pull " + name + " says more")
    Console().print(table)
    typer.echo("fetch: mediateca models pull NAME; from a pickle: mediateca models convert NAME; more: --json")


@models_app.command("pull")
def pull_command(names: Names = None) -> None:
    """Fetch weights at their pinned revision, safetensors only, and compare them with their published checksum.

    Without names, all of them but those that come as pickles: `models convert` makes safetensors of one.

    Example: `mediateca models pull bert clip`
    """
    from featurizers.encoders import known
    from featurizers.weights import Weights, pull_weights

    safe = [encoder.name for encoder in known().values() if not encoder.pickle_sha256]
    if not names:
        typer.echo(f"left out, as pickles to convert: {', '.join(name for name in known() if name not in safe)}")
    _each(names or safe, lambda encoder: f"fetched, {pull_weights(Weights(encoder.model))}")


@models_app.command("verify")
def verify_command(names: Names = None) -> None:
    """Compare the weights that are here with their published checksums; without names, all that are here.

    Example: `mediateca models verify`
    """
    from featurizers.weights import Weights, check_weights, weights_folder

    def verified(encoder: "Encoder") -> str:
        folder = weights_folder(Weights(encoder.model))
        checked = check_weights(Weights(encoder.model), folder)
        return f"{'as published' if checked else 'not checked, as no checksum of them is known'}, {folder}"

    _each(names or _here(), verified)


@models_app.command("convert")
def convert_command(
    name: Annotated[str, typer.Argument(help="An encoder that comes as a pickle only, such as mdeberta or dino.")],
    source: Annotated[
        Path | None, typer.Option("--from", help="A folder with pytorch_model.bin; left out, fetched from the hub.")
    ] = None,
) -> None:
    """Make safetensors of a pinned pickle, in a process that loads tensors and nothing else.

    Example: `mediateca models convert mdeberta`
    """
    from featurizers.convert import convert

    _each([name], lambda encoder: f"converted, {convert(encoder, source)}")


def _each(names: list[str], work: Callable[["Encoder"], str]) -> None:
    from featurizers.base import NoWeights

    failed = False
    for name in names:
        try:
            typer.echo(f"{name}: {work(_encoder(name))}")
        except (NoWeights, ValueError) as exc:
            failed = True
            typer.secho(f"{name}: {exc}", fg="red", err=True)
    if failed:
        raise typer.Exit(NO_WEIGHTS)


def _encoder(name: str) -> "Encoder":
    from featurizers.encoders import PLANNED, known
    from tasks.settings_base import nearest

    if name in PLANNED:
        raise ValueError(PLANNED[name])
    if name not in known():
        raise typer.BadParameter(f"unknown encoder '{name}'; {nearest(name, known())}known: {', '.join(known())}")
    return known()[name]


def _here() -> list[str]:
    from featurizers.encoders import known

    return [encoder.name for encoder in known().values() if _described(encoder)["folder"]]


def _described(encoder: "Encoder") -> dict[str, Any]:
    from featurizers.base import NoWeights
    from featurizers.weights import Weights, weights_folder

    weights = Weights(encoder.model)
    try:
        folder = str(weights_folder(weights))
    except NoWeights:
        folder = None
    names = ("name", "about", "family", "model", "revision", "licence", "dimension", "sha256", "pickle_sha256")
    return {name: getattr(encoder, name) for name in names} | {
        "settings": dict(encoder.settings),
        "folder": folder,
        "hint": weights.hint,
    }
