"""Where chunks run, and what the death of a worker costs."""

from pathlib import Path
from typing import Any

from storage.store import Store, rows_of
from tasks.progress import Bars
from tasks.run import Build
from tasks.settings import Catalogue
from tasks.stage import Chunk, ChunkResult, Stage, run_stage
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
