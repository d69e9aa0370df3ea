"""Equal budgets: what is tried, logged, gone on with and chosen."""

import json
from pathlib import Path
from typing import Any

import pytest

from training.tuning import best, settings, tune

SPACE = {"a": (1, 2, 3), "b": ("x", "y")}


def value(config: dict[str, Any]) -> float:
    return config.get("a", 0) + (config.get("b") == "y") / 2


def test_the_best_of_the_whole_grid_is_found(tmp_path: Path) -> None:
    found = best(tune(SPACE, value, trials=7, log=tmp_path / "log.jsonl"))
    assert (found.config, found.metric) == ({"a": 3, "b": "y"}, 3.5)


def test_every_trial_is_a_line_and_the_defaults_come_first(tmp_path: Path) -> None:
    tune(SPACE, value, trials=4, log=tmp_path / "new" / "log.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "new" / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 4
    assert lines[0]["config"] == {}
    assert all(line["metric"] == value(line["config"]) and line["seconds"] >= 0 for line in lines)


def test_points_differ_and_follow_from_the_seed() -> None:
    drawn = [list(settings(SPACE, 7, seed)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len({tuple(point.values()) for point in drawn[0]}) == 7


def test_a_small_space_ends_before_the_budget() -> None:
    assert len(list(settings(SPACE, 100, 0))) == 7
    assert list(settings({}, 5, 0)) == [{}]


def test_a_space_too_large_to_list_is_drawn_from() -> None:
    wide = {f"s{i}": tuple(range(10)) for i in range(12)}
    points = [tuple(point.values()) for point in settings(wide, 50, 0)]
    assert len(set(points)) == 50
    assert list(settings(wide, 50, 0)) == list(settings(wide, 50, 0))


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    whole = tune(SPACE, value, trials=6, log=log)
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:3]) + lines[3][:9])  # killed while it wrote the fourth
    asked: list[dict[str, Any]] = []
    again = tune(SPACE, lambda config: asked.append(config) or value(config), trials=6, log=log)
    assert ([trial.config for trial in again], len(asked)) == ([trial.config for trial in whole], 3)
    assert best(again).config == best(whole).config
    assert len(log.read_text().splitlines()) == 6


def test_of_equal_trials_the_first_wins(tmp_path: Path) -> None:
    assert best(tune(SPACE, lambda _: 1.0, trials=5, log=tmp_path / "log")).config == {}


def test_a_log_of_another_search_is_refused(tmp_path: Path) -> None:
    tune(SPACE, value, trials=3, log=tmp_path / "log")
    with pytest.raises(ValueError, match="another space, budget or seed"):
        tune(SPACE, value, trials=3, log=tmp_path / "log", seed=1)


def test_a_metric_that_is_no_number_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gave the metric nan"):
        tune(SPACE, lambda _: float("nan"), trials=3, log=tmp_path / "log")
    with pytest.raises(ValueError, match="trials is 0"):
        tune(SPACE, value, trials=0, log=tmp_path / "log")


def test_a_trial_that_fails_is_one_and_takes_nothing_along(tmp_path: Path) -> None:
    def some(config: dict[str, Any]) -> float:
        if config.get("a") == 3:
            raise ValueError("they do not go together")
        return float("nan") if config.get("a") == 2 else value(config)

    found = tune(SPACE, some, trials=7, log=tmp_path / "log.jsonl")
    assert sorted(trial.error[:8] for trial in found if trial.metric is None) == ["they do "] * 2 + ["tune: {'"] * 2
    assert best(found).config == {"a": 1, "b": "y"}
    assert tune(SPACE, lambda _: pytest.fail("it was tried"), trials=7, log=tmp_path / "log.jsonl") == found


def test_two_runs_that_share_a_log_keep_their_budgets(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    inner: list[Any] = []

    def beside(config: dict[str, Any]) -> float:
        if not inner:
            inner.append(None)
            inner[0] = tune(SPACE, value, trials=4, log=log)
        return value(config)

    outer = tune(SPACE, beside, trials=4, log=log)
    assert [t.config for t in outer] == [t.config for t in inner[0]]
    assert [t.metric for t in tune(SPACE, value, trials=4, log=log)] == [t.metric for t in outer]
