"""Faults of the sandbox, as switches: seeded, so that the same requests meet the same faults in any order."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Kind = Literal["error", "timeout", "limited", "limited_bare", "blocked", "truncated", "drift", "wrong", "none"]
Share = Field(default=0.0, ge=0.0, le=1.0)


class ServiceFaults(BaseModel):
    """Shares of one service's answers that go wrong, and its limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    error: float = Share  # HTTP 500, 502 or 503
    timeout: float = Share  # nothing for `timeout_s`, then the connection is dropped
    limited: float = Share  # 429 with Retry-After
    limited_bare: float = Share  # 429 without
    blocked: float = Share  # a captcha or consent page in place of the answer, half of them with HTTP 200
    truncated: float = Share  # half of the bytes that Content-Length promises
    drift: float = Share  # needed fields have other names, and there is one nobody knows
    wrong: float = Share  # a search finds something else
    per_day: int | None = Field(default=None, ge=0)  # requests per credential; more are answered 429
    per_second: int | None = Field(default=None, ge=1)  # requests per credential within any second


class Faults(BaseModel):
    """All switches of the sandbox."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    all: ServiceFaults = ServiceFaults()
    services: Mapping[str, ServiceFaults] = {}  # in place of `all` for these
    timeout_s: float = Field(default=60.0, ge=0.0)  # how long a request that times out is held
    retry_after_s: int = Field(default=1, ge=0)
    day_s: float = Field(default=86_400.0, gt=0.0)  # length of the day that `per_day` means
    latency_s: float = Field(default=0.0, ge=0.0)  # added to every answer
    spotify_development_mode: bool = False  # batch endpoints 403, at most 10 search results, fewer fields
    genius_layout: Literal["headed", "excluded", "contained", "react", "old"] | None = None  # of all pages

    def of(self, service: str) -> ServiceFaults:
        """The faults of that service."""
        return self.services.get(service, self.all)

    def switches(self) -> dict[str, Any]:
        """What the services themselves have to know."""
        return {
            "spotify_development_mode": self.spotify_development_mode,
            "genius_layout": self.genius_layout,
        }


PRESETS: dict[str, Faults] = {
    "none": Faults(),
    "rough": Faults(
        all=ServiceFaults(error=0.1, timeout=0.05, limited=0.02, limited_bare=0.02, truncated=0.03, blocked=0.02),
        timeout_s=3.0,
    ),
    "development": Faults(spotify_development_mode=True),
    "drift": Faults(all=ServiceFaults(drift=0.2)),
    "wrong": Faults(all=ServiceFaults(wrong=0.2)),
}
_ORDER: tuple[Kind, ...] = ("error", "timeout", "limited", "limited_bare", "blocked", "truncated", "drift", "wrong")


def read_faults(said: str | None) -> Faults:
    """The faults of a preset's name or of a JSON file.

    Raises:
        ValueError: There is neither, or the file says something that is no switch.
    """
    if said is None:
        return PRESETS["none"]
    if said in PRESETS:
        return PRESETS[said]
    path = Path(said)
    if not path.is_file():
        raise ValueError(f"sandbox: no preset and no file '{said}'; presets: {', '.join(PRESETS)}")
    return parse_faults(path.read_text(encoding="utf-8"), f"file '{said}'")


def parse_faults(text: str, where: str) -> Faults:
    """The faults that a JSON text says.

    Raises:
        ValueError: It is no JSON, or says something that is no switch.
    """
    try:
        return Faults.model_validate(json.loads(text))
    except ValidationError as bad:
        first = bad.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"sandbox: {where}: '{place}': {first['msg']}") from bad
    except ValueError as bad:
        raise ValueError(f"sandbox: {where} is no JSON ({bad})") from bad


def draw(faults: Faults, service: str, question: str, attempt: int) -> tuple[Kind, float]:
    """What happens to the answer of a question asked for the `attempt`-th time, and a number in [0, 1) to vary it.

    It depends on nothing else, so that requests of many threads meet the same faults in every run.
    """
    key = f"{faults.seed}|{service}|{question}|{attempt}"
    said = hashlib.sha256(key.encode()).digest()
    place, vary = (int.from_bytes(said[at : at + 8], "big") / 2**64 for at in (0, 8))
    shares = faults.of(service)
    for kind in _ORDER:
        share: float = getattr(shares, kind)
        if place < share:
            return kind, vary
        place -= share
    return "none", vary
