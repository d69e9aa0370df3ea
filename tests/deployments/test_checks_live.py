"""`mediateca doctor` says what live sources need, and tells no key."""

from pathlib import Path

import pytest

from connectors.http import Policy, PolicySettings
from deployments.checks import run_checks
from deployments.checks_live import KEYS, live_checks

SECRET = "a-key-that-is-never-told"


def found() -> dict[str, tuple[str, str]]:
    return {row["check"]: (row["state"], row["found"]) for row in live_checks()}


def test_a_key_that_is_set_is_not_shown_and_one_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in KEYS.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GENIUS_ACCESS_TOKEN", SECRET)
    monkeypatch.setenv("SPOTIFY_CLIENT_ID", SECRET)
    rows = found()
    assert rows["keys genius"] == ("ok", "GENIUS_ACCESS_TOKEN set")
    assert rows["keys spotify"] == ("warn", "SPOTIFY_CLIENT_SECRET not set")
    assert rows["keys tmdb"] == ("warn", "TMDB_API_KEY not set")
    assert SECRET not in str(live_checks())


def test_a_missing_javascript_runtime_is_a_note_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("connectors.youtube.javascript_runtime", lambda: None)
    (row,) = [row for row in live_checks() if row["check"] == "javascript runtime"]
    assert (row["state"], "install deno" in row["hint"]) == ("warn", True)
    monkeypatch.setattr("connectors.youtube.javascript_runtime", lambda: "deno 2.9.0")
    assert found()["javascript runtime"] == ("ok", "deno 2.9.0")


def test_a_quota_that_is_used_up_says_when_it_is_renewed(home: Path) -> None:
    policy = Policy("tmdb", PolicySettings(requests_per_day=2), secrets=[SECRET])
    policy.count("https://api.themoviedb.org/3/configuration")
    assert found()["quota tmdb"] == ("ok", "1 of 2 requests")
    policy.count("https://api.themoviedb.org/3/configuration")
    (row,) = [row for row in live_checks() if row["check"] == "quota tmdb"]
    assert (row["state"], row["found"]) == ("warn", "2 of 2 requests")
    assert "T00:00:00" in row["hint"]
    policy.close()


def test_the_doctor_asks_for_them() -> None:
    assert {"keys genius", "javascript runtime"} <= {row["check"] for row in run_checks()}


def test_a_ledger_that_is_none_is_a_note(home: Path) -> None:
    (home / "quota.sqlite").write_bytes(b"not a database, and long enough to be read as one" * 20)
    (row,) = [row for row in live_checks() if row["check"] == "quota"]
    assert (row["state"], row["found"]) == ("warn", "the ledger cannot be read")
