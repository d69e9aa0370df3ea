"""What a changed text and a changed model cost, and what is served while the new vectors are on their way.

    python -m benchmarks.generations [--texts 10000] [--json]

Films with generated titles, and an encoder of 2 layers with random weights, built here, so that the mechanism is
measured and no model: rows encoded, rows served, not seconds. One title changes: one text may be encoded. The model
changes: all are, beside the old vectors; the build is killed with SIGKILL in the middle, the old release must answer as
before and export one version, and the next build must go on where that one stopped. Every build is a process; checks
and report are left out, which read the vectors that are served and write none.
"""

import argparse
import json
import os
import signal
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.synthetic import movielens_folder
from storage.generations import only_version, served_versions
from storage.releases import find_release, rollback
from storage.schemas import table_of
from storage.store import Store
from tasks.export import export_release
from tasks.maintain import drop_generations, drop_old_releases
from tasks.neighbors import find_neighbors
from tasks.pending import last_runs
from tasks.plan import all_stages, make_plan
from tasks.release import publish_release
from tasks.run_stage import run_stage
from tasks.settings import load_catalogue

NAME = "plots"
TABLE = f"features/{NAME}"


def tiny_encoder(folder: Path, seed: int) -> Path:
    """A BERT of 2 layers and 32 numbers that reads letters."""
    import torch
    import transformers

    letters = string.ascii_lowercase + string.digits
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.punctuation, *letters, *(f"##{c}" for c in letters)]
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        vocab_size=len(words),
        max_position_embeddings=128,
    )
    model = transformers.BertModel(config)
    for weight in model.parameters():  # as drawn, weights are so small that all texts look alike
        weight.data.normal_(0, 0.3)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def write_catalogue(path: Path, data: Path, model: Path) -> None:
    """The films, one encoder of their documents, and an index of its vectors."""
    text = f"""catalogue: generations
chunk_keys: 500
sources:
  movielens: {{connector: movielens, path: {data}}}
featurizers:
  {NAME}: {{family: text, model: {model}, max_tokens: 64}}
"""
    path.write_text(text, encoding="utf-8")


def build(path: str) -> dict[str, Any]:
    """One build in the plain loop; how many vectors it computed, and its release."""
    catalogue = load_catalogue(path)
    store = Store(catalogue.store_url)
    store.create(stage.writes for stage in all_stages(catalogue, store))
    last, done = last_runs(store), 0
    for stage in (stage for stage in all_stages(catalogue, store) if stage.name not in ("validate", "report")):
        result = run_stage(store, stage, build_id=str(time.time_ns()), last=last.get(stage.name))
        done += result.done if stage.name == NAME else 0
    return {"encoded": done, "release": publish_release(catalogue, store, partial=False).release_id}


def start(path: Path) -> "subprocess.Popen[str]":
    """A build in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.generations", "--build", str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What the build says.

    Raises:
        RuntimeError: It failed.
    """
    said, err = process.communicate()
    if process.returncode:
        raise RuntimeError(err[-2000:])
    return json.loads(said)


def rows_by_version(store: Store, *, served: bool) -> dict[str, int]:
    """Rows of the feature by version: those that are served, or all that are there."""
    view = table_of(TABLE).view + ("" if served else "__rows")
    con = store.database(only=(TABLE,))
    return dict(con.sql(f"select version, count(*) from {view} where reason is null group by 1").fetchall())


def kill_in_the_middle(path: Path, store: Store, old: str, texts: int) -> int:
    """Start a build and kill it when it has encoded a third of the texts or more; how many it had committed."""
    process = start(path)
    while process.poll() is None:
        there = rows_by_version(store, served=False)
        if sum(n for version, n in there.items() if version != old) >= texts / 3:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return sum(n for version, n in rows_by_version(store, served=False).items() if version != old)


def asked(store: Store, release: str, folder: Path) -> dict[str, Any]:
    """What a release gives: its version, neighbours of one film, and the version and rows that an export holds."""
    found = find_release(store, release)
    con = store.database(found.tables, only=(TABLE, "items"))
    item = con.sql("select min(item_id) from items").fetchall()[0][0]
    near = [row["item_id"] for row in find_neighbors(store, found, item, feature=NAME, k=5).rows]
    export_release(store, found, folder, media=False)
    files = sorted((folder / TABLE).glob("*.parquet"))
    said = [json.loads(pq.read_schema(file).metadata[b"mediateca"])["vector"]["version"] for file in files]
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    return {"named": found.stages[NAME], "rows_of": only_version(con, TABLE), "exported": (said[0], rows), "near": near}


def measure(folder: Path, texts: int) -> dict[str, Any]:
    """All steps; what was counted, and which of the promises were kept."""
    data, path = folder / "data", folder / "generations.yaml"
    movielens_folder(data, films=texts)
    write_catalogue(path, data, tiny_encoder(folder / "model1", seed=1))
    store = Store(load_catalogue(str(path)).store_url)
    first = finished(start(path))
    rename_one(data / "movies.csv")
    one = finished(start(path))
    old = served_versions(store, [TABLE])[NAME]
    before = asked(store, one["release"], folder / "before")

    write_catalogue(path, data, tiny_encoder(folder / "model2", seed=2))
    planned = next(row for row in make_plan(load_catalogue(str(path)), store) if row["stage"] == NAME)
    committed = kill_in_the_middle(path, store, old, texts)
    while_away = rows_by_version(store, served=True)
    served = asked(store, one["release"], folder / "while")
    rest = finished(start(path))
    new = served_versions(store, [TABLE])[NAME]
    after = asked(store, rest["release"], folder / "after")
    rollback(store, one["release"])
    back = asked(store, one["release"], folder / "back")
    drop_old_releases(store, 1)
    rollback(store, rest["release"])
    drop_old_releases(store, 1)
    return {
        "texts": texts,
        "encoded_first": first["encoded"],
        "encoded_after_one_changed": one["encoded"],
        "planned": {name: planned["version_change"][name] for name in ("items", "seconds", "bytes")},
        "committed_when_killed": committed,
        "served_after_the_kill": list(while_away.values()),
        "encoded_by_the_next_build": rest["encoded"],
        "encoded_twice": committed + rest["encoded"] - texts,
        "kept": {
            "one text for one change": one["encoded"] == 1,
            "killed in the middle": 0 < committed < texts,
            "the old generation served whole after the kill": while_away == {old: texts},
            "the old release answers as before after the kill": served == before,
            "all texts for a changed model": after["rows_of"] == new != old and committed + rest["encoded"] == texts,
            "the new release names and exports the new version": (after["named"], after["exported"])
            == (new, (new, texts)),
            "rolled back, it answers as before": back == before,
            "dropped with the last release that names it": drop_generations(store) == [f"{TABLE}: {old}"],
            "the new one is left": rows_by_version(store, served=False) == {new: texts},
        },
    }


def rename_one(movies: Path) -> None:
    """Give one film another title."""
    lines = movies.read_bytes().split(b"\n")
    number, _, rest = lines[len(lines) // 2].partition(b",")
    lines[len(lines) // 2] = number + b"," + (b'"New ' + rest[1:] if rest.startswith(b'"') else b"New " + rest)
    movies.write_bytes(b"\n".join(lines))


def main() -> None:
    """Print what was counted; 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--build", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.build:
        print(json.dumps(build(args.build)))
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDIATECA_HOME"] = str(Path(folder) / "home")
        found = measure(Path(folder), args.texts)
    if args.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name.replace('_', ' ')}: {value}" if name != "kept" else "")
        for promise, kept in found["kept"].items():
            print(f"{'yes' if kept else 'NO '}  {promise}")
    sys.exit(0 if all(found["kept"].values()) else 1)


if __name__ == "__main__":
    main()
