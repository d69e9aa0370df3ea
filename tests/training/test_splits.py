"""Splits, worked out by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.worlds import dataset, lists
from training.data import UNKNOWN, Feature
from training.fitted import fit_scaler
from training.leaks import Leak
from training.protocols import PROTOCOLS, ColdItems, Loo, Playlist, Prepare, Temporal, UserHoldout, parse
from training.splits import build, folds, in_catalogue, prepare
from training.stored import load, save


def test_loo_asks_for_the_last_event_and_tunes_on_the_one_before() -> None:
    split = build(dataset([0, 1, 2, 3], [4, 5], [2, 0, 4]), Loo())
    assert lists(split.train.events.histories(3)) == [[0, 1], [4, 5], [2]]  # two events leave nothing to learn from
    assert lists(split.validation.queries.history) == [[0, 1], [2]]
    assert lists(split.validation.targets) == [[2], [0]]
    assert lists(split.test.queries.history) == [[0, 1, 2], [2, 0]]
    assert lists(split.test.targets) == [[3], [4]]
    assert split.test.queries.user.tolist() == [0, 2]
    assert split.train.popularity().tolist() == [1, 1, 1, 0, 1, 1]


def test_user_holdout_trains_on_nothing_of_the_users_it_asks() -> None:
    data = dataset(*([n % 7, (n + 1) % 7, (n + 2) % 7] for n in range(20)))
    split = build(data, UserHoldout())
    trained = set(split.train.events.user.tolist())
    tuned, asked = (set(cases.origin.owner.tolist()) for cases in (split.validation, split.test) if cases.origin)
    assert (len(trained), len(tuned), len(asked)) == (16, 2, 2)
    assert trained | tuned | asked == set(range(20))
    assert (split.test.queries.user == UNKNOWN).all()
    assert all(lists(split.test.queries.history)[row] == [u % 7, (u + 1) % 7] for row, u in enumerate(sorted(asked)))


def test_every_user_is_the_test_of_one_fold() -> None:
    data = dataset(*([n % 7, (n + 1) % 7, (n + 2) % 7] for n in range(20)))
    asked = [split.test.origin.owner for split in folds(data, UserHoldout(folds=4)) if split.test.origin]
    assert sorted(np.concatenate(asked).tolist()) == list(range(20))


def test_temporal_asks_for_the_next_event_after_the_cut() -> None:
    data = dataset([0, 1, 2, 3], [4, 0, 1], [2, 3], times=[[1, 2, 25, 35], [3, 31, 32], [21, 33]])
    split = build(data, Temporal(validation_from="1970-01-01T00:00:00.020", test_from="1970-01-01T00:00:00.030"))
    assert split.train.events.at.tolist() == [1, 2, 3]
    assert lists(split.validation.targets) == [[2]]  # user 2's, at 21, has no history
    assert lists(split.validation.queries.history) == [[0, 1]]
    assert lists(split.test.targets) == [[3], [0], [3]]
    assert lists(split.test.queries.history) == [[0, 1, 2], [4], [2]]
    assert split.test.queries.user.tolist() == [0, 1, UNKNOWN]  # user 2 came after training ended
    assert "validation: 1 cases left out: fewer than 1 events in the history" in split.notes


def test_temporal_by_shares_takes_the_latest_events() -> None:
    data = dataset(list(range(10)), list(range(10)), times=[list(range(0, 20, 2)), list(range(1, 21, 2))])
    split = build(data, Temporal(test_share=0.2, validation_share=0.3, per_user=None))
    assert split.train.events.at.max() == 9
    assert sorted(split.validation.queries.at.tolist()) == list(range(10, 16))
    assert sorted(split.test.queries.at.tolist()) == list(range(16, 20))


def test_temporal_is_refused_where_time_is_not_honest_or_not_there() -> None:
    data = dataset([0, 1, 2], times=[[1, 2, 3]])
    with pytest.raises(ValueError, match="a cut in time means nothing; use loo or user_holdout"):
        build(replace(data, honest_time=False), Temporal())
    with pytest.raises(ValueError, match="3 events have no time"):
        build(dataset([0, 1, 2]), Temporal())


def test_a_report_on_dishonest_time_says_so() -> None:
    split = build(replace(dataset([0, 1, 2], times=[[1, 2, 3]]), honest_time=False), Loo())
    assert split.notes[0].endswith("for comparing architectures, not for what will be")


def test_playlist_asks_for_the_last_entries_at_once() -> None:
    data = dataset(*([n, n + 1, n + 2, n + 3, n + 1] for n in range(6)))
    split = build(data, Playlist(folds=3, hidden=0.6))
    assert split.test.origin
    owners = split.test.origin.owner.tolist()
    assert lists(split.test.queries.history) == [[n, n + 1] for n in owners]
    assert lists(split.test.targets) == [[n + 2, n + 3] for n in owners]  # the fifth is in the history
    assert len(split.train.events) == 2 * 5


def test_cold_items_are_met_by_nobody_and_each_once() -> None:
    data = dataset(*([(u + 3 * n) % 12 for n in range(12)] for u in range(12)))
    data = replace(data, recordings=np.arange(12, dtype=np.int32) // 2)
    cold = np.zeros(12, np.int64)
    for split in folds(data, ColdItems(folds=3, validation_share=0.25)):
        asked = split.test.candidates
        cold += asked
        assert (split.train.popularity()[asked] == 0).all()
        assert asked[::2].tolist() == asked[1::2].tolist()  # twins go together
        assert asked[split.test.targets.values].all()
        assert not asked[split.test.queries.history.values].any()
        assert in_catalogue(split.test).candidates.all()
        assert split.validation.origin
        assert split.test.origin
        assert not set(split.validation.origin.owner) & set(split.test.origin.owner)
    assert cold.tolist() == [1] * 12


def test_what_listeners_repeat_is_not_filtered_unless_asked() -> None:
    plays = replace(dataset([0, 1, 0, 1]), kinds=("track", "track"), met="play")
    assert not build(plays, Loo()).test.filter_seen
    assert build(
        replace(plays, met="playlist", events=dataset([0, 1, 2, 3]).events, item_ids=tuple("abcd")), Loo()
    ).test.filter_seen
    with pytest.raises(ValueError, match="no validation case is left"):
        build(plays, Loo(filter_seen=True))


def test_users_are_prepared_in_the_order_of_the_seed_document() -> None:
    values = np.array([5, 5, 1, 4, 5, 5, 2, 5, 5, 5, 5, 5, 5], np.float32)
    data = dataset([0, 1, 2, 3], [0, 1, 2], [0, 1, 2, 3, 4, 5], value=values)
    left, notes = prepare(data, Prepare(drop_first=1, fewest=2, most=3, least_value=3, shortest=2), 0)
    # Without the first 3, 2 and 5 events: the third user goes; of [5, 1, 4] and [5, 2] two and one are 3 or more.
    assert left.events.user.tolist() == [0] * 2
    assert left.events.item.tolist() == [1, 3]
    assert notes == ["prepared: 1 of 3 users, 2 of 13 events"]


def test_a_share_of_users_is_drawn_by_the_seed() -> None:
    data = dataset(*([0, 1] for _ in range(20)))
    drawn = [prepare(data, Prepare(user_share=0.3), seed)[0].events.user.tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 6


@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocols_survive_json(name: str) -> None:
    protocol = parse({"protocol": name, "seed": 3, "prepare": {"drop_first": 2, "least_value": 3}})
    assert parse(json.loads(json.dumps(protocol.to_json()))) == protocol


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"protocol": "lo"}, "protocol 'lo': unknown; did you mean 'loo'"),
        ({"protocol": "loo", "filter_sen": True}, "unknown option 'filter_sen'; did you mean 'filter_seen'"),
        ({"protocol": "loo", "seed": "1"}, "loo.seed: '1', expected int"),
        ({"protocol": "loo", "seed": True}, "loo.seed: True, expected int"),
        ({"protocol": "user_holdout", "fold": 10}, "fold 10: expected 0 to 9"),
        ({"protocol": "temporal", "test_share": 0.6, "validation_share": 0.5}, "leave nothing to learn from"),
        ({"protocol": "temporal", "test_from": "2026-01-01"}, "belong together"),
        ({"protocol": "temporal", "test_from": "soon", "validation_from": "2026"}, "is no time; expected ISO 8601"),
        ({"protocol": "temporal", "prepare": {"fewest": 5}}, "choose users by events after the cut"),
        ({"protocol": "cold_items", "candidates": "warm"}, "candidates: 'warm', expected"),
        ({"protocol": "playlist", "hidden": 1}, "hidden 1.0: expected a share"),
        ({"protocol": "loo", "prepare": {"fewest": 9, "most": 5}}, "no user would be left"),
        ({"protocol": "loo", "prepare": 20}, "is no mapping"),
    ],
)
def test_a_protocol_that_means_nothing_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(given)


def test_a_stored_split_is_the_split(tmp_path: Path) -> None:
    votes = Feature(
        name="votes", values=np.ones((12, 1), np.float32), present=np.ones(12, np.bool_), known_at="fetched",
        fetched_at=np.arange(12),
    )  # fmt: skip
    data = dataset(*([(u + n) % 12 for n in range(12)] for u in range(6)), times=[list(range(5, 17))] * 6)
    data = replace(data, recordings=np.arange(12, dtype=np.int32), features={"votes": votes})
    split = build(data, ColdItems(folds=3, validation_share=0.4))
    save(split, tmp_path / "split")
    again = load(tmp_path / "split", data.features)
    assert again.protocol == split.protocol
    assert again.notes == split.notes
    assert again.train.features["votes"].present.tolist() == split.train.features["votes"].present.tolist()
    for one, other in ((split.test, again.test), (split.validation, again.validation)):
        assert lists(one.targets) == lists(other.targets)
        assert lists(one.queries.history) == lists(other.queries.history)
        assert one.candidates.tolist() == other.candidates.tolist()
        assert one.filter_seen == other.filter_seen
    assert again.train.events.item.tolist() == split.train.events.item.tolist()
    with pytest.raises(ValueError, match="not empty"):
        save(split, tmp_path / "split")
    with np.load(tmp_path / "split" / "split.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "split" / "split.npz", **arrays | {"test.history.values": arrays["test.history.values"][::-1]})
    with pytest.raises(Leak, match="test histories are other than the events they name"):
        load(tmp_path / "split")


def test_a_scaler_depends_on_training_alone_whatever_scaled_before() -> None:
    train = build(dataset([0, 1, 2, 3]), Loo()).train  # items 0 and 1
    raw = np.array([[1, 7, 2], [3, 7, 0], [50, 1, 4], [9, 2, 6]], np.float32)
    observed = np.array([[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 1, 1]], np.bool_)
    feature = Feature(name="x", values=raw, present=np.ones(4, np.bool_), known_at="release", observed=observed)
    scaled = fit_scaler(train, feature)(feature)
    assert scaled.values[:, 0].tolist() == [-1, 1, 48, 7]
    assert scaled.values[:, 1].tolist() == [0, 0, 0, 0]  # constant in training
    assert scaled.values[:, 2].tolist() == [0, 0, 0, 0]  # one value in training
    before = replace(feature, values=(raw - raw.mean(0)) / raw.std(0))
    np.testing.assert_allclose(fit_scaler(train, before)(before).values, scaled.values, rtol=1e-5)
    with pytest.raises(ValueError, match="no item of training has it"):
        fit_scaler(train, replace(feature, present=np.array([0, 0, 1, 1], np.bool_)))
