"""Keys of live sources: from the environment, else from where a deployment stores them."""

import json
import os
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from connectors.registry import LIVE, connect
from tasks.ask import REPLAY, SANDBOX
from tasks.prepare import stored_as, with_keys
from tasks.settings import Catalogue

KEYS = {variable for live in LIVE.values() for variable in live.keys}


@pytest.fixture(autouse=True)
def _without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in KEYS:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def catalogue() -> Catalogue:
    sources = {name: {"connector": name, "items": name == "lastfm"} for name in ("lastfm", "spotify", "genius")}
    return Catalogue.model_validate({"catalogue": "live", "sources": sources})


class Stored:
    """A deployment's secrets; notes what it was asked for."""

    def __init__(self, **held: str) -> None:
        self.held, self.asked = held, list[str]()

    def __call__(self, name: str) -> SecretStr | None:
        self.asked.append(name)
        found = self.held.get(name.replace("-", "_"))
        return SecretStr(found) if found else None


def test_a_key_that_the_environment_lacks_is_there_while_a_build_runs_and_not_afterwards(catalogue: Catalogue) -> None:
    stored = Stored(lastfm_api_key="k1", spotify_client_secret="k2")
    with with_keys(catalogue, stored) as missing:
        assert missing == ["GENIUS_ACCESS_TOKEN", "SPOTIFY_CLIENT_ID"]
        found: Any = connect("lastfm").settings.api_key
        assert (found.get_secret_value(), "k1" in repr(found)) == ("k1", False)
        assert os.environ["SPOTIFY_CLIENT_SECRET"] == "k2"
        assert "SPOTIFY_CLIENT_ID" not in os.environ
    assert not KEYS & os.environ.keys()
    assert sorted(stored.asked) == [
        "genius-access-token",
        "lastfm-api-key",
        "spotify-client-id",
        "spotify-client-secret",
    ]


def test_the_environment_comes_first(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTFM_API_KEY", "mine")
    stored = Stored(lastfm_api_key="theirs")
    with with_keys(catalogue, stored):
        assert os.environ["LASTFM_API_KEY"] == "mine"
    assert "lastfm-api-key" not in stored.asked
    assert os.environ["LASTFM_API_KEY"] == "mine"


def test_who_asks_a_sandbox_or_nobody_needs_no_key(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Stored()
    monkeypatch.setenv(SANDBOX, json.dumps({"lastfm": {}, "spotify": {}}))
    with with_keys(catalogue, stored):
        assert stored.asked == ["genius-access-token"]
    monkeypatch.setenv(REPLAY, "1")
    with with_keys(catalogue, stored):
        assert stored.asked == ["genius-access-token"]


@pytest.mark.parametrize("name", sorted(name for name, live in LIVE.items() if live.keys))
def test_the_registry_names_the_variables_that_a_connector_reads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in LIVE[name].keys:
        monkeypatch.setenv(variable, stored_as(variable))
    models = [held for held in vars(connect(name)).values() if isinstance(held, BaseModel)]
    values = {said.get_secret_value() for model in models for _, said in model if isinstance(said, SecretStr)}
    assert values == {stored_as(variable) for variable in LIVE[name].keys}
