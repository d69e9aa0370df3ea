"""A small real store for tests: files as the sources write them, and every stage in the plain loop."""

import atexit
import csv
import json
import shutil
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from storage.releases import Release
from storage.store import Store
from tasks.pending import last_runs
from tasks.plan import STEPS, all_stages, reads_sources, stages_of
from tasks.release import publish_release
from tasks.run_stage import run_stage
from tasks.settings import Catalogue
from tasks.stage import StageResult

MOVIELENS = {"connector": "movielens", "path": "films"}
TMDB = {"connector": "tmdb_files", "path": "tmdb", "items": False}
SPOTIFY = {"connector": "spotify_tracks", "path": "spotify"}
MPD = {"connector": "mpd", "path": "mpd"}
LASTFM = {"connector": "lastfm_1k", "path": "lastfm"}
MUSIC = {"connector": "music_folder", "path": "music"}
IMAGES = {"connector": "image_folder", "path": "images"}
SOURCES: dict[str, dict[str, Any]] = {
    "movielens": MOVIELENS,
    "tmdb": TMDB,
    "spotify": SPOTIFY,
    "mpd": MPD,
    "lastfm": LASTFM,
    "music": MUSIC,
    "more-music": MUSIC | {"path": "more"},
    "images": IMAGES,
}
_TRACK = {
    "track_id": "", "track_name": "", "track_artist": "", "track_popularity": "50", "track_album_name": "An Album",
    "track_album_release_date": "2001-05-04", "playlist_name": "", "playlist_id": "", "playlist_genre": "pop",
    "danceability": "0.5", "tempo": "120.5", "duration_ms": "200000",
}  # fmt: skip


@cache
def _empty_store() -> str:
    """A store with its tables and no row, to copy: creating one takes half a second."""
    folder = TemporaryDirectory(prefix="mediateca-empty-store-")
    atexit.register(folder.cleanup)
    Store(folder.name).create()
    return folder.name


def track_id(n: int) -> str:
    """A Spotify id."""
    return f"{n:022d}"


class Shelf:
    """A folder of source files, the catalogue over them, and its store."""

    def __init__(self, folder: Path, *sources: str, **changes: Any) -> None:
        """The named sources in that order; `changes` are keys of the catalogue."""
        self.folder = folder
        self.sources: dict[str, dict[str, Any]] = {name: dict(SOURCES[name]) for name in sources}
        self.changes = changes
        self.results: dict[str, StageResult] = {}
        self._builds = count(1)

    # --- files

    def write(self, name: str, text: str) -> Path:
        """A file beneath the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def csv(self, name: str, header: str, rows: Iterable[Iterable[Any]]) -> Path:
        """A CSV file."""
        path = self.write(name, "")
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header.split(","))
            writer.writerows(rows)
        return path

    def movielens(
        self,
        movies: Iterable[tuple[Any, ...]],
        *,
        links: Iterable[tuple[Any, ...]] = (),
        ratings: Iterable[tuple[Any, ...]] = (),
        folder: str = "films",
    ) -> None:
        """Movies (id, title, genres), links (id, imdb, tmdb), ratings (user, movie, value, seconds)."""
        self.csv(f"{folder}/movies.csv", "movieId,title,genres", movies)
        self.csv(f"{folder}/links.csv", "movieId,imdbId,tmdbId", links)
        self.csv(f"{folder}/ratings.csv", "userId,movieId,rating,timestamp", ratings or [(1, 1, 4.0, 964982703)])

    def tmdb(self, *films: Mapping[str, Any], file: str = "films.jsonl", folder: str = "tmdb") -> Path:
        """Films as TMDb's API gives them."""
        return self.write(f"{folder}/{file}", "".join(json.dumps(film) + "\n" for film in films))

    def spotify(self, *tracks: Mapping[str, Any], folder: str = "spotify") -> None:
        """Tracks (`id`, `name`, `artist`, and other columns by their names)."""
        rows = [_TRACK | _renamed(t) for t in tracks]
        self.csv(f"{folder}/tracks.csv", ",".join(_TRACK), [row.values() for row in rows])

    def mpd(self, *playlists: list[dict[str, Any]], folder: str = "mpd") -> None:
        """Playlists of tracks (`id`, `name`, `artist`)."""
        found = [
            {"pid": pid, "modified_at": 1_500_000_000, "tracks": [_mpd_row(at, t) for at, t in enumerate(tracks)]}
            for pid, tracks in enumerate(playlists)
        ]
        self.write(f"{folder}/mpd.slice.0-999.json", json.dumps({"playlists": found}))

    def lastfm(self, *plays: tuple[str, str, str], profiles: str = "", folder: str = "lastfm") -> None:
        """Plays (user, artist, track), one a minute."""
        lines = [
            f"{user}\t2009-05-04T{n // 60:02d}:{n % 60:02d}:00Z\t\t{artist}\t\t{track}\n"
            for n, (user, artist, track) in enumerate(plays)
        ]
        self.write(f"{folder}/userid-timestamp-artid-artname-traid-traname.tsv", "".join(lines))
        if profiles:
            self.write(f"{folder}/userid-profile.tsv", "#id\tgender\tage\tcountry\tregistered\n" + profiles)

    # --- building

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue as it is now."""
        sources = {
            n: s | ({"path": str(self.folder / s["path"])} if "path" in s else {}) for n, s in self.sources.items()
        }
        given: dict[str, Any] = {"catalogue": "shelf", "store": str(self.folder / "store"), "sources": sources}
        return Catalogue.model_validate(given | self.changes)

    @property
    def store(self) -> Store:
        """Its store."""
        return Store(self.catalogue.store_url)

    def build(self, *, until: str = "") -> Release:
        """Every stage up to the one named, then the release."""
        self.run(until=until)
        return publish_release(self.catalogue, self.store, partial=False)

    def run(self, *, until: str = "", replay: bool = False) -> None:
        """Every stage in the plain loop, up to the one named; in a replay what a source told stays as it is."""
        catalogue, store = self.catalogue, self.store
        if not store.tables():
            shutil.copytree(_empty_store(), store.url)
        store.create(stage.writes for stage in all_stages(catalogue, store))
        last, build_id, self.results = last_runs(store), f"b{next(self._builds)}", {}
        for step in STEPS:
            for stage in stages_of(step, catalogue, store):
                again = replay and stage.name not in self.results and not reads_sources(stage)
                result = run_stage(store, stage, build_id=build_id, last=last.get(stage.name), again=again)
                if stage.name in self.results:
                    self.results[stage.name].go_on(result)
                else:
                    self.results[stage.name] = result
                if stage.name == until:
                    return

    # --- what came of it

    def sql(self, query: str) -> list[Any]:
        """Rows of a query; single columns as plain values."""
        rows = self.store.database().sql(query).fetchall()
        return [row[0] if len(row) == 1 else row for row in rows]

    def item(self, title: str) -> str:
        """The item_id of the only item of that title."""
        (found,) = self.sql(f"select item_id from items where title = '{title}'")
        return found

    def members(self) -> set[frozenset[str]]:
        """The items as sets of `source:source_id`."""
        rows = self.sql("select list(source || ':' || source_id) from links where state = 'accepted' group by item_id")
        return {frozenset(row) for row in rows}

    def linked(self) -> dict[str, str]:
        """`source:source_id` to item_id."""
        return dict(self.sql("select source || ':' || source_id, item_id from links where state = 'accepted'"))


def run_one(shelf: Shelf, name: str) -> StageResult:
    """One stage of the catalogue alone, in the plain loop."""
    catalogue, store = shelf.catalogue, shelf.store
    if not store.tables():
        shutil.copytree(_empty_store(), store.url)
    (stage,) = {s.name: s for s in all_stages(catalogue, store) if s.name == name}.values()
    return run_stage(store, stage, build_id="one", last=last_runs(store).get(name))


def _renamed(track: Mapping[str, Any]) -> dict[str, Any]:
    given = {"id": "track_id", "name": "track_name", "artist": "track_artist"}
    return {given.get(name, name): value for name, value in track.items()}


def _mpd_row(position: int, track: Mapping[str, Any]) -> dict[str, Any]:
    row = {"pos": position, "track_uri": f"spotify:track:{track['id']}", "album_name": "An Album"}
    return row | {"track_name": track["name"], "artist_name": track["artist"], "duration_ms": 200_000}
