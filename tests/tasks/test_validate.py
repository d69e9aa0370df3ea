"""A planted defect blocks the release through the real stages; the former stays current; nothing is checked twice."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from expectations.gate import findings
from storage.releases import current_release, releases, rollback
from storage.schemas import table_of
from storage.store import Store
from tasks import validate
from tasks.maintain import drop_old_releases, take_down
from tasks.plan import is_released, make_plan
from tasks.release import ReleaseBlocked
from tests.tasks.fake_live import LIVE_LUNA, WORLD, searched_shelf
from tests.tasks.plant import plant, spoil
from tests.tasks.shelf import Shelf, track_id

FILMS = 20
ZERO_NORM = {"features/tabular.zero_norm": "block"}  # off by itself: in z-scores zero is a number
GIVEN: dict[str, Any] = {"featurizers": {"tabular": {"numeric": ["year"]}}, "validation": {"checks": ZERO_NORM}}
GERMAN = "Die Geschichte einer Frau, die mit ihrem Mann und dem Kind nach Berlin zieht und dort ein neues Leben sucht."


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with twenty films, their ratings, overviews, numbers and pictures, released as v1."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"), "movielens", "tmdb", **GIVEN)
    shelf.movielens(
        [(n, f"Film {n} ({1950 + n * n % 61})", "Crime|Drama" if n % 2 else "Drama") for n in range(FILMS)],
        links=[(n, "", n + 1) for n in range(FILMS)],
        ratings=[(user, n, 4.0, 964982703 + n) for user in (1, 2) for n in range(FILMS)],
    )
    text = "The story of a woman who is on her way to the city with a friend and the dog of his father."
    shelf.tmdb(*({"id": n + 1, "title": f"Film {n}", "overview": text} for n in range(FILMS)))
    shelf.run(until="items")
    plant(shelf.store, "media", *(picture(item) for item in shelf.sql("select item_id from items")))
    assert shelf.build().release_id == "v1"
    return shelf.folder


@pytest.fixture
def shelf(released: Path, tmp_path: Path) -> Shelf:
    """A copy of it that a test may change."""
    shutil.copytree(released, tmp_path / "shelf")
    return Shelf(tmp_path / "shelf", "movielens", "tmdb", **GIVEN)


def picture(item: str) -> dict[str, Any]:
    return {"item_id": item, "kind": "image", "sha256": "ab" * 32, "format": "jpeg", "width": 60, "height": 90}


def window(store: Store, n: int, **changes: Any) -> dict[str, Any]:
    items = store.database(only=("items",)).sql("select distinct item_id from items order by item_id").fetchall()
    given = {"item_id": items[n][0], "kind": "audio_window", "sha256": "cd" * 32, "rate_hz": 22_050, "duration_s": 30.0}
    return given | changes


def play(**changes: Any) -> dict[str, Any]:
    given = {"user_id": "movielens:1", "entity_id": "x", "source": "movielens", "kind": "rating", "value": 4.0}
    return given | {"time": datetime(2020, 1, 1, tzinfo=UTC), "file": "live", "line": 1} | changes


def some(store: Store, first: int, last: int | None = None) -> str:
    """SQL: the items from the first to before the last of this range, one without a last."""
    ids = store.database(only=("items",)).sql("select distinct item_id from items order by item_id").fetchall()
    return "item_id in (" + ", ".join(f"'{item}'" for (item,) in ids[first : last or first + 1]) + ")"


def entity(store: Store) -> str:
    return store.database().sql("select min(entity_id) from interactions").fetchall()[0][0]


Plant = Callable[[Store], object]
_NONE = {"value": None, "mask": None, "sha256": None}


def spoiled(
    table: str, items: tuple[int, ...] = (0,), *, of_kind: str = "", twice: bool = False, **changes: Any
) -> Plant:
    """A defect: these items' rows with these values."""

    def do(store: Store) -> object:
        where = some(store, *items) + (f" and kind = '{of_kind}'" if of_kind else "")
        return spoil(store, table, lambda row: changes, where=where, twice=twice)

    return do


def without(table: str, reason: str, **where: Any) -> Plant:
    """A defect: the second half of the items has no value."""
    nothing = {name: None for name in _NONE if name in table_of(table).names}
    return spoiled(table, (10, 20), reason=reason, **nothing, **where)


def played(n: int = 1, **changes: Any) -> Plant:
    """A defect: these interactions."""

    def do(store: Store) -> None:
        given = {"entity_id": entity(store)}
        plant(store, "interactions", *(play(**given | {"line": k} | changes) for k in range(n)))

    return do


VECTORS = "features/tabular"
DEFECTS: dict[str, Plant] = {
    f"{VECTORS}.finite": spoiled(VECTORS, (0,), value=[float("nan"), 1.0, 0.0]),
    f"{VECTORS}.zero_norm": spoiled(VECTORS, (1,), value=[0.0] * 3),
    f"{VECTORS}.coverage": without(VECTORS, "internal_error"),
    f"{VECTORS}.key_unique": spoiled(VECTORS, (3,), twice=True),
    "interactions.time_not_in_future": played(time=datetime.now(UTC) + timedelta(days=9)),
    "texts.language_as_declared": spoiled("texts", (0,), of_kind="overview", value=GERMAN),
    "texts.coverage_overview": without("texts", "not_found", of_kind="overview"),
    "media.sha256_shape": spoiled("media", (0,), sha256=None),
    "items.key_unique": spoiled("items", (0,), twice=True),
    "items.not_shrunk": spoiled("items", (10, 20), reason="removed"),
    f"{VECTORS}.item_known": lambda s: plant(s, VECTORS, {"item_id": "nobody", "value": [1.0, 0.0, 0.0]}),
}
# What is gone cannot be spoilt; and where items changed as well, the feature's own stage removes a row that has none.
ALONE = ("items.not_shrunk", f"{VECTORS}.item_known")
MORE_DEFECTS: dict[str, Plant] = {
    f"{VECTORS}.one_length": spoiled(VECTORS, (2,), value=[1.0]),
    f"{VECTORS}.kept": without(VECTORS, "internal_error"),
    "items.title_not_null": spoiled("items", (1,), title=" "),
    "items.year_plausible": spoiled("items", (2,), year=3000),
    "items.kind_known": spoiled("items", (3,), kind="book"),
    "items.duration_positive": spoiled("items", (4,), duration_ms=0),
    "interactions.time_after_1970": played(line=-1, time=datetime(1969, 7, 20, tzinfo=UTC)),
    "interactions.value_plausible": played(line=-2, value=11.0),
    "interactions.keys_not_blank": played(line=-3, user_id=""),
    "interactions.row_once": played(2, line=-4),
    "interactions.item_known": played(9, entity_id="x"),
    "texts.value_not_empty": spoiled("texts", (1,), of_kind="overview", value=""),
    "texts.kept_overview": without("texts", "not_found", of_kind="overview"),
    "media.image_size": spoiled("media", (1,), width=0),
    "media.window_rate": lambda s: plant(s, "media", window(s, 2, rate_hz=44_100)),
    "media.window_length": lambda s: plant(s, "media", window(s, 3, duration_s=31.0)),
    "media.coverage_image": without("media", "decode_error"),
}


@pytest.mark.parametrize("check", DEFECTS)
def test_a_planted_defect_blocks_and_the_former_release_stays(shelf: Shelf, check: str) -> None:
    DEFECTS[check](shelf.store)
    with pytest.raises(ReleaseBlocked) as blocked:
        shelf.build()
    assert f"  {check}: " in str(blocked.value)
    assert "; v1 stays current" in str(blocked.value)
    assert [(r.release_id, r.current) for r in releases(shelf.store)] == [("v1", True)]
    failed = {f"{f['table']}.{f['check']}": f for f in blocked.value.validation["failed"]}
    assert failed[check]["severity"] == "block"
    assert len(failed[check]["examples"]) <= 5
    if not check.endswith("not_shrunk"):  # rows that are gone cannot be shown
        assert failed[check]["examples"]


def test_the_intact_shelf_passes_every_check(shelf: Shelf) -> None:
    shelf.run()
    assert [f.name for f in findings(shelf.store) if not f.success] == []
    assert len(findings(shelf.store)) > 50


def test_a_blocked_build_is_tried_again_without_computing_anything_again(shelf: Shelf) -> None:
    DEFECTS["features/tabular.finite"](shelf.store)
    with pytest.raises(ReleaseBlocked):
        shelf.build()
    checked = shelf.results["validate"]
    with pytest.raises(ReleaseBlocked, match=r"features/tabular\.finite"):
        shelf.build()
    assert checked.status == "completed"
    assert {r.status for r in shelf.results.values()} == {"up_to_date"}
    assert [row["stage"] for row in make_plan(shelf.catalogue, shelf.store) if not row["up_to_date"]] == ["release"]


def test_every_defect_is_found_and_told_on_one_screen(shelf: Shelf) -> None:
    planted = {name: defect for name, defect in (DEFECTS | MORE_DEFECTS).items() if name not in ALONE}
    for defect in planted.values():
        defect(shelf.store)
    with pytest.raises(ReleaseBlocked) as blocked:
        shelf.build()
    failed = {f"{f['table']}.{f['check']}": f for f in blocked.value.validation["failed"]}
    assert planted.keys() - failed.keys() == set()
    assert [name for name in planted if not failed[name]["examples"]] == []
    lines = str(blocked.value).split("\n")
    assert len(lines) <= 24
    assert max(len(line) for line in lines if not line.startswith(("  and ", "pages", "If"))) <= 160
    assert lines[-2] == 'more:  mediateca sql CATALOGUE "select * from validations where not success"'
    assert "checks: {" in lines[-1]
    pages = Path(lines[-3].removeprefix("pages: "))
    assert pages == Path(shelf.store.url, "validation/blocked/index.html")
    assert "Checks of a build that was blocked" in pages.read_text()


def test_an_example_shows_the_row_and_its_value(shelf: Shelf) -> None:
    planted = spoil(shelf.store, "items", lambda r: {"year": 3000}, where=some(shelf.store, 0))
    with pytest.raises(ReleaseBlocked) as blocked:
        shelf.build()
    assert "1 of 20 rows; expected: no such row" in str(blocked.value)
    assert f"item_id='{planted[0]['item_id']}'" in str(blocked.value)
    assert "year=3000" in str(blocked.value)


def test_a_warning_is_recorded_and_lets_the_release_pass(shelf: Shelf) -> None:
    DEFECTS["features/tabular.zero_norm"](shelf.store)
    with pytest.raises(ReleaseBlocked):
        shelf.build()
    shelf.changes["validation"] = {"checks": {"features.zero_norm": "warn"}}
    assert shelf.build().release_id == "v2"
    tabular = [f for f in findings(shelf.store) if f.table == "features/tabular"]
    assert shelf.results["validate"].done == len(tabular)
    assert [(f.check, f.severity) for f in tabular if not f.success] == [("zero_norm", "warn")]
    assert is_released(shelf.catalogue, shelf.store)


def test_a_threshold_of_the_catalogue_counts(shelf: Shelf) -> None:
    DEFECTS["features/tabular.zero_norm"](shelf.store)
    shelf.changes["validation"] = {"checks": ZERO_NORM, "thresholds": {"features/tabular.zero_norm": 0.01}}
    with pytest.raises(ReleaseBlocked):
        shelf.build()
    shelf.changes["validation"] = {"checks": ZERO_NORM, "thresholds": {"features/tabular.zero_norm": 0.1}}
    assert shelf.build().release_id == "v2"


def test_films_of_one_year_are_no_defect(tmp_path: Path) -> None:
    """Their z-scores are 0."""
    shelf = Shelf(tmp_path, "movielens", featurizers={"tabular": {"numeric": ["year"], "genres": False}})
    shelf.movielens([(1, "A (1995)", ""), (2, "B (1995)", ""), (3, "C (1995)", "")])
    assert shelf.build().release_id == "v1"
    shelf.movielens([(1, "A (1995)", ""), (2, "B (1995)", ""), (3, "C (1995)", ""), (4, "D (1996)", "")])
    assert shelf.build().release_id == "v2"  # the fit is frozen: three vectors of zeros, and one of 1


def test_what_is_off_is_not_looked_for(shelf: Shelf) -> None:
    MORE_DEFECTS["items.title_not_null"](shelf.store)
    shelf.changes["validation"] = {"default": "off", "checks": {"items.kind_known": "block"}}
    assert shelf.build().release_id == "v2"
    assert [f.name for f in findings(shelf.store)] == ["items.kind_known"]
    shelf.changes["validation"] = {"default": "off"}
    shelf.build()
    assert findings(shelf.store) == []


def test_only_what_changed_is_checked_again(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.run()
    checked: list[str] = []
    real = validate.run_suite

    def noted(suite: Any, *rest: Any) -> Any:
        checked.append(suite.table)
        return real(suite, *rest)

    monkeypatch.setattr(validate, "run_suite", noted)
    shelf.run()
    assert checked == []
    plant(shelf.store, "interactions", play(entity_id=entity(shelf.store)))
    shelf.build()
    assert checked == ["interactions"]
    rollback(shelf.store, "v1")
    shelf.store.rewrite("items")  # compaction changes no row
    shelf.run()
    assert checked == ["interactions"]
    assert shelf.results["validate"].status == "up_to_date"


def test_another_release_to_compare_with_is_a_reason_to_check_again(shelf: Shelf) -> None:
    """v2 has few pictures and was accepted; v3 has them all: against v2 fine, and against v1 after a roll-back, too."""
    shelf.changes["validation"] = {"checks": {"media.coverage_image": "warn", "media.kept_image": "warn"}}
    MORE_DEFECTS["media.coverage_image"](shelf.store)
    assert shelf.build().release_id == "v2"
    shelf.changes["validation"] = {}
    spoil(shelf.store, "media", lambda r: {"width": 61}, where="reason is null")
    shelf.run()
    found = {f.check: f for f in findings(shelf.store, ["media"])}
    assert (found["coverage_image"].compared_with, found["coverage_image"].success) == ("v2", True)
    rollback(shelf.store, "v1")
    shelf.run()
    found = {f.check: f for f in findings(shelf.store, ["media"])}
    assert (found["coverage_image"].compared_with, found["coverage_image"].success) == ("v1", False)


def test_a_time_that_has_come_is_looked_at_again(shelf: Shelf) -> None:
    DEFECTS["interactions.time_not_in_future"](shelf.store)
    shelf.run()
    (retry,) = shelf.sql("select retry_at from validations where not success")
    assert timedelta(hours=23) < retry - datetime.now(UTC) < timedelta(hours=25)


def test_pages_stay_as_long_as_their_release_and_need_no_network(shelf: Shelf) -> None:
    spoil(shelf.store, "items", lambda r: {"year": 1999}, where=some(shelf.store, 0))
    shelf.build()
    root = Path(shelf.store.url, "validation")
    tables = ["features-tabular.html", "index.html", "interactions.html", "items.html", "media.html", "texts.html"]
    for name in ("v1", "v2"):
        assert sorted(p.name for p in (root / name).iterdir()) == tables
    for page in root.rglob("*.html"):
        text = page.read_text()
        assert "http://" not in text, page
        assert "https://" not in text, page
        assert "<script" not in text, page
    assert "no such row" in (root / "v2" / "items.html").read_text()
    assert drop_old_releases(shelf.store, 1) == ["v1"]
    assert sorted(p.name for p in (root / "v2").iterdir()) == tables
    assert not list((root / "v1").glob("*"))


def test_a_take_down_leaves_no_example_and_no_page(shelf: Shelf) -> None:
    shelf.changes["validation"] = {"default": "warn"}
    (planted,) = spoil(shelf.store, "items", lambda r: {"title": ""}, where=some(shelf.store, 0))
    shelf.build()
    assert planted["item_id"] in json.dumps([f.examples for f in findings(shelf.store)])
    take_down(shelf.store, [planted["item_id"]])
    assert planted["item_id"] not in json.dumps([f.examples for f in findings(shelf.store)])
    for page in Path(shelf.store.url, "validation").rglob("*.html"):
        assert page.parent.name in ("latest", "blocked")
        assert planted["item_id"] not in page.read_text()
    assert shelf.build().release_id == "v3"
    assert current_release(shelf.store) is not None


def test_chunks_of_one_check_find_the_same(shelf: Shelf) -> None:
    MORE_DEFECTS["items.year_plausible"](shelf.store)
    shelf.changes["chunk_keys"] = 4
    shelf.run()
    assert [f.name for f in findings(shelf.store) if not f.success] == ["items.year_plausible"]


# --- links against a gold set


def judged_shelf(folder: Path, monkeypatch: pytest.MonkeyPatch, **validation: Any) -> Shelf:
    made = searched_shelf(folder, monkeypatch)
    gold = made.write("gold.jsonl", json.dumps({"spotify": track_id(1), "fake": ["L"]}))
    made.changes["validation"] = {"gold": str(gold)} | validation
    return made


def test_wrong_links_block_the_release_and_the_former_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = judged_shelf(tmp_path, monkeypatch)
    assert shelf.build().release_id == "v1"
    found = {f.name: f.observed for f in findings(shelf.store) if f.table == "links/fake"}
    assert found["links/fake.precision"] == {"value": 1.0, "right": 1, "wrong": 0}
    WORLD.tracks["V"] = LIVE_LUNA
    item = shelf.item("Luna")
    shelf.store.log("decisions", item_id=item, source="fake", source_id="V", state="accepted")
    with pytest.raises(
        ReleaseBlocked, match=r"links/fake\.precision: accepted links that the gold set says"
    ) as blocked:
        shelf.build()
    assert f"item_id='{item}', title='Luna', linked='V', expected='L'" in str(blocked.value)
    assert "v1 stays current" in str(blocked.value)
    current = current_release(shelf.store)
    assert current is not None
    assert current.release_id == "v1"
    shelf.store.log("decisions", item_id=item, source="fake", source_id="V", state="undone")
    assert shelf.build().release_id == "v2"


def test_thresholds_hold_per_source_and_another_gold_set_judges_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = {"links.recall": "warn", "links/fake.precision": "warn"}
    shelf = judged_shelf(tmp_path, monkeypatch, checks=checks, thresholds={"links.judged": 2})
    shelf.build()
    assert [f.name for f in findings(shelf.store) if not f.success] == ["links/fake.judged"]
    shelf.write("gold.jsonl", json.dumps({"spotify": track_id(1), "fake": ["V"]}))
    assert "validate" in [row["stage"] for row in make_plan(shelf.catalogue, shelf.store) if not row["up_to_date"]]
    shelf.build()
    failed = {f.name: f.severity for f in findings(shelf.store) if not f.success and f.check != "judged"}
    assert failed == {"links/fake.precision": "warn", "links/fake.recall": "warn"}


def test_a_gold_set_that_is_not_there_or_names_nothing_known_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = judged_shelf(tmp_path, monkeypatch)
    shelf.write("gold.jsonl", '{"deezer": ["1"]}')
    with pytest.raises(ValueError, match="names deezer; to judge a link it takes two sources"):
        shelf.run(until="ingest")
    shelf.changes["validation"] = {"gold": str(tmp_path / "none.jsonl")}
    with pytest.raises(ValueError, match="there is no file"):
        shelf.run(until="ingest")
    shelf.changes["validation"] |= {"thresholds": {"links/fakes.recall": 0.5}}
    with pytest.raises(ValueError, match="unknown source 'fakes'; did you mean 'fake'"):
        shelf.run(until="ingest")
