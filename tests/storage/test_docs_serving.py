"""What docs/serving.md shows runs as it stands."""

import re
from pathlib import Path

import numpy as np

from storage.ann import kinds
from storage.store import Store
from storage.vector_index import VectorIndex
from tests.storage.bundled import D, published

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text()


def test_the_snippets_run(tmp_path: Path) -> None:
    url = str(tmp_path / "store")
    published(url)
    service, between = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len([line for line in service.splitlines() if line.strip()]) <= 15
    names: dict = {"store": url}
    exec(service, names)
    answer = names["recommend"](["i00001", "i00002"], k=3)
    assert [set(item) for item in answer["items"]] == [{"id", "title"}] * 3
    assert (answer["answered_by"], answer["model"], answer["release"]) == ("model", "toy-0", "v1")
    assert names["recommend"]([], country="NO")["answered_by"] == "country"
    exec(between, {"Store": Store, "url": url, "vectors": np.ones((1, D), np.float32)})
    assert VectorIndex(url).current().titles(["new-id"]) == ["Its title"]


def test_the_arithmetic_is_that_of_the_code() -> None:
    rows = re.findall(r"\| (flat|HNSW|IVF)([^|]*)\|[^|]*\| ([\d,]+) MB \| ([\d,]+) MB \|", PAGE)
    named = {"flat": "flat", "HNSW, M = 32": "hnsw", "HNSW, SQ8": "hnsw_sq8", "IVF, SQ8": "ivf_sq8"}
    assert len(rows) == 5
    for first, rest, small, large in rows:
        kind = named.get(f"{first}{rest}".strip(), "ivf_pq")
        for d, said in ((128, small), (384, large)):
            assert round(kinds(1_000_000, d)[kind].bytes / 1e6) == int(said.replace(",", "")), (kind, d)
