"""Trained models: who is served, on which evidence, and what answers where something is unknown."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from storage.bundles import add_items, remove_items
from storage.errors import StoreError
from storage.folders import folders
from storage.models import champions, find_model, models, promotions
from storage.releases import find_release, publish
from storage.schemas import table_of
from storage.store import Store
from storage.vector_index import VectorIndex
from tasks import training
from tasks.judging import other_cases
from tasks.publish import Unpublishable
from tasks.publish_champion import NoUserTower, publish_champion, publish_champions, published_model, unpublished
from tasks.recheck import recheck
from tasks.recommend import Answer, NothingServed, recommend
from tasks.recommend_who import Asked
from tasks.serving import stored
from tasks.settings_recipes import Recipe, RecipeError, load_recipe
from tasks.training import Trained, promote_by_hand, train_recipe
from tests.storage.bundled import released
from tests.storage.test_store import FACTS, versions_of
from training.data import Dataset, Events, Queries

DAY = 86_400_000
USERS, ITEMS = 40, 60


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store"))
    made.create()
    return made


def listening(days: int, *, seed: int = 0, honest: bool = True) -> Dataset:
    """Two camps of listeners, one event each a day: the even play even items, the odd ones odd items."""
    random = np.random.default_rng(seed)
    user = np.repeat(np.arange(USERS), days)
    item = 2 * random.integers(0, ITEMS // 2, USERS * days) + user % 2
    return Dataset(
        name="v",
        item_ids=tuple(f"i{n:02d}" for n in range(ITEMS)),
        user_ids=tuple(f"u{n:02d}" for n in range(USERS)),
        titles=tuple(f"Song {n}" for n in range(ITEMS)),
        kinds=("track",) * ITEMS,
        events=Events(
            user=user.astype(np.int32),
            item=item.astype(np.int32),
            at=np.tile(np.arange(days) * DAY, USERS),
            value=np.full(USERS * days, np.nan, np.float32),
        ),
        profiles=np.stack([np.zeros(USERS), 1 + np.arange(USERS) % 2], axis=1).astype(np.int32),
        countries=("", "france", "sweden"),
        honest_time=honest,
        met="play",
    )


def recipe(model: str = "item_knn", **changes: Any) -> Recipe:
    said = {
        "recipe": "next",
        "events": "play",
        "items": "track",
        "protocol": {"protocol": "temporal", "per_user": None, "test_share": 0.2},
        "model": model,
        "baselines": {"most_popular": {}},
        "gate": {"least_cases": 20, "latency_ms": 10_000},
    }
    return Recipe.model_validate(said | changes)


def train(store: Store, release: str, data: Dataset, of: Recipe | None = None, **changes: Any) -> Trained:
    return train_recipe(store, release, of or recipe(), tell=lambda line: None, data=data, **changes)


def reasons(trained: Trained) -> str:
    assert trained.verdict is not None
    assert trained.verdict["promoted"] == (not trained.verdict["reasons"])
    return "; ".join(trained.verdict["reasons"])


def test_a_first_model_that_does_not_beat_the_best_baseline_leaves_that_one_to_be_served(store: Store) -> None:
    data = listening(20)
    lost = train(store, "v1", data, recipe("random"))
    assert "against most_popular, lower bound" in reasons(lost)
    assert champions(store)["track"].recipe["model"] == "most_popular"
    won = train(store, "v1", data)
    assert reasons(won) == ""
    assert champions(store)["track"].model_id == won.model_id
    assert won.facts["test"]["metrics"]["ndcg@10"] > won.facts["baselines"]["most_popular"]["ndcg@10"]
    assert folders(store, "models") == sorted(m.model_id for m in models(store))


def test_what_was_trained_on_a_release_is_not_trained_again_unless_asked(store: Store) -> None:
    data = listening(20)
    first, second = train(store, "v1", data), train(store, "v1", data)
    assert (second.model_id, second.new, second.verdict) == (first.model_id, False, None)
    assert train(store, "v1", data, again=True).model_id != first.model_id
    assert train(store, "v2", data).new


def test_a_fresh_model_of_the_same_recipe_must_not_lose_on_what_is_later_than_both(store: Store) -> None:
    first = train(store, "v1", listening(20))
    fresh = train(store, "v2", listening(40))
    assert fresh.verdict is not None
    assert (fresh.verdict["question"], fresh.verdict["against"]) == ("not worse", first.model_id)
    # The test is the last fifth of 40 days, all of it later than the first one's 14 days of training.
    assert fresh.verdict["cases"] == USERS * 8
    assert champions(store)["track"].model_id == (fresh.model_id if fresh.verdict["promoted"] else first.model_id)


def test_a_test_that_the_champion_may_have_learnt_from_is_refused(store: Store) -> None:
    first = train(store, "v1", listening(40))
    older = train(store, "v2", listening(20))
    assert "train on a newer release" in reasons(older)
    assert champions(store)["track"].model_id == first.model_id


def test_another_recipe_must_win_and_has_one_try_a_week(store: Store) -> None:
    train(store, "v1", listening(20))
    other = recipe(settings={"neighbours": 3})
    tried = train(store, "v2", listening(40), other)
    assert tried.verdict is not None
    assert tried.verdict["question"] == "better"
    again = train(store, "v3", listening(41), recipe(settings={"neighbours": 4}))
    assert "one such test in 7 days" in reasons(again)


def test_what_wins_is_asked_again_under_other_seeds_where_it_has_any(store: Store) -> None:
    train(store, "v1", listening(20), recipe("random"))
    assert champions(store)["track"].recipe["model"] == "most_popular"
    better = recipe("svd", settings={"factors": 4})
    won = train(store, "v2", listening(40), better)
    assert reasons(won) == ""
    assert won.verdict is not None
    seeds = won.verdict["seeds"]["values"]
    assert len(seeds) == better.gate.seeds == 3
    assert seeds == pytest.approx(
        [won.verdict["relative_difference"]["mean"]] * 3, abs=1e-3
    )  # converged: no luck in it
    lost = train(store, "v2", listening(40), recipe("random", recipe="luck"))
    assert lost.verdict is not None
    assert lost.verdict["seeds"] is None  # what lost is not fitted again


@pytest.mark.parametrize(
    ("known", "why"), [(False, "knows no answer to any of the 16"), (True, "answers none of the 16")]
)
def test_a_guard_on_items_that_the_champion_cannot_answer_says_that_it_cannot_be_asked(
    store: Store, known: bool, why: str
) -> None:
    train(store, "v1", grown(listening(20)) if known else listening(20))
    fresh = train(store, "v2", grown(listening(40), met=True))
    assert fresh.verdict is not None
    (cold,) = (guard for guard in fresh.verdict["guards"] if guard["name"] == "cold items")
    assert why in cold["unasked"]
    assert cold["holds"]
    (unseen,) = (guard for guard in fresh.verdict["guards"] if guard["name"] == "unseen users")
    assert unseen["unasked"] == "there is no such case"


def grown(data: Dataset, *, met: bool = False) -> Dataset:
    """An item more; if `met`, in the last eight days two listeners play nothing else."""
    item = data.events.item.copy()
    if met:
        item[(data.events.user < 2) & (data.events.at >= 32 * DAY)] = ITEMS
    return replace(
        data,
        item_ids=(*data.item_ids, "new"),
        titles=(*data.titles, "New"),
        kinds=(*data.kinds, "track"),
        events=replace(data.events, item=item),
    )


def test_a_verdict_says_what_was_asked_so_that_it_can_be_asked_again(store: Store) -> None:
    first, fresh = train(store, "v1", listening(20)), train(store, "v2", listening(40))
    (one, two) = (trained.verdict["asked"] for trained in (first, fresh) if trained.verdict)
    assert (one, two) == (first.facts["asked"], fresh.facts["asked"])
    assert (one["candidates"], one["count"], two["count"]) == (two["candidates"], USERS * 4, USERS * 8)
    sets, judged = other_cases(models(store), promotions(store))
    assert sets == "track: figures of 2 sets of cases; compare only those of one"
    shown = f"320 cases ({two['cases'][:8]}); the figures of {first.model_id} are of others"
    assert judged == f"{fresh.model_id} was judged on {shown}"
    assert other_cases(models(store)[:1], promotions(store)[:1]) == []


def test_figures_that_are_kept_are_what_anybody_gets_who_asks(store: Store) -> None:
    trained = train(store, "v1", listening(20))
    one = find_model(store, trained.model_id)
    found = recheck(store, one, listening(20))
    assert (found.holds, found.difference) == (True, 0)
    flattered = {**one.facts["test"]["metrics"], "ndcg@10": found.now["ndcg@10"] + 0.01}
    told = replace(one, facts={**one.facts, "test": {**one.facts["test"], "metrics": flattered}})
    wrong = recheck(store, told, listening(20))
    assert (wrong.holds, wrong.same_cases, round(wrong.difference, 4)) == (False, True, 0.01)
    assert not recheck(store, one, listening(21)).same_cases


def test_a_model_against_itself_wins_nothing(store: Store) -> None:
    train(store, "v1", listening(20))
    same = recipe(settings={"fallback": True})  # the default, said aloud: another digest, the same model
    assert "not above +0.0%" in reasons(train(store, "v2", listening(40), same))


def test_times_that_are_not_honest_compare_nothing_with_what_is_served(store: Store) -> None:
    by_user = recipe(protocol={"protocol": "loo"})
    data = listening(20, honest=False)
    assert reasons(train(store, "v1", data, by_user)) == ""
    assert "no honest time" in reasons(train(store, "v2", data, by_user))


def test_ratings_are_neither_cut_in_time_nor_promoted_by_it(store: Store) -> None:
    with pytest.raises(ValueError, match="protocol temporal of ratings: their times say when they were typed in"):
        recipe(events="rating")
    by_user, data = recipe(events="rating", protocol={"protocol": "loo"}), listening(20)
    with pytest.raises(ValueError, match="honest_time is True for ratings"):
        replace(data, met="rating")
    rated = replace(data, met="rating", honest_time=False)
    first = train(store, "v1", rated, by_user)
    assert first.facts["trained_until"] is None
    served = champions(store)["track"].model_id
    assert "the data have no honest time" in reasons(train(store, "v2", rated, by_user))
    assert champions(store)["track"].model_id == served


def test_models_that_answer_different_questions_are_not_compared(store: Store) -> None:
    train(store, "v1", listening(20))
    other = recipe(protocol={"protocol": "temporal", "test_share": 0.2, "filter_seen": True}, gate={"least_cases": 1})
    assert "filter_seen differs" in reasons(train(store, "v2", listening(40), other))
    other_slot = recipe(protocol=other.protocol, gate={"least_cases": 1, "latency_ms": 1e4}, slot="new-track")
    train(store, "v2", listening(40), other_slot)
    assert set(champions(store)) == {"track", "new-track"}


def test_many_cases_of_few_people_promote_nothing(store: Store) -> None:
    strict = recipe(gate={"least_cases": 20, "latency_ms": 1e4, "least_people": USERS + 1})
    assert f"cases of {USERS} people, at least {USERS + 1}" in reasons(train(store, "v1", listening(20), strict))


def test_a_model_that_a_kill_kept_from_its_judgement_is_trained_again(store: Store, monkeypatch: Any) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training, "record_promotion", killed)
        with pytest.raises(KeyboardInterrupt):
            train(store, "v1", listening(20))
    assert (len(models(store)), champions(store)) == (1, {})
    assert train(store, "v1", listening(20)).new
    assert "track" in champions(store)


def test_what_was_promoted_meanwhile_is_not_replaced_untested(store: Store, monkeypatch: Any) -> None:
    first = train(store, "v1", listening(20))
    second = train(store, "v1", listening(20), recipe("random"))
    judged = training.judged

    def slow(*args: Any) -> Any:
        found = judged(*args)
        promote_by_hand(store, second.model_id, note="meanwhile")
        return found

    monkeypatch.setattr(training, "judged", slow)
    fresh = train(store, "v2", listening(40), recipe(gate={"least_cases": 1, "not_worse": -1e9, "latency_ms": 1e4}))
    assert second.model_id in reasons(fresh) or first.model_id in reasons(fresh)
    assert champions(store)["track"].model_id == second.model_id


def test_a_guardrail_keeps_a_slow_model_back(store: Store) -> None:
    slow = recipe(gate={"least_cases": 20, "latency_ms": 1e-6})
    assert "milliseconds" in reasons(train(store, "v1", listening(20), slow))


def test_people_can_serve_what_lost_and_go_back(store: Store) -> None:
    won = train(store, "v1", listening(20))
    lost = train(store, "v1", listening(20), recipe("random"))
    promote_by_hand(store, lost.model_id, note="to see it")
    assert champions(store)["track"].model_id == lost.model_id
    promote_by_hand(store, won.model_id, note="back")
    assert champions(store)["track"].model_id == won.model_id
    last = promotions(store)[-1]
    assert (last.question, last.champion_id, last.verdict["note"]) == ("by hand", lost.model_id, "back")
    with pytest.raises(StoreError, match="no model 'nothing'"):
        find_model(store, "nothing")


# --- what is recommended


@pytest.fixture
def served(store: Store) -> Store:
    train(store, "v1", listening(20))
    shelve(store, range(ITEMS))
    publish(store, versions_of(store), partial=False, **FACTS)
    return store


def shelve(store: Store, numbers: Iterable[int], reason: str | None = None) -> None:
    """Rows of items; with the reason `removed` they are there no more."""
    common = {"input_hash": 0, "value_hash": 0, "version": "1", "attempt": 1, "computed_at": datetime.now(UTC)}
    rows = [common | {"item_id": f"i{n:02d}", "title": f"Song {n}", "kind": "track", "reason": reason} for n in numbers]
    store.append("items", pa.Table.from_pylist(rows, schema=table_of("items").schema))


def ask(store: Store, **who: Any) -> Any:
    return recommend(store, find_release(store), "track", Asked(**who), k=4)


def test_a_history_is_answered_by_the_model_with_titles_and_reasons(served: Store) -> None:
    answer = ask(served, items=("Song 2", "i04"))
    assert (answer.by, answer.history) == ("model", ["Song 2", "Song 4"])
    assert all(int(row["item_id"][1:]) % 2 == 0 for row in answer.rows)
    assert all(row["why"] and row["title"].startswith("Song") for row in answer.rows)


def test_without_a_history_the_country_answers_then_everybody_and_nothing_unknown_is_an_error(served: Store) -> None:
    french = ask(served, country="France")
    assert french.by == "country"
    assert all(int(row["item_id"][1:]) % 2 == 0 for row in french.rows)  # the even listeners are French
    nobody = ask(served, user="nobody", country="XX", items=("what is this",))
    assert nobody.by == ask(served).by == "everybody"  # no country at all is none, either
    assert len(nobody.rows) == 4
    told = " ".join(nobody.notes)
    assert all(part in told for part in ("no user 'nobody'", "country 'xx'", "what is this", "no history"))


def test_what_was_removed_since_is_neither_recommended_nor_named(served: Store) -> None:
    before = ask(served, items=("Song 2",))
    gone = before.rows[0]["item_id"]
    shelve(served, [int(gone[1:]), 2], reason="removed")
    publish(served, versions_of(served), partial=False, **FACTS)
    after = ask(served, items=("i02",))
    assert gone not in {row["item_id"] for row in after.rows}
    assert after.history == ["i02"]  # it still says what is liked, but has no name any more
    assert gone not in {row["item_id"] for row in ask(served).rows}


def test_a_slot_without_a_model_says_which_have_one(served: Store) -> None:
    with pytest.raises(NothingServed, match="no model is served for 'film'; served: track"):
        recommend(served, find_release(served), "film", Asked())


# --- recipes


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("model: item_know", "unknown model 'item_know'; did you mean 'item_knn'?"),
        ("protocol: {protocol: lo}", "did you mean 'loo'?"),
        ("metric: ndgc@10", "metric"),
        ("colour: red", "unknown key 'colour'"),
    ],
)
def test_a_recipe_that_cannot_be_used_names_its_line(tmp_path: Path, line: str, said: str) -> None:
    said_before = {"recipe": "r", "events": "play", "protocol": "{protocol: loo}", "model": "random"}
    key = line.partition(":")[0]
    lines = [f"{name}: {value}" for name, value in said_before.items() if name != key]
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join(["about: one", *lines[:4], "baselines: {random: {}}", line]))
    with pytest.raises(RecipeError, match=r"mine\.yaml, line") as caught:
        load_recipe(str(path))
    assert said in str(caught.value)


def test_shipped_recipes_can_be_read() -> None:
    assert load_recipe("next-track").model == "sasrec"
    with pytest.raises(RecipeError, match="did you mean 'next-track'"):
        load_recipe("next-trak")


# --- what services answer from


def test_each_slots_champion_is_published_and_one_without_a_user_tower_says_so(store: Store) -> None:
    """A store of tracks and films serves a bundle of both; what an index cannot serve stops nothing."""
    data = listening(20)
    released(store, data)
    plays = {"protocol": "temporal", "per_user": None, "filter_seen": False}
    train(store, "v1", data, recipe(items="film", protocol=plays))
    with pytest.raises(NoUserTower, match="a model 'item_knn' has no user tower"):
        publish_champion(store, data=data)
    assert published_model(store, "film") is None
    sizes = {"dimension": 8, "modality_dimension": 8, "loop": {"epochs": 1}, "batch_size": 64, "pooling": "mean"}
    tower = train(store, "v1", data, recipe("two_tower", items="film", protocol=plays, settings=sizes))
    promote_by_hand(store, tower.model_id, note="")
    assert [model.model_id for model in unpublished(store)] == [tower.model_id]
    by_model = recommend(store, find_release(store), "film", Asked(items=("i02", "i04")), k=4)
    made = publish_champion(store, "film", data=data)
    assert unpublished(store) == []
    by_index = recommend(store, find_release(store), "film", Asked(items=("i02", "i04")), k=4)
    assert (by_model.index, by_index.index) == (None, made.bundle_id)
    assert [row["item_id"] for row in by_index.rows] == [row["item_id"] for row in by_model.rows]
    assert [row["score"] for row in by_index.rows] == pytest.approx([row["score"] for row in by_model.rows], abs=1e-5)
    assert recommend(store, find_release(store), "film", Asked(), k=4).index is None  # popularity answers, no index
    check_additions_and_removals(store, by_index)
    assert (published_model(store, "film"), made.manifest["index"]["count"]) == (tower.model_id, ITEMS)
    with pytest.raises(Unpublishable, match="no champion for track; there are: film"):
        publish_champion(store, "track")
    small = {"dimension": 8, "heads": 1, "hidden": 8, "blocks": 1, "length": 5, "loop": {"epochs": 1}}
    other = train(store, "v1", data, recipe("sasrec", items="film", slot="next", protocol=plays, settings=small))
    promote_by_hand(store, other.model_id, note="")
    train(store, "v1", data, recipe(items="film", slot="near", protocol=plays))
    publish_champion(store, "next", data=data)
    found = {one.slot: one for one in publish_champions(store)}
    assert isinstance(found["near"].error, NoUserTower)
    assert [(found[slot].model_id, found[slot].bundle) for slot in ("film", "next")] == [
        (tower.model_id, None),
        (other.model_id, None),
    ]  # served already
    (answer, who), query = (
        VectorIndex(store.url, "next").recommend(["i03", "i05"], k=3, seen=True),
        Queries.of([[3, 5]]),
    )
    with stored(store, find_model(store, other.model_id)) as held:
        scores = held.model.score(query)[0]
    order = np.argsort(-scores, kind="stable")[:3]
    assert (who, answer.ids[0].tolist()) == ("model", [data.item_ids[at] for at in order])
    np.testing.assert_allclose(answer.scores[0], scores[order], atol=1e-5)


def check_additions_and_removals(store: Store, before: Answer) -> None:
    """What came to the index since is recommended, under its title; what went is not."""
    gone, vectors = before.rows[0]["item_id"], np.ones((1, 8), np.float32) * 9
    remove_items(store, [gone], slot="film")
    add_items(store, ["new"], vectors, ["A new one"], slot="film")
    after = recommend(store, find_release(store), "film", Asked(items=("i02", "i04")), k=ITEMS)
    rows = {row["item_id"]: row for row in after.rows}
    assert gone not in rows
    assert (rows["new"]["title"], rows["new"]["why"]) == ("A new one", "added since the model was trained")
