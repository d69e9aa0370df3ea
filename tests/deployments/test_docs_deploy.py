"""docs/deploy.md does what it says: its commands are run as they stand, on a free port and in a fresh home.

What docs/training.md says of a release is then asked of the same server: nothing is called by hand after the build.
"""

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.sandbox.serve import serve
from storage.store import Store
from tasks.settings_recipes import load_recipe
from tasks.training import train_recipe
from tests.deployments.planted import plant
from tests.deployments.terminals import ROOT, asked, in_background, run_here, terminals, wait_for

PLANTED = "$MEDIATECA_HOME/files/planted.yaml"
QUICK = {"full --watch": f"full -p catalogue={PLANTED} --watch", "status demo": f"status {PLANTED}"}
"""`demo` takes minutes, and has tests of its own; sixty songs say as much about a deployment."""
SCHEDULED = {"nightly", "weekly", "local", "champion"}
KEY = "the-key-that-only-the-server-keeps"


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What the page leaves: a server, a worker, deployments, and a catalogue that was built."""

    home: Path
    api: str
    environment: dict[str, str]
    said: list[str]  # by each block that was run here
    scheduled: list[set[str]]  # deployments with scheduled runs: once deployed, and once paused

    def payloads(self, event: str) -> list[dict[str, Any]]:
        """Those of an event, as the server keeps them, the newest first."""
        return [found["payload"] for found in asked(self.api, "events", filter={"event": {"name": [event]}})["events"]]

    def promoted(self, catalogue: Path) -> list[str]:
        """The models of a catalogue that the server was told of, the newest first."""
        rows = self.payloads("mediateca.model.promoted")
        return [row["model"] for row in rows if (row["catalogue"], row["of"]) == (str(catalogue), "track")]


def blocks() -> list[tuple[str, str]]:
    """(kind, commands) of each shell block; the first sets the environment."""
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    return [(m[1].strip(), m[2]) for m in re.finditer(r"```sh([^\n]*)\n(.*?)```", text, re.DOTALL)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def first_block(home: Path, api: str) -> dict[str, str]:
    """What the page's first block sets, with the test's own home and port."""
    return os.environ | {
        "MEDIATECA_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "1",  # other tests run beside these
        "PREFECT_WORKER_QUERY_SECONDS": "1",  # 10 by default, which is waited for before each of four runs
    }


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The page, run to its end; server and worker go on until the last test of the file."""
    home, port, said, seen = tmp_path_factory.mktemp("deployed"), free_port(), list[str](), list[set[str]]()
    api = f"http://127.0.0.1:{port}/api"
    environment = first_block(home, api)
    plant(home / "files")
    with terminals() as background:
        for kind, commands in blocks()[1:]:
            commands = re.sub("4200|full --watch|status demo", lambda m: QUICK.get(m[0], str(port)), commands)
            if kind:
                background.append(in_background(commands, environment, home / f"{kind}.log"))
                if kind == "server":
                    wait_for(f"{api}/health")
            else:
                said.append(run_here(commands, environment | {"LASTFM_API_KEY": KEY}))
            if "deploy --all" in commands:  # paused at once: none is to begin while the tests run
                seen.append(scheduled(api, until=SCHEDULED))
                run_here("prefect deployment schedule pause --all", environment)
                seen.append(scheduled(api, until=set()))
        yield Deployed(home=home, api=api, environment=environment, said=said, scheduled=seen)


def scheduled(api: str, *, until: set[str]) -> set[str]:
    """The deployments that have scheduled runs; looked for until they are these, or half a minute is over."""
    deadline = time.monotonic() + 30
    while True:
        runs = asked(api, "flow_runs", flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}})
        names = {row["id"]: row["name"] for row in asked(api, "deployments")}
        found = {names[run["deployment_id"]] for run in runs}
        if found == until or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def until(found: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if there := found():
            return there
        time.sleep(0.5)
    raise AssertionError(what)


def test_the_page_ends_with_a_finished_run_a_release_and_keys_in_blocks(deployed: Deployed) -> None:
    assert any("release v1" in text for text in deployed.said)
    payload = until(lambda: deployed.payloads("mediateca.release.published"), "the event did not arrive")[-1]
    named, store = str(deployed.home / "files" / "planted.yaml"), str(deployed.home / "planted")
    assert payload == {"catalogue": named, "release": "v1", "partial": False, "store": store}
    assert "LASTFM_API_KEY in the Secret block lastfm-api-key" in run_here("mediateca doctor", deployed.environment)


def test_a_live_source_is_asked_with_the_key_of_a_block_which_lies_nowhere(
    deployed: Deployed, small_world: Path
) -> None:
    home, environment = deployed.home, deployed.environment
    save = "from prefect.blocks.system import Secret; Secret(value={!r}).save('tmdb-api-key')"
    run_here(f'python -c "{save.format(KEY)}"', environment)
    with serve(small_world) as sandbox:
        live = {"connector": "tmdb", "items": False, "options": {"api_root": f"{sandbox.url}/tmdb/3/"}}
        films = {"connector": "movielens", "path": str(small_world / "movielens")}
        catalogue = {"catalogue": "films-live", "sources": {"movielens": films, "tmdb": live}}
        (home / "films-live.yaml").write_text(yaml.safe_dump(catalogue))
        run_here(f"prefect deployment run build-features/full -p catalogue={home}/films-live.yaml --watch", environment)
    counts = "select state, reason, count(*) n from links where source = 'tmdb' group by all order by n desc"
    found = json.loads(run_here(f'mediateca sql {home}/films-live.yaml "{counts}" --json', environment))
    assert found[0]["state"] == "accepted"
    assert "no_access" not in {row["reason"] for row in found}
    # No log, table or parameter has it.
    assert [path for path in home.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []


def test_schedules_that_are_deployed_have_runs_until_they_are_paused(deployed: Deployed) -> None:
    assert deployed.scheduled == [SCHEDULED, set()]


# --- what happens after a release


@pytest.fixture(scope="module")
def planted(deployed: Deployed) -> Path:
    """The catalogue that the page built, once a model is served; whatever came after the build began by itself."""
    served = deployed.home / "planted" / "bundles" / "track" / "current.json"
    until(served.exists, "no bundle came to be served", 300)
    return deployed.home / "files" / "planted.yaml"


def test_a_release_is_trained_on_and_what_wins_is_served_and_recommends(deployed: Deployed, planted: Path) -> None:
    told = run_here(f"mediateca recommend {planted} --item 'Song 07' --json", deployed.environment)
    (answer,) = json.loads(told)
    assert (answer["by"], answer["release"], answer["recommendations"][0]["title"]) == ("model", "v1", "Song 08")
    (bundle,) = json.loads(run_here(f"mediateca index list {planted} --json", deployed.environment))
    assert bundle["current"]
    assert (answer["index"], answer["model"]) == (bundle["bundle"], bundle["model"])
    (model,) = json.loads(run_here(f"mediateca evaluate {planted} --json", deployed.environment))
    assert (model["model"], model["served for"], model["verdict"]) == (answer["model"], "track", "first")
    assert deployed.promoted(planted) == [answer["model"]]


def test_a_recipe_that_fails_is_told_and_stops_none_after_it(deployed: Deployed, planted: Path) -> None:
    def states() -> dict[str, dict[str, Any]]:
        runs = asked(deployed.api, "flow_runs", flows={"name": {"any_": ["train-models"]}})
        return {Path(run["parameters"]["catalogue"]).stem: run["state"] for run in runs}

    state = states()["planted"]
    assert state["type"] == "FAILED"
    assert "2 of 3 recipes failed on release v1" in state["message"]
    assert "gone: RecipeError: no recipe" in state["message"]
    assert "rated: ValueError: planted-v1: no event of kind 'rating'" in state["message"]
    until(lambda: states()["films-live"]["type"] == "COMPLETED", "a catalogue without recipes is no failure")


def test_a_promotion_by_hand_reaches_the_server(deployed: Deployed, planted: Path) -> None:
    first = deployed.promoted(planted)
    popular = load_recipe(str(planted.with_name("ring.yaml"))).model_copy(
        update={"model": "most_popular", "settings": {}}
    )
    other = train_recipe(Store(str(deployed.home / "planted")), "v1", popular, tell=lambda line: None).model_id
    run_here(f"mediateca promote {planted} {other}", deployed.environment)
    until(lambda: deployed.promoted(planted) == [other, *first], "the server was not told")
