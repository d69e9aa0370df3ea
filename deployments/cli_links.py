"""`mediateca links`: score candidate lists of one's own; `review` stands in `cli_review`."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from deployments.cli_review import review_command

if TYPE_CHECKING:
    from connectors.base import Wanted
    from connectors.candidates import Candidate
    from connectors.scoring import Thresholds

SOME_LINES_BAD = 3
LONGEST_LINE = 16 << 20  # characters; a longer line is not a list of candidates

links_app = typer.Typer(no_args_is_help=True, help="Score and review links between items and sources.")
links_app.command("review")(review_command)


@links_app.command("score")
def score_command(
    file: Annotated[
        str, typer.Argument(metavar="FILE.jsonl", help="One item with its candidates per line; - is stdin.")
    ],
    source: Annotated[
        str | None, typer.Option(help="Where the candidates come from: youtube, spotify; left out, one model for all.")
    ] = None,
    accept: Annotated[
        float | None, typer.Option(min=0, max=1, help="Probability from which a link is accepted.")
    ] = None,
    review: Annotated[float | None, typer.Option(min=0, max=1, help="Probability from which one should look.")] = None,
) -> None:
    """Score lists of candidates: the likeliest one, how probable it is, and what to do with it.

    A line is `{"item": {title, artists, album, duration_ms, year, isrc}, "candidates": [{id, title, artists, album,
    channel, duration_ms, kind}]}`; fields may be null, and a candidate whose id is null is left out. The answer, a line
    each in the same order, is `{"best": id or null, "probability", "state": accept|review|reject, "scores":
    {id: probability}}`.
    A line that cannot be read is answered by `{"error": ...}`; the exit code is then 3.

    Example: `mediateca links score searches.jsonl --source youtube > scored.jsonl`
    """
    chosen, bad = _chosen(source, accept, review), False
    with _opened(file) as lines:
        for answer in answers(lines, source, chosen):
            if "error" in answer:
                bad = True
                typer.secho(answer["error"], fg="red", err=True)
            # ASCII: an id may hold half a surrogate pair, which no terminal takes.
            print(json.dumps(answer), flush=True)
    if bad:
        raise typer.Exit(SOME_LINES_BAD)


def _chosen(source: str | None, accept: float | None, review: float | None) -> "Thresholds":
    """The source's thresholds, or those given in their place; says so where the source has no model of its own."""
    from connectors.scoring import Thresholds, coefficients, thresholds_of

    if source is not None and source not in (known := coefficients()["models"]):
        named = ", ".join(sorted(known.keys() - {"any"}))
        typer.secho(f"links score: no model of '{source}' (there are {named}): that of all is used", err=True)
    default = thresholds_of(source)
    chosen = Thresholds(
        accept=default.accept if accept is None else accept, review=default.review if review is None else review
    )
    if chosen.review > chosen.accept:
        raise ValueError(
            f"links score: --review ({chosen.review:g}) is above --accept ({chosen.accept:g}), so that nothing could be"
            " reviewed; give both, the lower one to --review"
        )
    return chosen


def _opened(file: str) -> Any:
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"links score: there is no file '{file}'; a JSONL file, or - for stdin, is expected")
    return path.open("rb")


def answers(
    lines: IO[bytes] | Iterable[bytes], source: str | None, thresholds: "Thresholds"
) -> Iterator[dict[str, Any]]:
    """One answer per line, streaming; empty lines are passed over, a bad one gives `{"error": "line 3: ..."}`."""
    from connectors.scoring import decide, score

    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            wanted, candidates, ids = read_line(line)
        except (ValueError, OverflowError) as exc:
            yield {"error": f"line {number}: {exc}"}
            continue
        scored = score(wanted, candidates, source)
        decision = decide(scored, thresholds)
        scores: dict[str, float] = {}
        for one in scored:  # likeliest first; of an id that stands twice in a list, the likelier
            scores.setdefault(one.id, one.probability)
        yield {
            "best": None if decision.best is None else ids[decision.best],
            "probability": decision.probability,
            "state": decision.state,
            "scores": scores,
        }


def read_line(line: bytes) -> tuple["Wanted", list["Candidate"], dict[str, str | int]]:
    """The item, its candidates, and their ids as the line has them: those of Genius and TMDb are numbers.

    Raises:
        ValueError: Not JSON, or not of the form that `mediateca links score --help` shows.
    """
    if len(line) > LONGEST_LINE:
        raise ValueError(f"{len(line):,} bytes; a line may have {LONGEST_LINE:,}")
    try:
        said = json.loads(line.decode("utf-8-sig"), parse_constant=_refused)
    except RecursionError as exc:
        raise ValueError("not JSON: nested too deeply") from exc
    except ValueError as exc:
        raise ValueError(f"not JSON: {exc}") from exc
    if not isinstance(said, dict) or not isinstance(said.get("item"), dict):
        raise ValueError("expected an object with `item` (an object) and `candidates` (a list)")
    offered = said.get("candidates") if said.get("candidates") is not None else []
    if not isinstance(offered, list):
        raise ValueError("`candidates` must be a list")
    found: list[Candidate] = []
    ids: dict[str, str | int] = {}
    for place, one in enumerate(offered):
        if not isinstance(one, dict):
            raise ValueError(f"candidate {place}: expected an object")
        if "id" in one and one["id"] is None:
            continue  # it could not be linked to, and the others are worth an answer
        try:
            found.append(_candidate(one))
        except ValueError as exc:
            raise ValueError(f"candidate {place}: {exc}") from exc
        ids.setdefault(found[-1].id, one["id"])
    return _wanted(said["item"]), found, ids


def _candidate(one: dict[str, Any]) -> "Candidate":
    from connectors.candidates import Candidate

    name, artists = one.get("id"), _names(one.get("artists"))
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if isinstance(artists, str):  # as of an item
        artists = [artists] if artists else []
    return Candidate.of(one | {"id": name or None, "title": one.get("title") or "", "artists": artists})


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _names(said: Any) -> Any:
    """Names without nulls; what is no list of names is left for the caller to refuse."""
    return [name for name in said if name is not None] if isinstance(said, list) else said


def _wanted(item: dict[str, Any]) -> "Wanted":
    from connectors.base import Wanted
    from connectors.candidates import LARGEST

    artists = _names(item.get("artists")) or ()
    if isinstance(artists, str):
        artists = (artists,)
    if not isinstance(artists, list | tuple) or not all(isinstance(name, str) for name in artists):
        raise ValueError("item: `artists` must be a list of names")
    numbers: dict[str, int | None] = {}
    for name in ("duration_ms", "year"):
        value = item.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"item: `{name}` must be a number or null")
        if value is not None and not -LARGEST <= value <= LARGEST:
            raise ValueError(f"item: `{name}` is no number that can be meant; at most {LARGEST:,} is expected")
        numbers[name] = round(value) if value and value > 0 else None
    for name in ("title", "album", "isrc"):
        if item.get(name) is not None and not isinstance(item[name], str):
            raise ValueError(f"item: `{name}` must be text or null")
    title = item.get("title") or ""  # without a title nothing is likely, and that is an answer
    return Wanted(
        title=title,
        creators=tuple(artists),
        album=item.get("album") or None,
        isrc=item.get("isrc") or None,
        year=numbers["year"],
        duration_ms=numbers["duration_ms"],
    )
