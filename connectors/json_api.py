"""The base of live sources that are asked by GET and answer JSON: a subclass says what to ask and what is offered."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, SecretStr

from connectors.base import Page, Record, Request, Wanted
from connectors.candidates import Candidate
from connectors.errors import ConnectorError, SchemaDrift
from connectors.http import Policy, PolicySettings
from storage import clock


class ApiSettings(BaseModel):
    """Where a service is, and how often it may be asked; a subclass adds defaults, keys (`SecretStr`), a language."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_root: str  # ends with a slash
    policy: PolicySettings = PolicySettings()


class Shape(BaseModel):
    """An answer's shape, as far as we know it: fields without a default are those we cannot do without."""

    model_config = ConfigDict(extra="allow")


_S = TypeVar("_S", bound=ApiSettings)


class JsonApi(Generic[_S]):
    """A service that is asked one question at a time; a subclass gives `name`, `models` and what raises here.

    Its entities are those of `models`. What the policy judges by the status alone needs no code; a service that has
    codes of its own overrides `refusal`, one that wants a key `credentials`.
    """

    name: ClassVar[str]
    entities: ClassVar[frozenset[str]] = frozenset()
    models: ClassVar[Mapping[str, type[BaseModel]]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.entities = frozenset(cls.models)

    def __init__(self, settings: _S, policy: Policy | None = None) -> None:
        self._settings = settings
        given = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
        self._policy = policy or Policy(self.name, settings.policy, secrets=given)

    # --- what a subclass says

    def questions(self, wanted: Wanted) -> tuple[Request, ...]:
        """How to find the item: exact ids first; empty where it cannot be asked for."""
        raise NotImplementedError

    def address(self, request: Request) -> tuple[str, dict[str, str]]:
        """The path below `api_root` (`path_of` makes it of an id) and the parameters; no key among them."""
        raise NotImplementedError

    def candidates(self, entity: str, payload: Mapping[str, Any]) -> list[Candidate]:
        """What an answer offers, in the source's order.

        Raises:
            SchemaDrift: The answer has no list of them.
        """
        raise NotImplementedError

    def describe(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """What the answer that describes an item says beyond its candidate, by our columns: genres, mbid, language ...

        `ids` are added to those that are known, everything else takes the place of what the candidate says.
        """
        return {}

    def credentials(self) -> tuple[dict[str, str], dict[str, str]]:
        """Parameters and headers that say who asks.

        Raises:
            AuthError: A key is needed and there is none.
        """
        return {}, {}

    def refusal(self, status: int, body: Any, url: str) -> ConnectorError | None:
        """The error that an answer stands for in the service's own words; None for one to be used."""
        return None

    # --- what all of them do

    def lookup(self, request: Request) -> Record:
        """The answer as received.

        Raises:
            ConnectorError: As `LiveConnector.lookup`.
            ValueError: The service is not asked for such an entity.
        """
        if request.entity not in self.entities:
            known = ", ".join(sorted(self.entities))
            raise ValueError(f"{self.name}: unknown entity '{request.entity}'; known: {known}")
        path, params = self.address(request)
        more, headers = self.credentials()
        root = self._settings.api_root
        status, body, url = self._policy.get_json(root + path, params=params | more, headers=headers)
        if error := self.refusal(status, body, url):
            raise error
        if not isinstance(body, Mapping):
            raise SchemaDrift(f"{self.name}: the answer is no object", source=self.name, url=url, status=status)
        return Record(entity=request.entity, source_id=request.key, payload=body, url=url, fetched_at=clock.now())

    def request_from(self, entity: str, payload: Mapping[str, Any]) -> Request:
        """Nothing, unless a subclass has details that another answer points to.

        Raises:
            ValueError: No entity is found by way of an answer.
        """
        raise ValueError(f"{self.name}: '{entity}' is not asked for by way of another answer")

    def pages(self, entity: str, *, keys: Sequence[Any] | None = None, cursor: str | None = None) -> Iterator[Page]:
        """Nothing: it is asked one question at a time.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"{self.name}: '{entity}' has no pages; ask with `lookup`")

    def close(self) -> None:
        """Give back the connections."""
        self._policy.close()


def path_of(*parts: str) -> str:
    """A path below `api_root`; what an id holds cannot lead out of it.

    >>> path_of("tracks", "a/b")
    'tracks/a%2Fb'
    """
    return "/".join(quote(part, safe="") for part in parts)


def user_agent(contact: str = "") -> str:
    """How we name ourselves: the program, its version, and who may be written to where a contact is given."""
    named = f"mediateca/{importlib.metadata.version('mediateca')}"
    return f"{named} ( {contact} )" if contact else named
