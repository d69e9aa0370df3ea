"""Where chunks run, and what the death of a worker costs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage.store import Store, rows_of
from tasks.chunks import Chunk
from tasks.progress import Bars
from tasks.run import Build, run
from tasks.run_stage import run_stage
from tasks.settings import Catalogue
from tasks.stage import ChunkResult, Stage
from tests.tasks.toy import deadly_lengths, toy_stage, write_texts


class Now:
    """A chunk's result in the place of a Prefect task's future."""

    def __init__(self, found: ChunkResult) -> None:
        self._found = found

    def result(self) -> ChunkResult:
        return self._found


def test_the_key_that_ends_its_process_is_a_reason_and_all_others_have_their_value(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    store.create(["features/toy"])
    write_texts(store, {f"i{n}": "deadly" if n == 3 else "x" * n for n in range(6)})
    catalogue: Any = Catalogue.model_validate(
        {"catalogue": "dead", "sources": {"films": {"connector": "movielens", "path": str(tmp_path)}}}
    )
    build = Build(catalogue=catalogue, store=store, progress=Bars(quiet=True))

    def in_pool(stage: Stage, work: Chunk, seconds: float) -> Now:
        return Now(build._in_pool(work))

    try:
        result = run_stage(store, toy_stage(compute=deadly_lengths), build_id="b", submit=in_pool)
    finally:
        build.close()
    rows = {row["item_id"]: row for row in rows_of(store.database().sql("select * from features_toy"))}
    assert (result.done, result.failed, dict(result.reasons)) == (5, 1, {"internal_error": 1})
    assert rows["i3"]["detail"] == "the process that computed it died"
    assert rows["i3"]["retry_at"] is not None
    assert [rows[f"i{n}"]["value"] for n in (0, 5)] == [[0.0], [5.0]]


def test_what_there_is_to_know_of_a_stage_is_said_when_it_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(str(tmp_path / "store"))
    store.create(["features/toy"])
    catalogue: Any = Catalogue.model_validate(
        {"catalogue": "noted", "sources": {"films": {"connector": "movielens", "path": str(tmp_path)}}}
    )
    with Bars() as bars:
        build = Build(catalogue=catalogue, store=store, progress=bars)
        run(build, lambda catalogue, store: [replace(toy_stage(), note="no vectors, as they are away")])
    assert "note: toy: no vectors, as they are away" in capsys.readouterr().err
