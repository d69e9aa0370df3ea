"""How probably a candidate is the wanted recording, and what follows: accept, review or reject.

The probability comes from a logistic model over `connectors.evidence`, one per source, with coefficients from
`scoring.json`: fitted by `python -m benchmarks.fit_matching`, which writes down from what and with which scores.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.base import Wanted
from connectors.candidates import Candidate
from connectors.evidence import add_consensus, evidence, is_recording, sought

State = Literal["accept", "review", "reject"]
# Of an item without an artist: many songs share a name, and some of these a length. Nothing that the coefficients were
# fitted to lacks one.
_NAME_ALONE = 0.6
_NAMED_BESIDE = {"isrc_same", "album_same"}
COEFFICIENTS = Path(__file__).with_name("scoring.json")


class Thresholds(BaseModel):
    """From which probability on a link is accepted, and from which one somebody should look at it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accept: float = Field(default=0.9, ge=0.0, le=1.0)
    review: float = Field(default=0.3, ge=0.0, le=1.0)

    def state(self, probability: float) -> State:
        """What a probability means."""
        return "accept" if probability >= self.accept else "review" if probability >= self.review else "reject"


@dataclass(frozen=True, slots=True)
class Scored:
    """One candidate with the probability that it is the wanted recording."""

    id: str
    probability: float
    evidence: Mapping[str, float]  # the features that are not 0, see `connectors.evidence`


@dataclass(frozen=True, slots=True)
class Decision:
    """What a list of candidates comes to."""

    best: str | None  # None where nothing is even worth a look
    probability: float  # of the likeliest candidate; 0 where there is none
    state: State


@dataclass(frozen=True)
class Model:
    """Coefficients of one source."""

    intercept: float
    weights: Mapping[str, float]
    slope: float  # Platt scaling, fitted on lists that the weights have not seen
    offset: float

    def probability(self, features: Mapping[str, float]) -> float:
        """In (0, 1)."""
        logit = self.intercept + sum(self.weights.get(name, 0.0) * value for name, value in features.items())
        logit = self.slope * logit + self.offset
        return 1.0 / (1.0 + exp(-max(-30.0, min(30.0, logit))))


@cache
def coefficients() -> dict[str, Any]:
    """The file of coefficients, with its provenance."""
    return json.loads(COEFFICIENTS.read_text("utf-8"))


@cache
def model_of(source: str | None) -> Model:
    """The model of a source; the one fitted on all sources where the source has none of its own."""
    models = coefficients()["models"]
    return Model(**models.get(source or "any", models["any"]))


def thresholds_of(source: str | None) -> Thresholds:
    """The thresholds chosen with the model."""
    chosen = coefficients()["thresholds"]
    return Thresholds(**chosen.get(source or "any", chosen["any"]))


def score(wanted: Wanted, candidates: Sequence[Candidate], source: str | None = None) -> list[Scored]:
    """The candidates, likeliest first; equally likely ones in the source's order.

    Args:
        wanted: The item; what is not known of it is empty or None.
        candidates: What a search offered, in the source's order.
        source: "youtube", "spotify" ...; None uses the model of all sources.

    Returns:
        One `Scored` per candidate, probabilities in [0, 1]; each is that of being the wanted recording, so several
        uploads of one recording may all be likely, and they do not add up to 1.
    """
    item, model = sought(wanted), model_of(source)
    told = [evidence(item, candidate) for candidate in candidates]
    add_consensus(told, candidates)
    found: list[Scored] = []
    for candidate, features in zip(candidates, told, strict=True):
        named = features.get("title", 0.0) > 0.0 and is_recording(candidate)
        probability = model.probability(features) if named else 0.0
        if not item.artists and candidate.kind != "movie" and not _NAMED_BESIDE & features.keys():
            probability = min(probability, _NAME_ALONE)
        found.append(Scored(candidate.id, round(probability, 6), features))
    # sorted() is stable: the source's own order decides between equals.
    return sorted(found, key=lambda one: -round(one.probability, 3))


def decide(scored: Sequence[Scored], thresholds: Thresholds | None = None, *, source: str | None = None) -> Decision:
    """The best of the scored candidates and what to do with it; `thresholds` default to those of the source."""
    top = max(scored, key=lambda one: one.probability, default=None)
    if top is None:
        return Decision(None, 0.0, "reject")
    # The first one of those that are equally likely, as `score` has put them.
    top = next(one for one in scored if round(one.probability, 3) >= round(top.probability, 3))
    state = (thresholds or thresholds_of(source)).state(top.probability)
    return Decision(None if state == "reject" else top.id, top.probability, state)
