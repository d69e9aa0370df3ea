"""Speed of linking tables: rows as Last.fm gives them (artist and title alone) against a large table of tracks.

    python -m benchmarks.blocking [--rows 100000] [--tracks 1000000] [--processes 2] [--json]

Invented names; a third of the tracks are other versions of their neighbour. A tenth of the rows have no counterpart,
the others are spelled in another case, without accents, with guests or a typo. Prints seconds, pairs and peak memory of
the process and of its workers for 1/8, 1/4, 1/2 and all of the tracks (Linux): memory should stay flat, as candidates
are read in batches. Exit code 1 above five minutes.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.blocking import link_tables

BATCH = 100_000
LIMIT_S = 300.0
SYLLABLES = "ka lo mi ren tas vel dor um bri sha no pé lü gar in sto wen ally ox fro da zu".split()
VERSIONS = (" (Live)", " (Acoustic)", " (Kolibri Remix)", " - Instrumental")
MARKS = ("", "", "", "", "", " - Remastered 2011", " - Radio Edit")
AGAIN = 0.35  # share of tracks that are another version of the track before


def write_tracks(path: Path, count: int, seed: int = 5) -> None:
    """A table of invented tracks, about ten per artist, in row groups of a batch."""
    dice = np.random.default_rng(seed)
    with pq.ParquetWriter(path, _schema()) as writer:
        for start in range(0, count, BATCH):
            size = min(BATCH, count - start)
            artists = [_name(number // 10, 3) for number in range(start, start + size)]
            titles = [_name(int(number), 4) for number in dice.integers(0, 4_000_000, size)]
            marks = [MARKS[place] for place in dice.integers(0, len(MARKS), size)]
            for place in np.flatnonzero(dice.random(size) < AGAIN):
                before = VERSIONS.index(marks[place - 1]) if place and marks[place - 1] in VERSIONS else -1
                if place and before + 1 < len(VERSIONS):
                    titles[place], artists[place] = titles[place - 1], artists[place - 1]
                    marks[place] = VERSIONS[before + 1]
            columns = {
                "id": [f"t{number}" for number in range(start, start + size)],
                "title": [title + mark for title, mark in zip(titles, marks, strict=True)],
                "artists": [[artist] for artist in artists],
                "album": titles[::-1],
                "duration_ms": dice.integers(90_000, 400_000, size),
            }
            writer.write_table(pa.table(columns, _schema()), row_group_size=BATCH)


def _schema() -> pa.Schema:
    text = pa.string()
    names = [("id", text), ("title", text), ("artists", pa.list_(text)), ("album", text), ("duration_ms", pa.int64())]
    return pa.schema(names)


def _name(number: int, parts: int) -> str:
    """A name of two words, another one for each number."""
    found: list[str] = []
    for _ in range(parts):
        number, place = divmod(number, len(SYLLABLES))
        found.append(SYLLABLES[place])
    if number:
        found.append(str(number))
    return ("".join(found[:2]) + " " + "".join(found[2:])).title()


def lastfm_rows(path: Path, count: int, seed: int = 6) -> tuple[pa.Table, dict[str, str]]:
    """Rows with artist and title alone, and the track that each is; rows without a counterpart are not in it."""
    dice = np.random.default_rng(seed)
    table = pq.read_table(path, columns=["id", "title", "artists"])
    chosen = table.take(pa.array(dice.choice(table.num_rows, min(count, table.num_rows), replace=False)))
    rows: list[dict[str, Any]] = []
    truth: dict[str, str] = {}
    for place, track in enumerate(chosen.to_pylist()):
        row = {"id": f"r{place}", "title": track["title"], "artists": track["artists"]}
        if dice.random() < 0.1:
            row["artists"] = ["Nobody " + track["artists"][0][::-1]]
        else:
            truth[row["id"]] = track["id"]
            _respelled(row, dice)
        rows.append(row)
    return pa.Table.from_pylist(rows), truth


def _respelled(row: dict[str, Any], dice: np.random.Generator) -> None:
    chance = dice.random()
    title, artist = row["title"], row["artists"][0]
    if chance < 0.2:
        row["title"], row["artists"] = title.lower(), [artist.upper()]
    elif chance < 0.3:
        row["title"], row["artists"] = title.replace("é", "e").replace("ü", "u"), [artist.replace("é", "e")]
    elif chance < 0.4:
        row["title"] = f"{title} (feat. Kolibri)"
    elif chance < 0.45 and len(title) > 8:
        row["title"] = title[:7] + title[8:]
    elif chance < 0.5:
        row["artists"] = [f"{artist} & Kolibri"]


def batches(path: Path, count: int) -> Iterator[pa.Table]:
    """The first `count` tracks, a batch at a time."""
    left = count
    for batch in pq.ParquetFile(path).iter_batches(BATCH):
        if left <= 0:
            return
        yield pa.Table.from_batches([batch.slice(0, left)])
        left -= batch.num_rows


def _children() -> list[int]:
    found: list[int] = []
    for listed in Path("/proc/self/task").glob("*/children"):
        found += map(int, listed.read_text().split())
    return found


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0  # it ended between the listing and the question
    return pages * os.sysconf("SC_PAGE_SIZE")


def _cpu() -> float:
    """Seconds of CPU of this process and its children so far."""
    ticks = 0
    for pid in (os.getpid(), *_children()):
        try:
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Peak:
    """Greatest memory of this process and its children while it is watched."""

    def __enter__(self) -> "Peak":
        self.bytes, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.bytes = max(self.bytes, sum(map(_resident, (os.getpid(), *_children()))))

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def measure(path: Path, rows: int, tracks: int, processes: int) -> dict[str, Any]:
    """One point of the growth curve."""
    said, truth = lastfm_rows(path, rows)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool, Peak() as peak:
        began, worked = time.perf_counter(), _cpu()
        links = link_tables(said, batches(path, tracks), source="spotify", pool=pool, jobs=2 * processes)
        accepted = {row: found.best for row, found in links.decisions() if found.state == "accept"}
        seconds, worked = time.perf_counter() - began, _cpu() - worked
    there = {row: track for row, track in truth.items() if int(track[1:]) < tracks}
    right = sum(accepted.get(row) == track for row, track in there.items())
    return {
        "rows": said.num_rows,
        "tracks": tracks,
        "seconds": round(seconds, 1),
        "cpu_s": round(worked, 1),
        "pairs": links.pairs,
        "peak_mb": peak.bytes >> 20,
        "accepted": len(accepted),
        "precision": round(right / max(len(accepted), 1), 4),
        "recall": round(right / max(len(there), 1), 4),
    }


def main() -> None:
    """Print the growth curve; fail above the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracks.parquet"
        write_tracks(path, args.tracks)
        for share in (8, 4, 2, 1):
            found.append(measure(path, args.rows, args.tracks // share, args.processes))
            if not args.json:
                print("  ".join(f"{name} {value:,}" for name, value in found[-1].items()), flush=True)
    if args.json:
        print(json.dumps(found))
    sys.exit(1 if found[-1]["seconds"] > LIMIT_S else 0)


if __name__ == "__main__":
    main()
