"""`mediateca links review`: a person looks at doubtful links, one key each; the next build uses what was decided."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from storage.store import Store
    from tasks.review import Decided, Pair
    from tasks.settings import Catalogue

KEYS = {"a": "accept", "r": "reject"}
_ASK = "[a]ccept  [r]eject  [s]kip  [u]ndo the last  [q]uit"
_QUIT = ("q", "\x03", "\x04", "\x1b", "")  # Ctrl-C, Ctrl-D, Escape; no key: the terminal is gone


def review_command(
    catalogue: Annotated[str, typer.Argument(metavar="CATALOGUE", help="Name of a shipped catalogue, or a YAML file.")],
    source: Annotated[str | None, typer.Option(help="Only the candidates of this source.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="List what is to be reviewed, and ask nothing.")] = False,
    decide: Annotated[
        str | None,
        typer.Option("--decide", metavar="FILE.jsonl", help="Take decisions from a file, all or none; - is stdin."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take back the newest decision.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait while a build holds the store.")] = 0.0,
) -> None:
    """Look at links that are in doubt, item beside candidate, and accept, reject or skip each with one key.

    Decisions are remembered, and the next build uses them: what was accepted becomes a link with the method `decided`,
    what was rejected is never offered again, and the next best takes its place. `--undo` takes the newest one back.

    Without a terminal: `--json` lists the pairs, `--decide` takes lines of `{"item_id", "source", "source_id",
    "decision": "accept"|"reject"|"undo", "note"}`; a source_id that no search offered can be accepted too.

    Example: `mediateca links review demo --source youtube`
    """
    chosen, store = _built(catalogue)
    if sum((as_json, decide is not None, undo)) > 1:
        raise ValueError("links review: one of --json, --decide and --undo at a time")
    if as_json:
        from tasks.review import to_review

        pairs = [pair.as_json() for pair in to_review(store, chosen, source)]
        print(json.dumps(pairs, indent=2, ensure_ascii=False))
    elif undo:
        _undo(store, chosen, source, wait)
    elif decide is not None:
        _decide(store, chosen, decide, wait, catalogue)
    else:
        _at_terminal(store, chosen, source, wait, catalogue)


def _built(catalogue: str) -> tuple["Catalogue", "Store"]:
    from storage.store import Store
    from tasks.settings import load_catalogue

    chosen = load_catalogue(catalogue)
    store = Store(chosen.store_url)
    if not store.tables():
        raise ValueError(f"nothing has been built at {store.url}; run `mediateca build {shlex.quote(catalogue)}` first")
    return chosen, store


def _undo(store: "Store", chosen: "Catalogue", source: str | None, wait: float) -> None:
    from tasks.review import undo_last

    last = undo_last(store, chosen, source=source, wait_s=wait)
    if last is None:
        typer.echo("no decision stands: there is nothing to take back")
    else:
        typer.echo(f"taken back: {last.decision} {last.source}:{last.source_id} for the item {last.item_id}")


def _decide(store: "Store", chosen: "Catalogue", file: str, wait: float, catalogue: str) -> None:
    from tasks.review import decide

    count = decide(store, chosen, list(read_decisions(_lines(file))), wait_s=wait)
    typer.echo(f"{count} decisions kept; `mediateca build {shlex.quote(catalogue)}` uses them")


def _lines(file: str) -> list[bytes]:
    if file == "-":
        return sys.stdin.buffer.readlines()
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"links review --decide: there is no file '{file}'; a JSONL file, or - for stdin, is expected")
    return path.read_bytes().splitlines()


def read_decisions(lines: Sequence[bytes]) -> Iterator["Decided"]:
    """A decision per line; empty lines are passed over.

    Raises:
        ValueError: A line is none; names the line.
    """
    from tasks.review import Decided

    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield Decided.of(json.loads(line.decode("utf-8-sig")))
        except (ValueError, RecursionError) as exc:
            raise ValueError(f"links review --decide: line {number}: {exc}; nothing was decided") from exc


# --- at a terminal


def _at_terminal(store: "Store", chosen: "Catalogue", source: str | None, wait: float, catalogue: str) -> None:
    from storage.lock import build_lock
    from tasks.review import decide, to_review

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ValueError(
            "links review: asks for single keys and there is no terminal; `--json` lists what is to be reviewed, "
            "`--decide FILE.jsonl` takes the decisions"
        )
    with build_lock(store.url, wait_s=wait):
        pass  # refuse now, not after somebody has thought about the first pair; each decision takes it for itself
    pairs = to_review(store, chosen, source)
    if not pairs:
        typer.echo("nothing is to be reviewed")
        return

    def keep(said: "Decided") -> None:
        decide(store, chosen, [said], wait_s=max(wait, 5.0), check=False)

    counts = ask_each(pairs, key=_pressed, show=_show, keep=keep)
    left = len(pairs) - counts["accept"] - counts["reject"]
    typer.echo(f"\n{counts['accept']} accepted, {counts['reject']} rejected, {left} left")
    if counts["accept"] or counts["reject"]:
        typer.echo(f"`mediateca build {shlex.quote(catalogue)}` uses them")


def ask_each(
    pairs: Sequence["Pair"],
    *,
    key: Callable[[], str],
    show: Callable[["Pair", int, int], None],
    keep: Callable[["Decided"], None],
) -> dict[str, int]:
    """Ask about each pair in turn, and keep each answer at once: quitting, or a terminal that dies, loses none.

    Returns:
        How many were accepted and rejected, those taken back left out.
    """
    done: list[tuple[int, str]] = []
    at = 0
    while at < len(pairs):
        show(pairs[at], at + 1, len(pairs))
        pressed = _next(key)
        if pressed in _QUIT:
            break
        if pressed == "u" and done:
            at, _ = done.pop()
            keep(_said(pairs[at], "undo"))
        elif pressed in KEYS:
            keep(_said(pairs[at], KEYS[pressed]))
            done.append((at, KEYS[pressed]))
            at += 1
        elif pressed == "s":
            at += 1
    return {word: sum(said == word for _, said in done) for word in KEYS.values()}


def _next(key: Callable[[], str]) -> str:
    try:
        return key().lower()
    except (KeyboardInterrupt, EOFError):
        return ""


def _said(pair: "Pair", decision: Any) -> "Decided":
    from tasks.review import Decided

    return Decided(item_id=pair.item_id, source=pair.source, source_id=pair.source_id, decision=decision)


def _pressed() -> str:
    import click

    typer.echo(_ASK + " ", nl=False)
    pressed = click.getchar()
    typer.echo(pressed if pressed.isprintable() else "")
    return pressed


def _show(pair: "Pair", number: int, total: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = f"\n{number} of {total}: {pair.source}, probability {pair.probability:.2f}"
    table = Table("", "item", "candidate", title=title, title_justify="left", box=None, pad_edge=False)
    for name, mine, theirs in rows_of_pair(pair):
        table.add_row(Text(name, style="dim"), *(Text(plain(cell), overflow="fold") for cell in (mine, theirs)))
    console = Console()
    console.print(table)
    console.print(Text(plain("; ".join(pair.words))))
    console.print(Text(plain(pair.page or pair.candidate.url or pair.source_id), style="dim"))


def rows_of_pair(pair: "Pair") -> list[tuple[str, str, str]]:
    """Name, the item's value, the candidate's; of what at least one of them has."""
    item, other = pair.wanted, pair.candidate
    rows = [
        ("title", item.title, other.title),
        ("artists", ", ".join(item.creators), ", ".join(other.artists)),
        ("album", item.album or "", other.album or ""),
        ("length", _length(item.duration_ms), _length(other.duration_ms)),
        ("year", str(item.year or ""), str(other.year or "")),
        ("channel", "", other.channel or ""),
        ("ISRC", item.isrc or "", other.isrc or ""),
    ]
    return [row for row in rows if row[1] or row[2]]


def _length(duration_ms: int | None) -> str:
    if not duration_ms:
        return ""
    minutes, seconds = divmod(round(duration_ms / 1000), 60)
    return f"{minutes}:{seconds:02d}"


def plain(text: str) -> str:
    """The text without what would steer a terminal: titles come from anybody."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
