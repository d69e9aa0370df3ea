"""A build whose sources fail all the time, day after day, ends in the tables of a build that met no fault.

    python -m benchmarks.faults [--tracks 200 --films 100 --listeners 60] [--json]

Both ask a sandbox over one generated world. The rough one answers with 10 % 5xx, 5 % time-outs, 2 % 429 with and 2 %
without Retry-After, 3 % truncated bodies, 2 % block pages, and a daily quota of half of what the calm build asked. Each
build is the command as a person runs it; between two builds a day goes by, for the sandbox and for the builds
(`storage.clock`). Compared are all tables, without times, attempts and the ids of runs. What the builds left on disk,
their logs at DEBUG, and the words of block pages are searched for secrets and for pages that were taken for data.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import leaks
from benchmarks.same import Snapshot, differences, media_faults, snapshot
from benchmarks.sandbox_catalogue import with_keys, write_catalogue
from deployments.sandbox.faults import PRESETS, Faults
from deployments.sandbox.serve import serve
from deployments.sandbox.server import Sandbox
from storage.clock import AHEAD, SANDBOX
from storage.reasons import Reason
from storage.schemas import LOGS, table_of
from storage.store import Store

QUOTAS = ("lastfm", "spotify", "genius", "tmdb", "youtube")
MOST_DAYS = 40
ITEM_IDS = {"item_id", "item_a", "item_b", "component"}
# What another day may mend; all else is an answer.
PASSING = (Reason.QUOTA, Reason.BLOCKED_PAGE, Reason.UNREACHABLE, Reason.NO_ACCESS, Reason.INTERNAL_ERROR)
# Words of `deployments.sandbox.block_pages` that no message of ours repeats.
BLOCK_WORDS = ("_cf_chl_opt", "challenge-error-text", "data-sitekey", "captcha-form")
_CLIENTS = "urllib3,requests,httpx2,httpcore2,spotipy,pylast,lyricsgenius,yt_dlp"
_TALKATIVE = {"PREFECT_LOGGING_LEVEL": "DEBUG", "PREFECT_LOGGING_EXTRA_LOGGERS": _CLIENTS}

Build = Callable[[Path, Mapping[str, str], Path], int]
"""Builds a catalogue with these settings in the environment; its words go to the file; the exit code."""


def build(catalogue: Path, settings: Mapping[str, str], words: Path) -> int:
    """`mediateca build`, then the frozen fit of this build's first day made anew, as it is not the calm build's."""
    command = [sys.executable, "-m", "deployments.cli", "build", str(catalogue), "--refit", "tabular"]
    with words.open("ab") as out:
        return subprocess.run(command, env=os.environ | settings, stdout=out, stderr=out, check=False).returncode


def new_keys() -> dict[str, str]:
    """A key per setting that holds one, unlike any word."""
    names = ("api_key", "client_id", "client_secret", "access_token")
    return {name: f"zq{secrets.token_hex(12)}" for name in names}


def prove(folder: Path, catalogue: Path, *, seed: int = 0, build: Build = build, rough: Faults | None = None) -> Any:
    """Build `catalogue` once in calm, then day by day in a storm; what differs, and what was found.

    Args:
        folder: Gets a home of each build, their words and the sandbox's log.
        catalogue: A YAML file over the world in `folder / "world"`.
        seed: Of the faults.
        build: How a build is run.
        rough: The faults; default: those that the module names.

    Returns:
        Days, requests, faults met, requests over quota, differences, files with secrets or block pages, reasons left.
    """
    keys = new_keys()
    # One sandbox for both: addresses are kept in `raw`, and another one would listen on another port.
    with serve(folder / "world", log=folder / "requests.jsonl") as sandbox:
        calm, stormy = (Store(str(folder / name / catalogue.stem)) for name in ("calm", "rough"))
        began = time.perf_counter()
        days = weather(sandbox, catalogue, calm, keys, build)
        seconds, asked = time.perf_counter() - began, _requests(sandbox)
        faults = _with_quotas(rough or PRESETS["rough"].model_copy(update={"seed": seed}), asked)
        sandbox.log.clear()
        sandbox.faults = faults
        began = time.perf_counter()
        days_rough = weather(sandbox, catalogue, stormy, keys, build)
        told = sandbox.log.report()
    want, got = comparable(*(snapshot(store, without=("attempt",)) for store in (calm, stormy)))
    met = Counter[str]()
    for row in told["answers"]:
        met[row["fault"]] += row["count"]
    return {
        "rows": {table: len(rows) for table, rows in want.items()},
        "calm": {"days": days, "requests": sum(asked.values()), "seconds": round(seconds, 1)},
        "rough": {
            "days": days_rough,
            "requests": told["requests"],
            "faults_met": dict(met),
            "seconds": round(time.perf_counter() - began, 1),
        },
        "quota_a_day": {name: faults.of(name).per_day for name in QUOTAS},
        "over_quota": told["over_quota"],
        "differences": differences(want, got) + media_faults(stormy),
        "block_pages_kept": leaks.find(folder / "rough", BLOCK_WORDS),
        "secrets_found": _secrets_in(folder, keys),
    }


def weather(
    sandbox: Sandbox, catalogue: Path, store: Store, keys: Mapping[str, str], build: Build
) -> list[dict[str, Any]]:
    """A build a day until no key waits for another; per day its exit code, and the passing reasons it left."""
    home, days = Path(store.url).parent, list[dict[str, Any]]()
    home.mkdir(parents=True, exist_ok=True)
    for day in range(MOST_DAYS):
        settings = {"MEDIATECA_HOME": str(home), SANDBOX: with_keys(sandbox, keys), AHEAD: str(day), **_TALKATIVE}
        code = build(catalogue, settings, home / "words.log")
        left = waiting(store)
        days.append({"code": code, "waiting": left})
        if code not in (0, 3):
            words = (home / "words.log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"the build of day {day} ended with {code}: {words[-2000:]}")
        if code == 0 and not left:
            return days
        sandbox.next_day()
    raise RuntimeError(f"not done after {MOST_DAYS} days: {days[-1]}")


def waiting(store: Store) -> dict[str, int]:
    """How many keys have a reason that another day may mend."""
    con, found = store.database(), Counter[str]()
    for name in store.tables():
        if name not in LOGS and "reason" in table_of(name).names and table_of(name).kind == "keyed":
            found.update(dict(con.sql(f"select reason, count(*) from {table_of(name).view} group by 1").fetchall()))
    return {reason: found[reason] for reason in PASSING if found[reason]}


def _requests(sandbox: Sandbox) -> Counter[str]:
    asked = Counter[str]()
    for row in sandbox.log.report()["answers"]:
        asked[row["service"]] += row["count"]
    return asked


def _with_quotas(rough: Faults, asked: Mapping[str, int]) -> Faults:
    """Half of what a calm build asks a day, so that it ends in the middle of a build; media have no quota."""
    daily = {name: rough.all.model_copy(update={"per_day": max(8, asked.get(name, 0) // 2)}) for name in QUOTAS}
    return rough.model_copy(update={"services": daily})


def comparable(want: Snapshot, got: Snapshot) -> tuple[Snapshot, Snapshot]:
    """Both without what must differ between one build and many.

    An item keeps the id under which it was first seen: here it is named by the entity that any order of nights names
    it by. What was asked on the way to what is known now stays in `raw` and `entities`; which listener's history told
    of a track first is chance; checks, pages and indexes tell of releases and of ids.
    """
    for found in (want, got):
        for name in ("indexes", "reports"):
            for row in found.get(name, ()):
                row.update(dict.fromkeys(("ids_sha256", "size_bytes", "release_id", "compared_with"), None))
        for row in found.get("raw", ()):
            row["url"] = None if row["entity"] == "track" else row["url"]
        _rename(found)
    for name in ("raw", "entities"):
        asked = {_key(name, row) for row in want.get(name, ())}
        got[name] = [row for row in got.get(name, ()) if _key(name, row) in asked]
    compared = {_key("validations", row) for row in want["validations"] + got["validations"] if row["compared_with"]}
    for row in want["validations"] + got["validations"]:
        if _key("validations", row) in compared:
            row.update(dict.fromkeys(("compared_with", "observed", "examples"), None))
    return want, got


def _key(table: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in table_of(table).key)


def _rename(found: Snapshot) -> None:
    own: dict[str, str] = {}
    for row in found.get("links", ()):
        if row["state"] == "accepted" and row["method"] == "own":
            own[row["item_id"]] = min(row["entity_id"], own.get(row["item_id"], row["entity_id"]))
    for rows in found.values():
        for row in rows:
            row.update({name: own.get(row[name], row[name]) for name in ITEM_IDS & row.keys()})


def _secrets_in(folder: Path, keys: Mapping[str, str]) -> dict[str, list[str]]:
    """Setting -> files that hold its key or, of Spotify, the token that was given for it."""
    from base64 import b64encode

    from deployments.sandbox.protocol import digest
    from deployments.sandbox.spotify_service import TOKEN

    basic = b64encode(f"{keys['client_id']}:{keys['client_secret']}".encode()).decode()
    words = {**keys, "basic": basic, "token": TOKEN + digest(keys["client_id"])}
    found: dict[str, list[str]] = {}
    for home in ("calm", "rough"):
        hits = leaks.find(folder / home, words.values())
        for name, word in words.items():
            found.setdefault(name, []).extend(f"{home}/{file}" for file in hits.get(word, ()))
    for log in folder.glob("*.jsonl"):
        text = log.read_text(encoding="utf-8")
        for name, word in words.items():
            found[name] += [log.name] if word in text else []
    return {name: files for name, files in found.items() if files}


def main() -> None:
    """Print what was met and what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=100)
    parser.add_argument("--tracks", type=int, default=200)
    parser.add_argument("--listeners", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    parser.add_argument("--keep", type=Path, help="leave everything in this folder, to be looked at")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = args.keep or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        sizes = {"films": args.films, "tracks": args.tracks, "listeners": args.listeners}
        found = prove(folder, write_catalogue(folder, name="faults", **sizes), seed=args.seed)
    print(json.dumps(found) if args.json else told(found))
    sys.exit(1 if any(found[name] for name in BAD) else 0)


BAD = ("over_quota", "differences", "block_pages_kept", "secrets_found")


def told(found: Mapping[str, Any]) -> str:
    """The result for people."""
    calm, rough = found["calm"], found["rough"]
    lines = [
        f"calm: {calm['requests']:,} requests, {len(calm['days'])} build(s), {calm['seconds']:.0f} s",
        f"rough: {rough['requests']:,} requests, {len(rough['days'])} builds, one a day, {rough['seconds']:.0f} s",
        f"faults met: {rough['faults_met']}",
        f"quotas a day: {found['quota_a_day']}",
        *(f"day {n}: exit code {day['code']}, waiting {day['waiting']}" for n, day in enumerate(rough["days"])),
        f"{sum(found['rows'].values()):,} rows in {len(found['rows'])} tables",
    ]
    return "\n".join([*lines, *(f"{name.replace('_', ' ')}: {found[name] or 'none'}" for name in BAD)])


if __name__ == "__main__":
    main()
