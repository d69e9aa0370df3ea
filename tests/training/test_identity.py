"""What was asked is known again by its names, whatever numbers another release gives them."""

from dataclasses import replace
from typing import Any

import numpy as np

from tests.training.worlds import dataset
from training.data import Split
from training.identity import identity
from training.protocols import Loo
from training.splits import build

HISTORIES = ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2])


def asked(split: Split, **changes: Any) -> dict[str, Any]:
    return identity(replace(split.test, **changes), split.data, split.protocol)


def renumbered() -> Split:
    """A user before all others who is not asked, so that each has another number."""
    data = dataset([1], *HISTORIES)
    return build(replace(data, user_ids=("a", "u000", "u001", "u002")), Loo())


def test_the_same_people_times_and_targets_have_one_digest_under_other_numbers() -> None:
    split = build(dataset(*HISTORIES), Loo())
    assert asked(split) == asked(renumbered())
    assert (asked(split)["count"], asked(split)["filter_seen"]) == (3, True)


def test_an_item_more_is_another_candidate_set_for_the_same_cases() -> None:
    split, more = (build(dataset(*HISTORIES, item_ids=ids), Loo()) for ids in (tuple("abcd"), tuple("abcde")))
    assert _differ(asked(split), asked(more)) == {"candidates"}
    assert _differ(asked(split), asked(split, candidates=np.arange(4) > 0)) == {"candidates"}


def test_another_time_target_filter_or_protocol_is_told_apart() -> None:
    split = build(dataset(*HISTORIES), Loo())
    test, right = split.test, asked(split)
    later = asked(split, queries=replace(test.queries, at=test.queries.at + 1))
    other = asked(split, targets=replace(test.targets, values=test.targets.values[::-1]))
    kept = asked(split, filter_seen=False)
    ruled = identity(test, split.data, {**split.protocol, "seed": 9})
    for found, name in ((later, "cases"), (other, "cases"), (kept, "filter_seen"), (ruled, "protocol")):
        assert _differ(found, right) == {name}


def _differ(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    assert one.keys() == other.keys()
    return {part for part in one if one[part] != other[part]}
