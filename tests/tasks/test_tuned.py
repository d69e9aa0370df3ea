"""Equal chances: how many settings are tried of each model, on which cases, and what becomes of the best."""

import json
from pathlib import Path
from typing import Any

import pytest

from storage.models import champions, find_model, promotions
from storage.store import Store
from tasks import model_shown, training, tuned
from tasks.model_report import draw
from tasks.settings_recipes import Recipe, load_recipe, shipped_recipes
from tasks.settings_yaml import home
from tests.tasks.test_model_report import DATA, release_items
from tests.tasks.test_training import listening, recipe, train
from training import tuning
from training.evaluation import evaluate
from training.models.registry import MODELS, model, space
from training.protocols import parse
from training.splits import build

SPACES = {"item_knn": {"neighbours": [1, 3, 50]}, "svd": {"factors": [1, 2, 4], "decay": [1.0, 0.9]}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store"))
    made.create()
    return made


def tuning_recipe(kind: str = "item_knn", **changes: Any) -> Recipe:
    baselines = {"svd": {"factors": 1}, "most_popular": {}}
    spaces = {name: SPACES[name] for name in (kind, *baselines) if name in SPACES}
    said = {"settings": {"neighbours": 2}, "baselines": baselines, "tune": {"trials": 4, "spaces": spaces}}
    return recipe(kind, **(said | changes))


def logs() -> list[Path]:
    return sorted((home() / "tuning").glob("*.jsonl"))


def test_every_model_is_tried_equally_often_on_validation_and_fitted_with_its_best(store: Store) -> None:
    data = listening(20)
    of = tuning_recipe()
    fitted = training.fit(data, of, tell=lambda line: None)
    # Of the model three others and of most_popular none are left to try.
    assert {name: len(one.trials) for name, one in fitted.tuned.items()} == {"next": 4, "svd": 4, "most_popular": 1}
    split = build(data, parse(of.protocol))
    for name, one in fitted.tuned.items():
        kind, said = tuned.models_of(of)[name]
        asked = [
            evaluate(model(kind, **tuning.merged(said, trial.config)).fit(split.train), split.validation,
                     train=split.train, ks=(10,)).means["ndcg@10"]
            for trial in one.trials
        ]  # fmt: skip
        assert [trial.metric for trial in one.trials] == asked
        best = one.trials[asked.index(max(asked))].config
        assert fitted.settings[name] == tuning.merged(said, best)
    assert fitted.model.config.neighbours == fitted.settings["next"]["neighbours"] != 2
    assert fitted.others["svd"].config.factors == fitted.settings["svd"]["factors"]


def test_what_was_tried_is_kept_with_the_model_and_shown(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    store.create()
    release_items(store, range(len(DATA.item_ids)))
    made = train(store, "v1", DATA, tuning_recipe())
    row = find_model(store, made.model_id)
    told, shown = row.facts["tuned"]["next"], model_shown.read(store, row)["tuning"]["next"]
    assert (told["trials"], told["settings"]) == (4, {"neighbours": told["changed"]["neighbours"]})
    assert shown[0]["metric"] == told["given"] <= told["best"]
    assert logs() == []  # it is needed no more
    page = draw(store, row).decode()
    assert f"{told['best']:.4f}" in page.split('id="tuning"')[1]
    assert 'id="tuning"' not in draw(store, find_model(store, train(store, "v2", DATA).model_id)).decode()


def test_a_training_that_was_stopped_tries_only_what_is_left(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    data, of, lines = listening(20), tuning_recipe(), list[str]()

    def stop(line: str) -> None:
        lines.append(line)
        if line == "tune next: trial 3 of at most 4":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train_recipe(store, "v1", of, tell=stop, data=data)
    before, lines[:] = list(lines), []
    made = training.train_recipe(store, "v1", of, tell=lines.append, data=data)
    assert [line for line in lines if line.startswith("tune")] == [f"tune next: trial {n} of at most 4" for n in (3, 4)]
    assert len([line for line in before if line.startswith("tune svd")]) == 4
    assert made.facts["tuned"]["next"]["trials"] == 4


def test_a_baseline_is_served_with_the_settings_it_was_tuned_to(store: Store) -> None:
    lost = train(store, "v1", listening(20), tuning_recipe("random", settings={}))
    served = champions(store)["track"]
    assert served.recipe["model"] == "svd"
    assert served.recipe["settings"] == lost.facts["tuned"]["svd"]["settings"] != {"factors": 1}
    assert served.recipe["tune"] is None


def test_other_seeds_are_fitted_with_the_settings_that_were_found(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(store, "v1", listening(20), recipe("random"))
    better = recipe("svd", settings={"factors": 1}, tune={"trials": 7, "spaces": {"svd": SPACES["svd"]}})
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "training.models.registry.reseeded", lambda name, settings, times: asked.append(dict(settings)) or []
    )
    won = train(store, "v2", listening(40), better)
    assert asked == [won.facts["tuned"]["next"]["settings"]]
    assert asked[0] != {"factors": 1}


def test_a_recipe_without_tuning_is_what_it_was_before_there_was_any(store: Store) -> None:
    plain = recipe()
    said = plain.model_dump(mode="json")
    assert said.pop("tune") is None
    for name in ("about", "gate", "baselines", "metric", "slot"):
        said.pop(name)
    assert plain.digest == training.digest_of(said)
    assert plain.digest != recipe(tune={"trials": 2}).digest
    made = train(store, "v1", listening(20), plain)
    (decided,) = promotions(store)
    assert decided.model_id == made.model_id
    assert not train(store, "v1", listening(20), plain).new


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tune": {"trials": 2, "spaces": {"sasrec": {"blocks": [1]}}}}, "'sasrec' is neither the model nor a basel"),
        ({"tune": {"trials": 2, "spaces": {"item_knn": {"neighbors": [1]}}}}, "unknown setting 'neighbors'"),
        ({"tune": {"trials": 2, "spaces": {"item_knn": {"neighbours": []}}}}, "at least 1 item"),
        (
            {"tune": {"trials": 2, "spaces": {"item_knn": {"neighbours": ["3"]}}}},
            "neighbours: Input should be a valid in",
        ),
        (
            {"settings": {"neighbours": 5.5}},
            "next: item_knn: neighbours: Input should be a valid integer, found 5.5",
        ),
        ({"settings": {"neighbours": True}}, "neighbours: Input should be a valid integer, found True"),
        ({"model": "sasrec", "settings": {"loop": {"epochs": "1"}}}, "sasrec: loop.epochs: Input should be a valid in"),
        ({"model": "sasrec", "settings": {"loop": {"epoch": 1}}}, "model 'sasrec': LoopSettings got an unexpected"),
        ({"baselines": {"content_knn": {}}}, "model 'content_knn': needs the setting 'modalities'"),
        ({"recipe": "most_popular"}, "is called 'most_popular', as one of its baselines"),
        ({"tune": {"trials": True}}, "valid integer"),
        ({"tune": {"trials": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_tried_is_told_before_anything_is_fitted(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        training.fit(
            listening(20), recipe(changes.pop("model", "item_knn"), **changes), tell=lambda line: pytest.fail(line)
        )


@pytest.mark.parametrize("name", shipped_recipes())
def test_the_settings_of_shipped_recipes_are_of_their_types(name: str) -> None:
    tuned.check_settings(load_recipe(name))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_says_what_is_tried_of_it(name: str) -> None:
    needed = {"content_knn": {"modalities": ["minilm"]}}.get(name, {})
    for setting, values in space(name).items():
        assert len({json.dumps(value) for value in values}) == len(values) > 1
        for value in values:
            made = model(name, **tuning.merged(needed, {setting: value}))
            outer, _, inner = setting.partition(".")
            found = getattr(made.config, outer)
            assert (getattr(found, inner) if inner else found) == value
