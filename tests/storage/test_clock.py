"""Days can be moved against a sandbox, and never against real services."""

from datetime import UTC, datetime, timedelta

import pytest

from storage import clock


def test_days_go_by_against_a_sandbox_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.AHEAD, "31.5")
    monkeypatch.delenv(clock.SANDBOX, raising=False)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    monkeypatch.setenv(clock.SANDBOX, "{}")
    assert abs(clock.now() - datetime.now(UTC) - timedelta(days=31.5)) < timedelta(minutes=1)


@pytest.mark.parametrize("said", ["tomorrow", "1e300", "nan"])
def test_what_is_no_number_of_days_is_told(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.SANDBOX, "{}")
    monkeypatch.setenv(clock.AHEAD, said)
    with pytest.raises(ValueError, match=r"MEDIATECA_DAYS_AHEAD is .* expected a number of days"):
        clock.now()
