"""`mediateca sandbox`: make a world, and serve it through the protocols of the real sources."""

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

sandbox_app = typer.Typer(no_args_is_help=True, help="A made-up world behind the protocols of the real sources.")


@sandbox_app.command()
def world(
    folder: Annotated[Path, typer.Argument(help="Folder of the world; made if it is not there.")],
    tracks: Annotated[int, typer.Option(min=30, help="Recordings.")] = 400,
    films: Annotated[int, typer.Option(min=20, help="Films.")] = 300,
    users: Annotated[int, typer.Option(min=1, help="Listeners (Last.fm) and viewers (MovieLens), each.")] = 60,
    seed: Annotated[int, typer.Option(help="Another seed is another world.")] = 7,
    clips: Annotated[int, typer.Option(min=0, help="Recordings that also lie there as files.")] = 0,
) -> None:
    """Generate a world with known truth: the same bytes for the same numbers.

    Example: `mediateca sandbox world /tmp/world --tracks 2000 --films 300 --users 100 --seed 3`
    """
    from deployments.sandbox.tables import FOLDER, TABLES
    from deployments.sandbox.world import generate

    made = generate(folder, seed=seed, films=films, tracks=tracks, listeners=users, viewers=users, clips=clips)
    rows = {name: _lines(folder / FOLDER / f"{name}.jsonl") for name in TABLES}
    print(json.dumps({"world": str(folder), "written": made.written, "rows": rows}, indent=2))


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


@sandbox_app.command(name="import")
def import_(
    folder: Annotated[Path, typer.Argument(help="Folder of the new world.")],
    films: Annotated[Path | None, typer.Option(help="Folder of MovieLens, with links.csv.")] = None,
    tmdb: Annotated[Path | None, typer.Option(help="Folder of the TMDb files, with credits.parquet.")] = None,
    posters: Annotated[Path | None, typer.Option(help="Folder of posters, <movieId>.jpg.")] = None,
    music: Annotated[Path | None, typer.Option(help="Folder of recordings, with manifest.csv or tags.")] = None,
    users: Annotated[int, typer.Option(min=1, help="Listeners to make up.")] = 20,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many films of MovieLens.")] = None,
    seed: Annotated[int, typer.Option(help="Of what is made up.")] = 7,
) -> None:
    """Make a world of real files; what they do not tell is made up around them.

    Example: `mediateca sandbox import /tmp/real --films ml-latest-small --tmdb tmdb-films --music recordings`
    """
    from deployments.sandbox.importer import import_world

    rows = import_world(
        folder, movielens=films, tmdb=tmdb, posters=posters, music=music, listeners=users, films=limit, seed=seed
    )
    print(json.dumps({"world": str(folder), "rows": rows}, indent=2))


@sandbox_app.command()
def serve(
    world: Annotated[Path | None, typer.Option(help="Folder of the world; the demo's, made anew, if left out.")] = None,
    port: Annotated[int, typer.Option(help="Port of HTTP on 127.0.0.1; 0 for any.")] = 0,
    faults: Annotated[str | None, typer.Option(help="Preset (rough, development, drift, wrong) or JSON file.")] = None,
    log: Annotated[Path | None, typer.Option(help="File that gets a line of JSON for each request.")] = None,
    exports: Annotated[
        bool, typer.Option("--export", help="Print `export NAME=VALUE` lines in place of JSON.")
    ] = False,
) -> None:
    """Serve a world until Ctrl-C; print where each service is reached, and keys that it takes.

    Example: `mediateca sandbox serve --world /tmp/world --port 8123 --faults rough`
    """
    from deployments.sandbox.faults import read_faults
    from deployments.sandbox.serve import serve as serve_world
    from deployments.sandbox.serve import told

    with serve_world(world or _demo_world(), read_faults(faults), port=port, log=log) as running:
        print(told(running, exports=exports))
        sys.stdout.flush()
        over = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: over.set())
        signal.signal(signal.SIGINT, lambda *_: over.set())
        over.wait()


def _demo_world() -> Path:
    from tasks.prepare import ensure_world
    from tasks.settings import load_catalogue

    catalogue = load_catalogue("demo")
    ensure_world(catalogue)
    if catalogue.world is None:
        raise ValueError("the catalogue 'demo' has no world; give one with --world")
    return Path(catalogue.world.path)
