"""What a plan says in words."""

from typing import Any


def version_change(feature: str, change: dict[str, Any]) -> str:
    """What another version of a feature costs; `change` is that of `tasks.plan.make_plan`."""
    seconds, size = change["seconds"], change["bytes"]
    takes = "unknown time (no earlier run tells)" if seconds is None else f"about {_duration(seconds)}"
    if seconds is not None and change["measured_with"] != change["to"]:
        takes += " (as measured with another version)"
    disk = "unknown bytes" if size is None else f"{size / 1e6:,.1f} MB"
    return (
        f"{feature}: version {change['from']} -> {change['to']}: {change['items']:,} items, {takes}, {disk} beside the "
        "former version, which is served until the new one is complete"
    )


def _duration(seconds: float) -> str:
    """Seconds for people.

    >>> _duration(90), _duration(600), _duration(9000)
    ('90 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7_200 else f"{seconds / 3600:,.1f} h"
