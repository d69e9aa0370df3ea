"""What the live connectors share: settings as a catalogue gives them, candidates as an answer offers them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, Field, SecretStr, ValidationError

from connectors.candidates import Candidate
from connectors.errors import SchemaDrift

if TYPE_CHECKING:
    from connectors.http import Policy

_S = TypeVar("_S", bound=BaseModel)


def settled(
    kind: type[_S], policy: Policy | Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> tuple[_S, Policy | None]:
    """A connector's settings, and the policy object where one was given.

    A catalogue's `policy: {requests_per_second: 5}` changes that limit and leaves the service's other defaults.

    Raises:
        ValueError: A setting is unknown, or its value is not of its type.
    """
    try:
        if isinstance(policy, Mapping):
            defaults: BaseModel = kind.model_fields["policy"].default
            return kind(**settings, policy=defaults.model_dump() | dict(policy)), None
        return kind(**settings), policy
    except ValidationError as exc:
        raise ValueError("\n".join(_explain(kind, error) for error in exc.errors(include_input=False))) from None


def _explain(kind: type[BaseModel], error: Any) -> str:
    """One wrong setting in words; without its value, which may be a key."""
    *above, name = [str(part) for part in error["loc"]] or ["settings"]
    who, place = kind.__name__.removesuffix("Settings").lower(), ".".join([*above, name])
    if error["type"] != "extra_forbidden":
        return f"{who}: option '{place}': {error['msg']}"
    model: Any = kind.model_fields[above[0]].annotation if above else kind
    known = sorted(model.model_fields)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{who}: unknown option '{place}'; {hint}known: {', '.join(known)}"


def secret_from(variable: str) -> Any:
    """A field for a secret: what the catalogue gives, else the environment's, else None."""
    return Field(default_factory=lambda: SecretStr(found) if (found := os.environ.get(variable)) else None)


def offered(source: str, entity: str, found: Any, one: Callable[[Any], Candidate | None]) -> list[Candidate]:
    """What the elements of an answer offer, in order; one that lacks what we need is left out.

    Args:
        source: Who answered.
        entity: What was asked for.
        found: The list in the answer.
        one: An element's candidate; None for one that is no candidate, such as a channel among videos.

    Raises:
        SchemaDrift: There is no list, or every element that might be a candidate lacks what we need.
    """
    if not isinstance(found, list):
        raise SchemaDrift(f"{source}: an answer to '{entity}' without a list of what was found", source=source)
    made: list[Candidate | None] = []
    broken: Exception | None = None
    for said in found:
        try:
            made.append(one(said))
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            broken = exc
    candidates = [candidate for candidate in made if candidate]
    if broken and not candidates:
        said = f"{source}: nothing of an answer to '{entity}' can be read ({type(broken).__name__}: {broken})"
        raise SchemaDrift(said[:200], source=source) from broken
    return candidates
