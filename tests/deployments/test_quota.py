"""`mediateca status --quota`: the ledger of requests, for people and for scripts."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.http_ledger import ledger_path
from connectors.http_quota import Limits, Quota

HEAVY = ("requests", "httpx2", "yt_dlp", "pyrate_limiter", "prefect", "pyarrow", "polars", "numpy")


def status(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.argv = {['mediateca', 'status', 'demo', '--quota', *args]!r}\n"
        "from deployments.cli import app\n"
        "try: app()\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    environment = os.environ | {"MEDIATECA_HOME": str(home), "COLUMNS": "200"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)


def test_the_ledger_is_shown_and_nothing_heavy_is_loaded(home: Path) -> None:
    quota = Quota("tmdb", "0123456789ab", Limits(per_day=3), ledger_path())
    for _ in range(3):
        quota.take()
    Quota("genius", "anonymous", Limits(), ledger_path()).take()
    said = status(home, "--json")
    assert said.stderr.strip() == "[]"
    rows = {row["source"]: row for row in json.loads(said.stdout)["quota"]}
    assert (rows["tmdb"]["requests"], rows["tmdb"]["limit"], rows["tmdb"]["left"]) == (3, 3, 0)
    assert datetime.fromisoformat(rows["tmdb"]["renews_at"]) > datetime.now(UTC)
    assert (rows["genius"]["limit"], rows["genius"]["renews_at"]) == (None, None)
    table = status(home).stdout
    assert "0123456789ab" in table
    assert "renews at" in table


def test_an_empty_ledger_is_said(home: Path) -> None:
    assert "no request has been made" in status(home).stdout
    assert json.loads(status(home, "--json").stdout)["quota"] == []


@pytest.mark.parametrize("args", [("--json",), ()])
def test_no_store_is_made_by_looking(home: Path, args: tuple[str, ...]) -> None:
    status(home, *args)
    assert list(home.iterdir()) == []
