"""The report of a model: what stands in it, that it equals what is stored, and that a take-down reaches it."""

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from typer.testing import CliRunner

from deployments import cli_train
from deployments.cli import app
from storage.folders import manifest_of
from storage.model_pages import place_of, put_page
from storage.models import Model, find_model, promotions
from storage.releases import publish
from storage.schemas import table_of
from storage.store import Store
from tasks import model_shown, training
from tasks.maintain import take_down, vacuum
from tasks.model_report import draw, publish_pages
from tasks.training import promote_by_hand
from tests.storage.test_store import FACTS, versions_of
from tests.tasks.test_report import HOSTILE, Page
from tests.tasks.test_training import ITEMS, listening, recipe, train
from training.evaluation import persons

DATA = replace(listening(12), item_ids=tuple(f"{n:04x}feed" for n in range(ITEMS)))
TOWER = {"dimension": 8, "modality_dimension": 8, "loop": {"epochs": 3}, "batch_size": 64, "pooling": "mean"}
ALL = ["judgement", "figures", "slices", "popularity", "learning", "cases", "maps", "recipe"]


def release_items(store: Store, numbers: Iterable[int]) -> None:
    common = {"input_hash": 0, "value_hash": 0, "version": "1", "attempt": 1, "computed_at": datetime.now(UTC)}
    rows = [
        common | {"item_id": DATA.item_ids[n], "title": f"{HOSTILE} {n}".replace("\x00", ""), "kind": "track"}
        for n in numbers
    ]
    store.append("items", pa.Table.from_pylist(rows, schema=table_of("items").schema))
    publish(store, versions_of(store), partial=False, **FACTS)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A store with a release, an item_knn that is served and a two_tower that lost."""
    torch.set_num_threads(1)
    store = Store(str(tmp_path_factory.mktemp("models") / "store"))
    store.create()
    release_items(store, range(ITEMS))
    found = {
        "item_knn": train(store, "v1", DATA),
        "two_tower": train(store, "v1", DATA, recipe("two_tower", recipe="tower", settings=TOWER)),
    }
    return {name: find_model(store, one.model_id) for name, one in found.items()} | {"store": store}


@pytest.fixture
def store(made: dict[str, Any], tmp_path: Path) -> Store:
    """A copy that a test may change."""
    shutil.copytree(made["store"].url, tmp_path / "store")
    return Store(str(tmp_path / "store"))


@pytest.fixture(scope="module")
def pages(made: dict[str, Any]) -> dict[str, str]:
    return {name: draw(made["store"], made[name]).decode() for name in ("item_knn", "two_tower")}


def test_sections_without_data_are_left_out(pages: dict[str, str]) -> None:
    assert Page(pages["two_tower"].encode()).sections == ALL
    without = [name for name in ALL if name not in ("learning", "maps")]
    assert Page(pages["item_knn"].encode()).sections == without


@pytest.mark.parametrize("name", ["item_knn", "two_tower"])
def test_every_figure_is_the_stored_one(made: dict[str, Any], pages: dict[str, str], name: str) -> None:
    facts = made[name].facts
    shown = re.findall(r'data-figure="([^"]*) ([^" ]*)">([\d.]+)<', pages[name])
    stored = {made[name].recipe["recipe"]: facts["test"]["metrics"] | facts["test"]["catalogue"]}
    stored |= facts["baselines"]
    for slicing, parts in facts["test"]["slices"].items():
        stored |= {f"{slicing}={label}": of for label, of in parts.items()}
    coverage = model_shown.read(made["store"], made[name])["figures"]["catalogue"]["baselines"]
    for whose, metric, value in shown:
        whose = unescape(whose)
        wanted = coverage[whose][metric] if metric not in stored[whose] else stored[whose][metric]
        assert float(value) == pytest.approx(wanted, abs=0.5 * 10 ** -len(value.partition(".")[2])), (whose, metric)
    told = {unescape(whose) for whose, _, _ in shown}
    alone = {f"{n}={label}" for n, of in facts["test"]["slices"].items() if len(of) == 1 for label in of}
    assert told == stored.keys() - alone
    assert f'data-count="items">{ITEMS}<' in pages[name]
    assert f'data-count="test cases">{facts["test"]["queries"]}<' in pages[name]


def test_the_verdict_is_that_of_the_table(made: dict[str, Any], store: Store) -> None:
    won, lost = (draw(store, made[name]).decode() for name in ("item_knn", "two_tower"))
    assert 'class="state good">Promoted. <span>ndcg@10 ' in won
    assert 'class="state warned">Not promoted. <span>' in lost
    (judged,) = [p for p in promotions(store) if p.model_id == made["two_tower"].model_id]
    assert all(reason in unescape(lost) for reason in judged.verdict["reasons"])
    promote_by_hand(store, made["two_tower"].model_id, note="to <see> it")
    assert "Promoted by hand. <span>to &lt;see&gt; it</span>" in draw(store, made["two_tower"]).decode()


def test_curves_are_those_of_the_loop(made: dict[str, Any], pages: dict[str, str]) -> None:
    curves = model_shown.read(made["store"], made["two_tower"])["curves"]
    assert [one["epoch"] for one in curves] == [0, 1, 2]
    best = max(curves, key=lambda one: one["score"])
    assert f"The weights of epoch {best['epoch'] + 1} are kept: {best['score']:.4f}" in pages["two_tower"]
    assert pages["two_tower"].count("<title>loss: ") == 3


def test_three_histories_of_the_test_are_answered_here_and_elsewhere_if_the_model_knows_where(
    made: dict[str, Any], pages: dict[str, str]
) -> None:
    for name, countries in (("item_knn", False), ("two_tower", True)):
        said = pages[name].split('<section id="cases">')[1].split("</section>")[0]
        assert len(re.findall(r"A listener from (France|Sweden)", said)) == 3
        assert ("The same from " in said) == countries
        assert "A new listener from France" in said
    cases = model_shown.read(made["store"], made["two_tower"])["cases"]
    split = training.fit(DATA, recipe(), tell=lambda line: None).split
    rows = split.test.queries.history
    assert all(case["history"] in [row.tolist() for row in rows] for case in cases)
    assert sorted(case["events"] for case in cases) == [case["events"] for case in cases]


def test_whatever_a_reason_may_name_stands_on_the_page_by_its_id(made: dict[str, Any], pages: dict[str, str]) -> None:
    cases = model_shown.read(made["store"], made["item_knn"])["cases"]
    met = {DATA.item_ids[n] for case in cases for n in case["history"]}
    assert len(met) > 15  # more than are shown
    assert all(item in pages["item_knn"] for item in met)


def test_hostile_titles_are_text_and_nothing_more(pages: dict[str, str]) -> None:
    found = Page(pages["two_tower"].encode())
    scripts = [attributes for tag, attributes in found.elements if tag == "script"]
    assert [s.get("type") for s in scripts] == ["application/json", None]
    assert "alert(1)" in " ".join(found.said)
    assert not any("alert(1)" in script for script in found.scripts[1:])
    assert "<script>alert" not in pages["two_tower"]
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
    assert all(a.get("aria-label") for t, a in found.elements if t in ("svg", "table"))


def test_a_map_of_items_without_genres_is_coloured_by_popularity(pages: dict[str, str]) -> None:
    data = json.loads(Page(pages["two_tower"].encode()).scripts[0])
    assert {row[0] for row in data["items"]} == set(DATA.item_ids)
    assert {row[3] for row in data["items"]} <= {"head", "torso", "tail", "cold"}
    (groups,) = data["maps"].values()
    assert sum(map(len, groups.values())) == ITEMS


def test_what_is_stored_is_small_and_holds_no_title(made: dict[str, Any]) -> None:
    files = manifest_of(made["store"], "models", made["two_tower"].model_id)["files"]
    assert files[model_shown.FILE]["size_bytes"] < 50_000
    assert "alert" not in json.dumps(model_shown.read(made["store"], made["two_tower"]))


def test_a_taken_down_item_is_on_no_page_and_on_none_that_is_drawn_later(made: dict[str, Any], store: Store) -> None:
    tower: Model = made["two_tower"]
    gone = DATA.item_ids[model_shown.read(store, tower)["cases"][0]["history"][-1]]
    assert publish_pages(store, tower.model_id) is not None
    assert gone in draw(store, tower).decode()
    put_page(store, made["item_knn"].model_id, b"of nothing")
    take_down(store, [gone])
    assert place_of(store, tower.model_id) is None
    assert place_of(store, made["item_knn"].model_id) is not None
    release_items(store, ())
    assert gone not in draw(store, tower).decode()


def test_the_page_of_what_is_served_is_there_too_and_those_of_no_model_are_swept(
    made: dict[str, Any], store: Store
) -> None:
    place = publish_pages(store, made["two_tower"].model_id)
    assert place == place_of(store, made["two_tower"].model_id)
    served = place_of(store, made["item_knn"].model_id)
    assert served is not None
    Path(served).write_text("as it was")
    publish_pages(store, made["two_tower"].model_id, anew=False)
    assert Path(served).read_text() == "as it was"
    put_page(store, "nobody", b"of a model that is gone")
    vacuum(store)
    assert (place_of(store, "nobody"), place_of(store, made["item_knn"].model_id)) == (None, served)


def test_a_model_that_was_trained_before_reports_has_none_and_says_so(
    made: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_shown, "FILE", "another.json")
    assert publish_pages(store, made["two_tower"].model_id) is None
    with pytest.raises(model_shown.NotShown, match="was trained before reports were kept; `mediateca train --again`"):
        draw(store, made["two_tower"])


def test_evaluate_draws_the_page_of_a_model_or_of_the_one_that_is_served(
    made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_train, "built", lambda _: (None, made["store"]))
    for args, name in (([], "item_knn"), ([made["two_tower"].model_id], "two_tower")):
        path = tmp_path / f"{name}.html"
        found = CliRunner().invoke(app, ["evaluate", "any", *args, "--html", str(path)])
        assert found.exit_code == 0, found.output
        assert f"model {made[name].model_id}" in re.sub("<[^>]*>", " ", path.read_text()).replace("  ", " ")
    assert "two_tower.html" in found.output


def test_evaluate_asks_once_more_and_fails_where_figures_are_others(
    made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_train, "built", lambda _: (None, made["store"]))
    monkeypatch.setattr("tasks.recheck.read", lambda *_: DATA)
    found = CliRunner().invoke(app, ["evaluate", "any", made["two_tower"].model_id, "--again"])
    assert (found.exit_code, "largest difference of any metric 0.0e+00" in found.output) == (0, True)
    half = replace(DATA, events=DATA.events.take(np.arange(len(DATA.events)) % 7 > 0))
    monkeypatch.setattr("tasks.recheck.read", lambda *_: half)
    found = CliRunner().invoke(app, ["evaluate", "any", "--again", "--json"])
    (row,) = json.loads(found.stdout)
    assert (found.exit_code, row["model"], row["same_cases"]) == (1, made["item_knn"].model_id, False)


def test_histories_are_chosen_at_the_quartiles_of_their_length() -> None:
    split = training.fit(DATA, recipe(), tell=lambda line: None).split
    rows = model_shown.chosen(split.test)
    lengths = split.test.queries.history.lengths
    person = persons(split.test)
    assert len(set(person[rows].tolist())) == 3
    assert rows == [max(np.flatnonzero(person == one)) for one in person[rows]]
    assert sorted(lengths[rows].tolist()) == lengths[rows].tolist()
