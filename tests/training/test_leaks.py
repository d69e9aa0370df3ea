"""Future information is planted in each place; the split is not built, or what was made of it is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.training.worlds import dataset
from training import leaks, splits
from training.data import Dataset, Feature, Split
from training.fitted import fit_scaler
from training.leaks import Leak, check, graph_edges
from training.picks import Picks, Rows, Spans
from training.protocols import ColdItems, Loo, Playlist, Protocol, Temporal, UserHoldout
from training.splits import Cut, build

DAY = 86_400_000
HISTORIES = [[(u * 3 + n * 5) % 11 for n in range(8)] for u in range(12)]
TIMES = [[(n * 12 + u) * DAY for n in range(8)] for u in range(12)]
VOTES = Feature(
    name="votes",
    values=np.ones((11, 1), np.float32),
    present=np.ones(11, np.bool_),
    known_at="fetched",
    fetched_at=np.arange(11) * 10 * DAY,
)
DATA = dataset(*HISTORIES, times=TIMES, features={"votes": VOTES}, recordings=np.arange(11, dtype=np.int32) // 2)
PROTOCOLS = [Loo(), UserHoldout(folds=4), Temporal(), Playlist(folds=4), ColdItems(folds=3, validation_share=0.4)]


def cut_of(protocol: Protocol, data: Dataset = DATA) -> Cut:
    return splits._CUTS[type(protocol)](data, protocol)


def longer(picks: Picks, places: list[int]) -> Picks:
    """The first case's history, and these events."""
    spans = picks.history
    rows = [spans.among[a:b] for a, b in zip(spans.first, spans.end, strict=True)]
    rows[0] = np.concatenate([rows[0], places]).astype(np.int64)
    ends = np.cumsum([*map(len, rows)])
    first = ends - [*map(len, rows)]
    return replace(picks, history=Spans(among=np.concatenate(rows), first=first, end=ends))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_training_on_a_target_fails_the_build(protocol: Protocol) -> None:
    cut = cut_of(protocol)
    cut.train[build(DATA, protocol).test.origin.targets[0]] = True  # type: ignore[union-attr]
    with pytest.raises(Leak, match="training holds events at or after a target of their user: 1, for example event"):
        splits.assemble(DATA, protocol, cut, [])


def test_training_on_a_later_event_of_somebody_else_fails_a_temporal_build() -> None:
    data = dataset(*HISTORIES, [1, 2], times=[*TIMES, [DAY, 95 * DAY]])  # a target at day 95 is one of user 11
    cut = cut_of(Temporal(), data)
    cut.train[len(data.events) - 1] = True
    cut = replace(cut, test=cut.test.take(cut.test.owner != 12))
    with pytest.raises(Leak, match=r"training holds events as late as a target, or later: 1, .* user 'u012'"):
        splits.assemble(data, Temporal(), cut, [])


@pytest.mark.parametrize("protocol", [UserHoldout(folds=4), Playlist(folds=4)], ids=lambda p: p.name)
def test_training_on_earlier_events_of_a_held_out_user_is_refused(protocol: Protocol) -> None:
    split = build(DATA, protocol)
    assert split.test.origin
    assert split.places is not None
    places = np.union1d(split.places, split.test.origin.history[:1])
    planted = replace(split, places=places, train=replace(split.train, events=DATA.events.take(places)))
    with pytest.raises(Leak, match="training holds events of users that are held out: 1"):
        check(planted)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_history_with_its_target_fails_the_build(
    protocol: Protocol, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = replace(protocol, filter_seen=False)  # else the target would be told as seen
    cut = cut_of(protocol)
    picks: Picks = getattr(cut, part)
    planted = replace(cut, **{part: longer(picks, [int(picks.targets.values[0])])})
    monkeypatch.setattr(splits, "usable", lambda picks, *_, **__: (picks, []))  # it would drop the target
    with pytest.raises(Leak, match=f"{part} histories reach to their target or beyond: 1"):
        splits.assemble(DATA, protocol, planted, [])


def test_a_history_as_late_as_its_target_fails_a_temporal_build() -> None:
    times = [[0, DAY, 50 * DAY, 60 * DAY], [DAY, 2 * DAY, 90 * DAY, 90 * DAY]]
    data = dataset([0, 1, 2, 3], [4, 5, 6, 7], times=times)
    protocol = Temporal(validation_from="1970-02-01", test_from="1970-03-20")
    split = build(data, protocol)
    assert [h.tolist() for h in split.test.queries.history] == [[4, 5]]
    cut = cut_of(protocol, data)
    cut = replace(cut, test=replace(longer(cut.test, [6]), targets=Rows(values=np.array([7]), starts=np.array([0, 1]))))
    with pytest.raises(Leak, match="test histories hold events as late as their target, or later: 1"):
        splits.assemble(data, protocol, cut, [])


def test_validation_on_a_test_target_fails_the_build() -> None:
    cut = cut_of(Loo())
    with pytest.raises(Leak, match="validation targets holds what the test asks for"):
        splits.assemble(DATA, Loo(filter_seen=False), replace(cut, validation=cut.test), [])


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_a_value_fetched_after_the_earliest_target_is_hidden_or_fails_the_build(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = build(DATA, protocol)
    assert split.test.origin
    assert split.validation.origin
    asked = np.concatenate([split.test.origin.targets, split.validation.origin.targets])
    known = VOTES.fetched_at < DATA.events.at[asked].min()  # type: ignore[operator]
    votes = split.train.features["votes"]
    assert votes.present.tolist() == known.tolist() == (votes.values[:, 0] > 0).tolist()
    assert any(f"feature votes: {(~known).sum()} items hidden" in note for note in split.notes)
    monkeypatch.setattr(splits, "as_of", lambda feature, cut: feature)
    with pytest.raises(Leak, match=r"'votes' holds .* values that were fetched after the earliest target"):
        build(DATA, protocol)


def test_a_value_fetched_nobody_knows_when_fails_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    data = replace(DATA, features={"votes": replace(VOTES, fetched_at=None)})
    with pytest.raises(ValueError, match="'votes': fetched, but not said when"):
        build(data, Loo())
    monkeypatch.setattr(splits, "as_of", lambda feature, cut: feature)
    with pytest.raises(Leak, match="'votes' was fetched nobody knows when"):
        build(data, Loo())


def test_without_times_no_fetched_value_can_be_shown_to_be_earlier() -> None:
    split = build(replace(dataset(*HISTORIES), features={"votes": VOTES}), Loo())
    assert not split.train.features["votes"].present.any()


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_popularity_of_all_events_is_refused(protocol: Protocol) -> None:
    split = build(DATA, protocol)
    check(split, popularity=split.train.popularity())
    with pytest.raises(Leak, match=r"popularity of .* items is not training's"):
        check(split, popularity=np.bincount(DATA.events.item))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_a_graph_with_a_target_is_refused(protocol: Protocol) -> None:
    split = build(DATA, protocol)
    assert split.test.origin
    edges, target = graph_edges(split), int(split.test.origin.targets[-1])
    check(split, edges=edges)
    user, item = DATA.events.user[target], DATA.events.item[target]
    planted = leaks.Edges(
        user=np.append(edges.user, user), item=np.append(edges.item, item), place=np.append(edges.place, target)
    )
    with pytest.raises(Leak, match="the graph holds edges at or after a target: 1"):
        check(split, edges=planted)


def test_a_graph_has_what_held_out_users_met_before_they_are_asked() -> None:
    split = build(DATA, UserHoldout(folds=4))
    edges = graph_edges(split)
    assert split.places is not None
    extra = np.setdiff1d(edges.place, split.places)
    assert len(extra) == 7 * (len(split.test) + len(split.validation))
    assert (extra % 8 < 7).all()  # never the eighth, which is asked for


def test_a_scaler_fitted_on_items_outside_training_is_refused() -> None:
    split = build(DATA, ColdItems(folds=3, validation_share=0.4))
    audio = Feature(
        name="audio", values=np.eye(11, dtype=np.float32), present=np.ones(11, np.bool_), known_at="release"
    )
    fit = fit_scaler(split.train, audio)
    check(split, fits=[fit])
    with pytest.raises(Leak, match=r"'audio' was fitted on \d+ items outside training"):
        check(split, fits=[replace(fit, items=audio.present)])


@pytest.mark.parametrize("where", ["training", "test histories"])
def test_a_twin_of_a_cold_item_fails_the_build(where: str) -> None:
    """Items 2n and 2n + 1 are one recording: the twin of what is asked for is cold, too."""
    data = dataset(
        *(np.roll(np.arange(12), 2 * u).tolist() for u in range(8)), recordings=np.arange(12, dtype=np.int32) // 2
    )
    protocol = ColdItems(folds=3, validation_share=0.3)
    split, cut = build(data, protocol), cut_of(protocol, data)
    assert not np.isin(split.test.targets.values // 2, split.train.events.item // 2).any()
    assert not np.isin(split.test.targets.values // 2, split.test.queries.history.values // 2).any()
    twin = int(cut.test.targets.values[0]) - 1  # met right before
    if where == "training":
        cut.train[twin] = True
    else:
        cut = replace(cut, test=longer(cut.test, [twin]))
        protocol = replace(protocol, filter_seen=False)
    with pytest.raises(Leak, match=f"{where}: cold items, or the same recording: 1"):
        splits.assemble(data, protocol, cut, [])


def test_a_target_whose_twin_was_seen_is_left_out_or_fails_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset([0, 2, 4, 1], [0, 2, 4, 6], recordings=np.array([0, 0, 1, 2, 3, 4, 5], np.int32))
    split = build(data, Loo())
    assert split.test.targets.values.tolist() == [6]
    assert "test: 1 targets left out: they, or the same recording, are in the history, which is filtered" in split.notes
    assert build(data, Loo(filter_seen=False)).test.targets.values.tolist() == [1, 6]
    monkeypatch.setattr(splits, "usable", lambda picks, *_, **__: (picks, []))
    with pytest.raises(Leak, match="test targets, or the same recording, are in their history: 1"):
        build(data, Loo())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: replace(s, places=None), "does not say which events"),
        (lambda s: replace(s, places=s.places[::-1]), "names .* in order"),
        (lambda s: replace(s, places=s.places + (s.places == s.places[-1])), "other than those they name"),
        (lambda s: replace(s, test=_with(s.test, "item")), "histories are other than the events they name"),
        (lambda s: replace(s, test=_with(s.test, "user")), "queries are of another user"),
        (lambda s: replace(s, test=_with(s.test, "at")), "asked at another time"),
        (lambda s: replace(s, test=_with(s.test, "target")), "targets are other than the events they name"),
    ],
)
def test_what_does_not_say_where_it_comes_from_is_refused(change: Callable[[Split], Split], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check(change(build(DATA, Loo())))


def _with(cases: Any, what: str) -> Any:
    queries, history = cases.queries, cases.queries.history
    if what == "target":
        return replace(cases, targets=replace(cases.targets, values=cases.targets.values[::-1]))
    changed = {
        "item": {"history": replace(history, values=history.values[::-1])},
        "user": {"user": queries.user[::-1]},
        "at": {"at": queries.at + 1},
    }
    return replace(cases, queries=replace(queries, **changed[what]))
