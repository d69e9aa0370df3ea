"""The proof of `benchmarks.faults` in small: days of faults end in the tables of a day without."""

import json
import sqlite3
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from benchmarks import leaks
from benchmarks.faults import BAD, prove
from benchmarks.sandbox_catalogue import write_catalogue
from deployments.sandbox.faults import Faults, ServiceFaults
from storage.clock import SANDBOX
from storage.store import Store
from tasks.pending import last_runs
from tasks.plan import STEPS, all_stages, stages_of
from tasks.run_stage import run_stage
from tasks.settings import load_catalogue

ROUGH = ServiceFaults(error=0.1, timeout=0.05, limited=0.02, limited_bare=0.02, truncated=0.03, blocked=0.02)


def films_only(folder: Path) -> Path:
    """A catalogue of films and TMDb alone: the others cost the same stages again, and sounds take time to be drawn."""
    path = write_catalogue(folder, name="faults", films=30, tracks=30, listeners=1, features=False)
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    said["sources"] = {name: said["sources"][name] for name in ("movielens", "tmdb")}
    path.write_text(yaml.safe_dump(said, sort_keys=False), encoding="utf-8")
    return path


def plain(catalogue: Path, settings: Mapping[str, str], words: Path) -> int:
    """A build in the plain loop: no server, no workers, and short pauses."""
    asked: dict[str, Any] = json.loads(settings[SANDBOX])
    for source in asked.values():
        source["policy"] |= {"backoff_s": 0.002}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**settings, SANDBOX: json.dumps(asked)}.items():
            patch.setenv(name, value)
        chosen = load_catalogue(str(catalogue))
        store, partial = Store(chosen.store_url), False
        store.create(stage.writes for stage in all_stages(chosen, store))
        for step in STEPS[:4]:  # from histories to pictures: no checks, no page
            for stage in stages_of(step, chosen, store):
                done = run_stage(store, stage, build_id=uuid.uuid4().hex, last=last_runs(store).get(stage.name))
                partial |= done.status == "partial"
    return 3 if partial else 0


def test_days_of_faults_end_in_the_tables_of_a_day_without(tmp_path: Path) -> None:
    rough = Faults(seed=1, all=ROUGH, timeout_s=0.02, retry_after_s=0)
    found = prove(tmp_path, films_only(tmp_path), build=plain, rough=rough)
    assert {name: found[name] for name in BAD} == {name: type(found[name])() for name in BAD}
    assert {"error", "timeout", "limited", "limited_bare", "truncated", "blocked"} <= found["rough"][
        "faults_met"
    ].keys()
    assert len(found["rough"]["days"]) > len(found["calm"]["days"]) == 1
    assert any("quota" in day["waiting"] for day in found["rough"]["days"])
    assert min(found["rows"][name] for name in ("items", "matches", "links", "raw", "media")) > 20


def test_a_word_is_found_wherever_it_hides(tmp_path: Path) -> None:
    word, table = "zq0123456789", pa.table({"a": [["x", "y zq0123456789"]], "b": [b"zq9876543210"]})
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd")
    with sqlite3.connect(tmp_path / "d.db") as database:
        database.execute("create table t (a text)")
        database.execute("insert into t values (?)", ["." * 5_000 + word + "." * 5_000])
    (tmp_path / "words.log").write_bytes(b"." * (1 << 24) + b"zq0123456789")
    (tmp_path / "clean.txt").write_text("nothing")
    assert leaks.find(tmp_path, [word]) == {word: ["d.db", "t.parquet", "words.log"]}
    assert leaks.find(tmp_path, ["zq9876543210"]) == {"zq9876543210": ["t.parquet"]}
