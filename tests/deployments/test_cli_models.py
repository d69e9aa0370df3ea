"""`mediateca models`: what it does with names and without."""

from typing import Any

import pytest
from typer.testing import CliRunner

from deployments.cli_models import models_app
from featurizers.encoders import known


def test_without_names_what_has_safetensors_is_fetched_and_the_rest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []

    def pull(weights: Any) -> str:
        fetched.append(weights.model)
        return "there"

    monkeypatch.setattr("featurizers.weights.pull_weights", pull)
    ran = CliRunner().invoke(models_app, ["pull"])
    pickles = {encoder.name for encoder in known().values() if encoder.pickle_sha256}
    assert ran.exit_code == 0
    assert fetched == [encoder.model for encoder in known().values() if encoder.name not in pickles]
    assert pickles == set(ran.output.splitlines()[0].removeprefix("left out, as pickles to convert: ").split(", "))


def test_a_pickle_that_is_named_says_how_to_convert_it() -> None:
    name = next(encoder.name for encoder in known().values() if encoder.pickle_sha256)
    ran = CliRunner().invoke(models_app, ["pull", name])
    assert ran.exit_code == 1
    assert f"mediateca models convert {name}" in ran.output
