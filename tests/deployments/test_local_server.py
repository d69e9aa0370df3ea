"""What the local server's place and the environment can do to a build."""

import re
from pathlib import Path

import pytest

from deployments import local_server
from deployments.local_server import ServerError, prefect_server
from storage.errors import StoreFull


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is there at once, and asks for nothing."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(local_server, "_start", lambda folder, tell: "http://127.0.0.1:9/api")


@pytest.mark.usefixtures("started")
def test_disk_that_fills_while_a_build_runs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_server, "free_bytes", lambda place: 4096)
    told = re.escape(f"MEDIATECA_HOME ({tmp_path}): its disk is full (") + ".* MB free.*run the same command again"
    with pytest.raises(ServerError, match=told), prefect_server(tmp_path):
        raise RuntimeError("Server error '500 Internal Server Error' for url .../set_state")


@pytest.mark.usefixtures("started")
def test_full_disk_hides_no_error_that_says_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_server, "free_bytes", lambda place: 4096)
    with pytest.raises(StoreFull, match="the store's"), prefect_server(tmp_path):
        raise StoreFull("the store's own message")


@pytest.mark.usefixtures("started")
def test_other_errors_pass_while_there_is_room(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="500"), prefect_server(tmp_path):
        raise RuntimeError("Server error '500 Internal Server Error'")


def test_server_that_ends_early_is_told_with_its_time_and_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(local_server.sys, "executable", "/bin/false")
    told = r"ended after \d s, before it answered \(.* MB free\); see .*server.log"
    with pytest.raises(ServerError, match=told), prefect_server(tmp_path, tell=lambda message: None):
        pass
