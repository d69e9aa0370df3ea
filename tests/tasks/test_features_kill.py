"""A kill while an encoder works loses the chunk in flight at most, and the next run computes only what is left."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from storage.store import Store
from tasks.features import feature_stage
from tasks.run_stage import run_stage
from tasks.settings_encoders import EncoderSettings
from tasks.stage import Stage
from tests.featurizers.tiny import WORDS, tiny_bert
from tests.tasks.plant import plant

CHUNK, TEXTS = 20, 400
CHILD = """
import sys
from dataclasses import replace
from pathlib import Path
from storage.store import Store
from tasks.run_stage import run_stage
from tests.tasks.test_features_kill import stage_of
store, model, begun = Store(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
stage = stage_of(store, model)
def compute(rows, store):
    with begun.open("a") as file:
        file.write("chunk\\n")
    return stage.compute(rows, store)
run_stage(store, replace(stage, compute=compute), build_id="killed")
"""


def stage_of(store: Store, model: str) -> Stage:
    """Texts to vectors of a tiny encoder in small chunks."""
    said = {"name": "mine", "family": "text", "model": model, "max_tokens": 64}
    return replace(feature_stage("mine", EncoderSettings.model_validate(said), store), chunk_keys=CHUNK)


def vectors(store: Store) -> dict[str, list[float]]:
    """Vectors by item; a key that is there twice is an error."""
    found = store.database().sql("select item_id, value from features_mine__rows").fetchall()
    assert len(found) == len({item for item, _ in found})
    return dict(found)


def test_a_kill_loses_the_chunk_in_flight_at_most(tmp_path: Path) -> None:
    model, begun = str(tiny_bert(tmp_path / "bert")), tmp_path / "begun"
    store = Store(str(tmp_path / "store"))
    store.create(["texts", "features/mine"])
    plant(store, "texts", *(
        {"item_id": f"i{n}", "kind": "document", "value": " ".join(WORDS[5 : 7 + n % 10]), "value_hash": n}
        for n in range(TEXTS)
    ))  # fmt: skip
    begun.write_text("")
    child = subprocess.Popen([sys.executable, "-c", CHILD, store.url, model, begun])
    while begun.read_text().count("chunk") < 5 and child.poll() is None:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "the child ended by itself: give it more texts"
    before = vectors(store)
    assert len(before) % CHUNK == 0
    assert len(before) >= (begun.read_text().count("chunk") - 1) * CHUNK > 0
    assert run_stage(store, stage_of(store, model), build_id="last").done == TEXTS - len(before)
    after = vectors(store)
    assert len(after) == TEXTS
    assert {item: after[item] for item in before} == before
