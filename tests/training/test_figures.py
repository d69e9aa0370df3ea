"""What a report shows of a model, beside its baselines."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.training.test_bootstrap import evaluation
from training.bootstrap import difference, mean, means
from training.evaluation import Evaluation
from training.figures import figures


def with_lists(values: Any, model: str = "a") -> Evaluation:
    lists = {"from": [0, 1], "recommended": [0.0, 1.0], "consumed": [0.5, 0.5], "distance": 0.5, "shift": 0.5}
    told = {"coverage@10": 0.25, "coverage@20": 0.5, "popularity@10": lists}
    return replace(evaluation(values, np.arange(len(values)) // 3, model=model), catalogue=told)


DICE = np.random.default_rng(3)
OWN = with_lists(DICE.random(60))
LOW, HIGH = with_lists(DICE.random(60) * 0.5, "low"), with_lists(DICE.random(60) * 0.9, "high")


def test_many_means_of_one_draw_are_those_of_each_alone():
    found = means({"own": OWN, "low": LOW}, ["ndcg@10"])
    assert found["own"]["ndcg@10"] == mean(OWN, "ndcg@10")
    assert found["low"]["ndcg@10"] == mean(LOW, "ndcg@10")
    with pytest.raises(ValueError, match="one set of cases"):
        means({"own": OWN, "low": replace(LOW, cases="other")}, ["ndcg@10"])


def test_a_model_stands_beside_all_baselines_and_its_slices_beside_the_best():
    found = figures(OWN, {"low": LOW, "high": HIGH}, "ndcg@10")
    assert (found["best"], found["people"]) == ("high", 20)
    for one, side in ((found["metrics"]["own"], OWN), (found["metrics"]["baselines"]["low"], LOW)):
        wanted = mean(side, "ndcg@10")
        assert one["ndcg@10"] == {"value": wanted.value, "low": wanted.low, "high": wanted.high}
    paired = difference(OWN, LOW, "ndcg@10", relative=True)
    assert found["differences"]["low"] == {"value": paired.value, "low": paired.low, "high": paired.high}
    known = found["slices"]["user"]["known"]
    assert (known["of"], known["count"]) == ("queries", 30)
    assert known["own"]["value"] == pytest.approx(OWN.values["ndcg@10"][1::2].mean())
    assert known["best"] == pytest.approx(HIGH.values["ndcg@10"][1::2].mean())
    assert found["slices"]["target"].keys() == {"new"}  # nothing was looked for that is old
    assert found["catalogue"]["own"].keys() == {"coverage@10", "popularity@10"}


def test_nothing_is_relative_to_a_baseline_without_a_hit_and_there_may_be_no_baseline():
    missed = with_lists(np.zeros(60), "missed")
    assert figures(OWN, {"missed": missed}, "ndcg@10")["differences"] == {"missed": None}
    alone = figures(OWN, {}, "ndcg@10")
    assert (alone["best"], alone["slices"]["user"]["known"]["best"]) == (None, None)
