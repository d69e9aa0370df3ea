"""Fixtures of all tests: a home of its own, real data where it is, one Prefect server per run."""

import os
from pathlib import Path

import pytest

LONGEST = (
    "test_docs_deploy.py",
    "test_real_data.py",
    "test_validate.py",
    "test_report.py",
    "test_cli.py",
    "test_faults.py",
    "test_stage.py",
)
"""Files that take over a minute (measured 2026-11); begun last, one keeps a worker busy while the other waits."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A MEDIATECA_HOME of the test's own; no Prefect server is inherited, nor what one leaves in the environment."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MEDIATECA_HOME", str(folder))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    # A local Prefect server is excepted from proxies in this process; set here, it is taken back after the test.
    unproxied = os.environ.get("NO_PROXY")
    monkeypatch.setenv("NO_PROXY", unproxied or "")
    if unproxied is None:
        monkeypatch.delenv("NO_PROXY")
    return folder


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets."""
    found = os.environ.get("MEDIATECA_REAL_DATA")
    if not found or not Path(found).is_dir():
        pytest.skip("needs real data: set MEDIATECA_REAL_DATA to its folder")
    return Path(found)
