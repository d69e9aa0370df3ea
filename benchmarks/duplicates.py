"""How surely duplicates are found: recall on copies made in ways that nothing was fitted on, precision on near misses.

    MEDIATECA_REAL_DATA=... python -m benchmarks.duplicates [--world FOLDER] [--only sound] [--json]

Recordings: a window of 30 s against a window of a copy that begins up to 12 s beside it, looked up among the windows of
all recordings and believed by the fitted limit, as the build does. Pictures: as sent, looked up among all posters. Of
a world (a folder that `mediateca sandbox world` made), what its videos are in truth. Texts: overviews as other sites
write them. Recall counts the copies that are found; precision the pairs found that are right, near misses among them.
The limits are
those of `featurizers/duplicates.json`, which names the ways they were fitted on.
"""

import argparse
import csv
import io
import json
import random
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from benchmarks import duplicates_altered as altered
from benchmarks import real_data
from benchmarks.duplicates_altered import RATE_HZ
from deployments.sandbox.sounds import Sounds
from deployments.sandbox.tables import VideoRow, read_table
from featurizers.acoustic import chroma_frames, similarity
from featurizers.audio import decode_window
from featurizers.audio_fingerprint import bit_error_rate
from featurizers.duplicates import MOST_CANDIDATES, limits
from featurizers.image_fingerprint import image_fingerprint, image_similarity
from featurizers.text_identity import text_key
from storage.schemas import table_of
from tasks.duplicates import claimed
from tasks.fingerprints import sound_print, title_keys

WINDOW_S, ASIDE_S = 30.0, 12.0
PARTS = ("sound", "tones", "pictures", "texts", "world")
RIGHT = ("topic", "official", "audio", "lyrics", "loop")  # kinds of videos with the very recording
Found = dict[str, Any]


class Shelf:
    """Fingerprints that can be looked up by their keys, as `tasks.duplicates` does in SQL."""

    def __init__(self, alike: Callable[[Any, Any], bool]) -> None:
        self._alike, self._values = alike, dict[Any, Any]()
        self._named: dict[int, list[Any]] = defaultdict(list)

    def put(self, name: Any, value: Any, keys: Iterable[int]) -> None:
        """Keep one under its name."""
        self._values[name] = value
        for key in keys:
            self._named[key].append(name)

    def find(self, value: Any, keys: Iterable[int]) -> list[Any]:
        """Names of those that are believed to be the same."""
        shared = Counter(name for key in keys for name in self._named.get(key, ()))
        near = [name for name, _ in shared.most_common(MOST_CANDIDATES)]
        return [name for name in near if self._alike(value, self._values[name])]


class Tally:
    """What was found, by kind of copy or near miss."""

    def __init__(self) -> None:
        self.copies: dict[str, list[bool]] = defaultdict(list)
        self.misses: dict[str, list[bool]] = defaultdict(list)
        self.told: dict[str, list[bool]] = defaultdict(list)
        self.wrong: list[Any] = []

    def copy(self, kind: str, own: Any, found: list[Any], *, counts: bool = True) -> None:
        """A copy of `own` was looked up; what else was found is wrong."""
        (self.copies if counts else self.told)[kind].append(own in found)
        self.wrong += [(kind, own, name) for name in found if name != own]

    def as_json(self) -> Found:
        """Recall and precision, whole and by kind."""
        sought = [one for found in self.copies.values() for one in found]
        fooled = [one for found in self.misses.values() for one in found]
        told = sum(sum(found) for found in self.told.values())
        right, wrong = sum(sought), sum(fooled) + len(self.wrong)
        return {
            "recall": round(right / max(1, len(sought)), 4),
            "precision": round(right / max(1, right + wrong), 4),
            "precision where those told below are wrong": round(right / max(1, right + wrong + told), 4),
            "found of copies": {kind: f"{sum(v)}/{len(v)}" for kind, v in self.copies.items()},
            "taken for copies": {kind: f"{sum(v)}/{len(v)}" for kind, v in self.misses.items()},
            "neither counted (found)": {kind: f"{sum(v)}/{len(v)}" for kind, v in self.told.items()},
            "wrong pairs": [str(one) for one in self.wrong[:10]],
        }


# --- recordings


def same_sound(mine: bytes, theirs: bytes) -> bool:
    """By the fitted limit."""
    found = bit_error_rate(mine, theirs)
    return found is not None and found[0] <= limits().recording


def stretches(folder: Path) -> dict[tuple[str, int], Any]:
    """Up to three stretches of 54 s of each piece of music, with its file and number."""
    found: dict[tuple[str, int], Any] = {}
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        files = [row["file"] for row in csv.DictReader(lines) if row["kind"] == "music"]
    whole = WINDOW_S + 2 * ASIDE_S
    for file in files:
        room = soundfile.info(folder / file).duration - whole - 1
        for place in range(3 if room > 2 * whole else 1 if room >= 0 else 0):
            wave = decode_window(folder / file, start_s=place * room / 2, length_s=whole).wave
            found[file, place] = np.asarray(wave, np.float32)
    return found


def windows(stretch: Any, dice: np.random.Generator) -> tuple[Any, Any]:
    """The middle window of a stretch, and one that begins elsewhere."""
    length, start = int(WINDOW_S * RATE_HZ), int(dice.uniform(0, 2 * ASIDE_S) * RATE_HZ)
    middle = int(ASIDE_S * RATE_HZ)
    return stretch[middle : middle + length], stretch[start : start + length]


def heard(wave: Any) -> tuple[bytes, Any]:
    """Fingerprint and keys."""
    made = sound_print(np.asarray(wave, np.float32), RATE_HZ)
    return made["value"], made["keys"]


def recordings(pieces: dict[tuple[str, int], Any]) -> Tally:
    """Copies and near misses of real recordings."""
    dice, tally, shelf = np.random.default_rng(1), Tally(), Shelf(same_sound)
    for name, stretch in pieces.items():
        shelf.put(name, *heard(windows(stretch, dice)[0]))
    for name, stretch in pieces.items():
        for kind, change in altered.SOUND_HELD_OUT.items():
            found = shelf.find(*heard(change(windows(stretch, dice)[1], dice)))
            tally.copy(kind, name, [one for one in found if one == name or one[0] != name[0]])
        for kind, change in altered.SOUND_TOLD.items():
            found = shelf.find(*heard(change(windows(stretch, dice)[1], dice)))
            tally.copy(kind, name, [one for one in found if one == name or one[0] != name[0]], counts=False)
        mine = heard(windows(stretch, dice)[0])[0]
        for kind, change in altered.SOUND_NEAR.items():  # without the look-up, which would spare the limit some
            tally.misses[kind].append(same_sound(mine, heard(change(windows(stretch, dice)[1], dice))[0]))
    return tally


def of_world(world: Path, songs: int) -> Tally:
    """A world's videos: copies of a song in another codec; live, covers, remixes and songs of others are none."""
    sounds, tally, shelf = Sounds(world), Tally(), Shelf(same_sound)
    videos: dict[int, list[VideoRow]] = defaultdict(list)
    for video in read_table(world, "videos", VideoRow):
        if video.recording is not None:
            videos[video.recording].append(video)
    chosen = [place for place, of_song in videos.items() if any(v.kind in RIGHT for v in of_song)]
    random.Random(2).shuffle(chosen)
    first = {place: next(v for v in videos[place] if v.kind in RIGHT) for place in chosen[:songs]}
    originals = {place: heard(streamed(sounds, video, "251", 40)) for place, video in first.items()}
    for place, made in originals.items():
        shelf.put(place, *made)
    for place in first:
        for video in videos[place]:
            made = heard(streamed(sounds, video, "139", 30))
            if video.kind in RIGHT:
                tally.copy("in another codec, 10 s later", place, shelf.find(*made))
            elif video.kind == "karaoke":  # the very recording without its drums
                tally.copy("karaoke", place, shelf.find(*made), counts=False)
            else:
                tally.misses[video.kind].append(same_sound(originals[place][0], made[0]))
    return tally


def streamed(sounds: Sounds, video: VideoRow, form: str, start_s: float) -> Any:
    """A window of a video as the sandbox streams it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(sounds.stream(video.sound, form) or sounds.stream(video.sound, "file") or b"")
        file.flush()
        return decode_window(file.name, start_s=start_s, length_s=WINDOW_S).wave


def tones(pieces: dict[tuple[str, int], Any]) -> Tally:
    """Chroma: the same performance at another speed, and other recordings."""
    dice, tally = np.random.default_rng(3), Tally()
    mine = {name: chroma_frames(windows(stretch, dice)[0], RATE_HZ) for name, stretch in pieces.items()}
    for name, stretch in pieces.items():
        for kind, factor in (("0.5 % faster", 1.005), ("1 % slower", 0.99)):
            wave = np.asarray(altered.faster(windows(stretch, dice)[1], factor), np.float32)
            tally.copy(kind, name, [name] if _sounds_alike(mine[name], chroma_frames(wave, RATE_HZ)) else [])
    names = list(mine)
    for at, name in enumerate(names):
        for other in names[at + 1 :]:
            if name[0] != other[0]:
                tally.misses["another recording"].append(_sounds_alike(mine[name], mine[other]))
    return tally


def _sounds_alike(mine: Any, theirs: Any) -> bool:
    found = similarity(mine, theirs)
    return found is not None and found[0] >= limits().tones


# --- pictures


def same_picture(mine: Any, theirs: Any) -> bool:
    """By the fitted limit."""
    return image_similarity(mine, theirs) >= limits().picture


def as_file(picture: Any, kind: str = "PNG") -> bytes:
    """The picture, encoded without loss."""
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def pictures(folder: Path, count: int) -> tuple[Tally, dict[str, Any]]:
    """Copies of real posters, and posters of one series; also the thumbnails of all posters by name."""
    dice, tally, shelf = np.random.default_rng(4), Tally(), Shelf(same_picture)
    files = sorted(folder.glob("*.jpg"))
    made = {path.stem: image_fingerprint(path.read_bytes()) for path in files}
    for name, one in made.items():
        tally.copy("(among the posters themselves)", None, shelf.find(*one), counts=False)
        shelf.put(name, *one)
    for path in random.Random(5).sample(files, min(count, len(files))):
        picture = Image.open(path).convert("RGB")
        for kind, change in altered.PICTURE_HELD_OUT.items():
            tally.copy(kind, path.stem, shelf.find(*image_fingerprint(as_file(change(picture, dice)))))
    return tally, {name: one.thumbnail for name, one in made.items()}


def series(titles: Path, thumbnails: dict[str, Any], tally: Tally) -> None:
    """Posters of films whose titles begin alike, as those of sequels do."""
    of_series: dict[str, list[str]] = defaultdict(list)
    with titles.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            name = re.split(r"[:(]|\s\d|\s[IVX]+\b|\sPart\b|, The", row["title"])[0].strip()
            if row["movieId"] in thumbnails:
                of_series[name].append(row["movieId"])
    for members in of_series.values():
        for at, one in enumerate(members):
            for other in members[at + 1 :]:
                tally.misses["poster of the same series"].append(same_picture(thumbnails[one], thumbnails[other]))


# --- texts


def overviews(file: Path, count: int) -> Tally:
    """Real overviews as other sites write them; remakes, sequels and boilerplate among all films."""
    with file.open(encoding="utf-8") as lines:
        films = [film for film in map(json.loads, lines) if len(film.get("overview") or "") > 60]
    rows = [(str(film["id"]), film["title"], _year(film), film["overview"]) for film in films]
    sample, tally = random.Random(9).sample(rows, count), Tally()
    copies = [
        (f"{id_}/{way}", title, year, change(text))
        for id_, title, year, text in sample
        for way, change in altered.TEXT_HELD_OUT.items()
    ]
    blank = [(f"{id_}/none", title, year, altered.BOILERPLATE) for id_, title, year, _ in sample]
    found = _paired([*rows, *copies, *blank])
    for id_, *_ in sample:
        for way in altered.TEXT_HELD_OUT:
            tally.copy(way, id_, [id_] if (id_, f"{id_}/{way}") in found or (f"{id_}/{way}", id_) in found else [])
    of = {id_: id_.partition("/")[0] for id_, *_ in [*copies, *blank]}
    wrong = [pair for pair in found if of.get(pair[0], pair[0]) != of.get(pair[1], pair[1])]
    tally.misses["another film (remake, sequel, boilerplate)"] = [True] * len(wrong)
    tally.misses["boilerplate"] = [any(id_ in pair for pair in found) for id_, *_ in blank]
    return tally


def _year(film: Found) -> int | None:
    return int(film["release_date"][:4]) if film.get("release_date") else None


def _paired(rows: list[tuple[str, str, int | None, str]]) -> set[tuple[str, str]]:
    """Pairs of one recording by the stage's own query."""
    import duckdb
    import pyarrow as pa

    con, prints = duckdb.connect(), list[Found]()
    for id_, title, _, text in rows:
        key = text_key(text)
        prints.append({"item_id": id_, "kind": "overview", "keys": [] if key is None else [key]})
        prints.append({"item_id": id_, "kind": "title", "keys": title_keys("film", title, ())})
    con.register("prints", pa.Table.from_pylist(prints))
    con.register("films", pa.Table.from_pylist([{"item_id": id_, "year": year} for id_, _, year, _ in rows]))
    con.sql("create table fingerprints as select *, 0::bigint as value_hash, null::varchar as reason from prints")
    con.sql("create table items as from films")
    for name in ("lookalikes", "decisions"):
        con.sql(f"create table {name} as {table_of(name).empty_sql}")
    found = claimed(con).filter("relation = 'same_recording'").fetchall()
    return {(row[0], row[1]) for row in found}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=Path)
    parser.add_argument("--songs", type=int, default=20)
    parser.add_argument("--posters", type=int, default=250)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    data = real_data()
    wanted = [chosen.only] if chosen.only else list(PARTS)
    pieces = stretches(data / "music-audio") if {"sound", "tones"} & set(wanted) else {}
    found: Found = {"limits": limits()._asdict()}
    if "sound" in wanted:
        found["same_recording by sound"] = recordings(pieces).as_json()
    if "tones" in wanted:
        found["same_work by tones"] = tones(pieces).as_json()
    if "pictures" in wanted:
        tally, thumbnails = pictures(data / "posters", chosen.posters)
        series(data / "movielens-small" / "movies.csv", thumbnails, tally)
        found["same_recording by picture"] = tally.as_json()
    if "texts" in wanted:
        file = data / "tmdb-films" / "films_overview_poster.jsonl"
        found["same_recording by text"] = overviews(file, chosen.posters).as_json()
    if "world" in wanted and chosen.world:
        found["same_recording in a world"] = of_world(chosen.world, chosen.songs).as_json()
    print(json.dumps(found, ensure_ascii=False) if chosen.json else json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
