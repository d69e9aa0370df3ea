"""What the live connectors share: their settings, as a catalogue gives them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, Field, SecretStr

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
    if isinstance(policy, Mapping):
        defaults: BaseModel = kind.model_fields["policy"].default
        return kind(**settings, policy=defaults.model_dump() | dict(policy)), None
    return kind(**settings), policy


def secret_from(variable: str) -> Any:
    """A field for a secret: what the catalogue gives, else the environment's, else None."""
    return Field(default_factory=lambda: SecretStr(found) if (found := os.environ.get(variable)) else None)
