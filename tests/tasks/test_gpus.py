"""One worker per GPU, each pinned to its own; the number of GPUs is faked, as the tests need none."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from storage.store import Store
from tasks.features import feature_stage
from tasks.gpus import visible_gpus
from tasks.progress import Bars
from tasks.run import Build
from tasks.settings import Catalogue, CatalogueError
from tasks.settings_stages import FeaturizerSettings
from tasks.stage import Stage


@pytest.fixture
def build(tmp_path: Path) -> Any:
    source = {"connector": "movielens", "path": str(tmp_path)}
    catalogue = Catalogue.model_validate({"catalogue": "gpus", "sources": {"films": source}})
    made = Build(catalogue=catalogue, store=Store(str(tmp_path / "store")), progress=Bars(quiet=True))
    yield made
    made.close()


class Seen:
    """In place of a chunk: which GPU the process sees that runs it."""

    def __call__(self) -> Any:
        time.sleep(0.5)  # long enough for the other workers to take theirs
        return os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"]


def stage_of(store: Path, **said: object) -> Stage:
    settings = FeaturizerSettings.model_validate({"minilm": said}).encoders["minilm"]
    return feature_stage("minilm", settings, Store(str(store)))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("0,1,3", ("0", "1", "3")),
        ("GPU-8932f937, GPU-1f2e", ("GPU-8932f937", "GPU-1f2e")),
        ("", ()),
        ("1,-1,0", ("1",)),
    ],
)
def test_gpus_are_those_that_the_variable_names(
    monkeypatch: pytest.MonkeyPatch, said: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert visible_gpus() == expected


def test_without_the_variable_all_that_torch_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert visible_gpus() == ("0", "1", "2", "3")


def test_each_worker_sees_one_gpu_and_each_gpu_has_one_worker(build: Build) -> None:
    gpus = ("0", "2", "5")
    work: Any = Seen()
    with ThreadPoolExecutor(6) as threads:
        found: list[Any] = list(threads.map(lambda _: build._in_pool(work, gpus), range(6)))
    assert sorted(gpu for _, gpu in set(found)) == list(gpus)
    assert len({pid for pid, _ in found}) == 3
    assert os.getpid() not in {pid for pid, _ in found}


class Deadly:
    """In place of a chunk of one key: it ends its process."""

    rows = pa.table({"item_id": ["a"]})

    def __call__(self) -> Any:
        os._exit(9)

    def give_up(self, detail: str) -> str:
        return detail


def test_a_worker_that_died_takes_nothing_with_it_and_its_gpu_gets_another(build: Build) -> None:
    work: Any = Deadly()
    assert build._in_pool(work, ("0", "1")) == "the process that computed it died"
    after: Any = Seen()
    with ThreadPoolExecutor(2) as threads:
        found: list[Any] = list(threads.map(lambda _: build._in_pool(after, ("0", "1")), range(2)))
    assert sorted(gpu for _, gpu in found) == ["0", "1"]


@pytest.mark.parametrize(
    ("said", "machine", "expected"),
    [
        ({}, "", "driver"),
        ({"device": "cuda"}, "", "gpus"),
        ({"device": "cuda:1"}, "", "driver"),
        ({}, "cuda", "gpus"),
        ({"precision": "bf16"}, "cuda", "gpus"),
        ({"precision": "int8"}, "cuda", "driver"),  # which is of CPUs
        ({"device": "cuda"}, "cpu", "driver"),
        ({"device": "cuda", "compile": True}, "cpu", "driver"),  # and is not compiled
    ],
)
def test_an_encoder_runs_where_the_machine_or_else_the_catalogue_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any], machine: str, expected: str
) -> None:
    version = stage_of(tmp_path, **said).version
    monkeypatch.setenv("MEDIATECA_DEVICE", machine)
    stage = stage_of(tmp_path, **said)
    assert stage.runs_in == expected
    assert '"compile": true' not in stage.compute.keywords["settings"]
    assert stage.version == version  # vectors of a CPU need not be computed again


def test_a_device_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIATECA_DEVICE", "gpu")
    with pytest.raises(CatalogueError, match="MEDIATECA_DEVICE: 'gpu'; expected cpu, mps, cuda"):
        stage_of(tmp_path)


def test_without_a_gpu_the_encoder_says_so_in_the_driver(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(build, "_in_driver", lambda work: "driver")
    monkeypatch.setattr(build, "_in_pool", lambda work, gpus: gpus)
    monkeypatch.setattr("tasks.run.task", lambda **_: lambda run: type("Task", (), {"submit": staticmethod(run)}))
    work: Any = Seen()
    stage = stage_of(Path(build.store.url), device="cuda")
    assert build.submit(stage, work, 100.0) == "driver"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    assert build.submit(stage, work, 100.0) == ("1", "2")
