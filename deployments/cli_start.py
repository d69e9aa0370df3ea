"""`mediateca init` and `doctor`: the first steps."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from deployments.cli_common import FAILED, JsonOption, me, print_json, write_file


def init(
    path: Annotated[Path, typer.Argument(help="The YAML file to write.")],
    movielens: Annotated[Path | None, typer.Option(help="Folder with ratings.csv, movies.csv, links.csv.")] = None,
    tmdb: Annotated[Path | None, typer.Option(help="Folder or file of TMDb films.")] = None,
    spotify: Annotated[Path | None, typer.Option(help="Spotify track table (CSV).")] = None,
    mpd: Annotated[Path | None, typer.Option(help="Million Playlist Dataset: folder, slice or archive.")] = None,
    lastfm: Annotated[Path | None, typer.Option(help="Folder of the Last.fm-1K dump.")] = None,
    music: Annotated[Path | None, typer.Option(help="Folder of recordings: MP3, FLAC, Ogg, M4A ...")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of pictures; one called like a recording belongs to it.")
    ] = None,
    listener: Annotated[
        list[str] | None, typer.Option(help="User of Last.fm whose history is read; may be repeated.")
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Also search the live sources: Spotify, YouTube, Genius, TMDb. Needs keys."),
    ] = False,
) -> None:
    """Write a catalogue over your own files and listeners, ready to build.

    Example: `mediateca init my-music.yaml --music ~/Music --images ~/Covers`

    With the live sources, whose keys `mediateca doctor` looks for: `mediateca init live.yaml --listener rj --live`
    """
    from deployments.template import catalogue_text

    given = {"movielens": movielens, "tmdb_files": tmdb, "spotify_tracks": spotify, "mpd": mpd, "lastfm_1k": lastfm}
    given |= {"music_folder": music, "image_folder": images}
    found = {name: folder for name, folder in given.items() if folder}
    text = catalogue_text(path, found, listeners=listener or (), live=live)
    write_file("init", path, text.encode(), mode="xb")
    typer.echo(f"wrote {path}; next: {me()} plan {shlex.quote(str(path))}")


def doctor(as_json: JsonOption = False) -> None:
    """Check this machine: what is missing, and how to get it.

    Example: `mediateca doctor`
    """
    from deployments.checks import run_checks

    rows = run_checks()
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            mark, colour = {"ok": ("ok  ", "green"), "warn": ("note", "yellow"), "fail": ("FAIL", "red")}[row["state"]]
            typer.echo(f"{typer.style(mark, fg=colour)}  {row['check']}: {row['found']}")
            if row["hint"]:
                typer.echo(f"      {row['hint']}")
    if any(row["state"] == "fail" for row in rows):
        raise typer.Exit(FAILED)
