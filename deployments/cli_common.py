"""What the sub-commands of `mediateca` share: which catalogue, which store, and how an answer is printed."""

import json
import math
import os
import shlex
import shutil
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from storage.store import Store
    from tasks.settings import Catalogue

FAILED, USAGE, PARTIAL, BLOCKED = 1, 2, 3, 4
"""Exit codes."""
CatalogueArg = Annotated[str, typer.Argument(metavar="CATALOGUE", help="Name of a shipped catalogue, or a YAML file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def open_store(catalogue: str) -> tuple["Catalogue", "Store"]:
    """The catalogue and its store, which may not be built yet."""
    from storage.store import Store
    from tasks.settings import load_catalogue

    chosen = load_catalogue(catalogue)
    return chosen, Store(chosen.store_url)


def tell(message: str) -> None:
    """A line for people, beside what scripts read."""
    typer.secho(printable(message), err=True, dim=True)


def built(catalogue: str) -> tuple["Catalogue", "Store"]:
    """The catalogue and its store.

    Raises:
        ValueError: Nothing has been built there.
    """
    chosen, store = open_store(catalogue)
    if not store.tables():
        raise ValueError(f"nothing has been built at {store.url}; run `mediateca build {shlex.quote(catalogue)}` first")
    return chosen, store


def print_json(value: Any) -> None:
    """The value on standard output, as JSON that any parser reads."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False, default=str))


def _plain(value: Any) -> Any:
    """The value as JSON can hold it: NaN is null, decimals are numbers, bytes are text."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def print_table(title: str, rows: list[dict[str, Any]]) -> None:
    """Rows under a title; numbers to the right."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if title:  # printed apart: a Table's own breaks at the terminal's width, in the midst of "release v1"
        typer.secho(title, italic=True)
    table = Table(header_style="bold", box=None, pad_edge=False)
    for name in rows[0] if rows else ():
        table.add_column(name, justify="right" if isinstance(rows[0][name], int | float) else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell(value)) for value in row.values()))
    Console().print(table)


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else printable(str(value))


def printable(text: str) -> str:
    """The text without what would steer a terminal: titles come from outside."""
    return "".join(c if c.isprintable() else " " for c in text)


def write_file(who: str, path: Path, content: bytes, mode: str = "wb") -> None:
    """Write a file that the command line names; what keeps it from being written is the argument's fault."""
    try:
        with path.open(mode) as file:
            file.write(content)
    except FileExistsError as exc:
        raise ValueError(f"{path} exists; choose another name or remove it") from exc
    except OSError as exc:
        raise ValueError(
            f"{who} {path}: cannot be written ({exc.strerror}); name a file in a folder that is there"
        ) from exc


def stop(message: str, code: int) -> NoReturn:
    """Say why, and end."""
    typer.secho(message, fg="red", err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: what an exception keeps alive makes duckdb's bindings print a page about leaks at a usual exit.
    os._exit(code)


def me() -> str:
    """How this command is called, for a line to be copied."""
    return "mediateca" if shutil.which("mediateca") else shlex.quote(sys.argv[0])
