"""The time by which rows, quotas and retries go; against a sandbox it can be moved, so that days pass in minutes."""

import os
from datetime import UTC, datetime, timedelta

SANDBOX = "MEDIATECA_SANDBOX"
"""JSON: connector -> settings with which it asks the sandbox. Not in the catalogue: its ports differ every time."""
AHEAD = "MEDIATECA_DAYS_AHEAD"
"""Days by which a build against a sandbox is ahead; against real services, whose days nobody moves, it is ignored."""


def now() -> datetime:
    """The time, UTC.

    Raises:
        ValueError: MEDIATECA_DAYS_AHEAD is no number of days.
    """
    days = os.environ.get(AHEAD) if SANDBOX in os.environ else None
    return datetime.now(UTC) + (_days(days) if days else timedelta())


def _days(said: str) -> timedelta:
    try:
        return timedelta(days=float(said))
    except (ValueError, OverflowError) as exc:
        raise ValueError(f"{AHEAD} is '{said}', expected a number of days such as 1 or 0.5") from exc
