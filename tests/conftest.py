"""Fixtures of all tests: a home of its own, real data where it is, one Prefect server per run."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A MEDIATECA_HOME of the test's own; no Prefect server is inherited."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MEDIATECA_HOME", str(folder))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return folder


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets."""
    found = os.environ.get("MEDIATECA_REAL_DATA")
    if not found or not Path(found).is_dir():
        pytest.skip("needs real data: set MEDIATECA_REAL_DATA to its folder")
    return Path(found)
