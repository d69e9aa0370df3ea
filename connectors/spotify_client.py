"""spotipy under the policy: its token, what an app may ask for, and what spotipy does not look after."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

from connectors.errors import AuthError, PermanentError, SchemaDrift
from connectors.http import Policy
from connectors.spotify_answers import Payload, is_of_limit

if TYPE_CHECKING:
    from connectors.spotify import SpotifySettings

LIMITS = (50, 20, 10, 5, 1)
"""Page sizes to fall back on. In August 2026 apps in development mode had a search of 11 refused, of 10 accepted."""


@dataclass
class App:
    """What was learnt of one app, by all of this process's connectors: each chunk of a build opens some."""

    token: Any = None
    no_batch: set[str] = field(default_factory=set[str])  # entities whose batch endpoint refused it
    limits: dict[str, int] = field(default_factory=dict[str, int])  # the largest pages it may ask for


@cache
def app_of(endpoint: str, *credentials: str) -> App:
    """What is known of the app with these credentials."""
    return App()


class Client:
    """Asks Spotify; nothing is asked, and no key is needed, before the first `ask`."""

    def __init__(self, settings: SpotifySettings, policy: Policy) -> None:
        self._settings, self._policy = settings, policy
        self.endpoint = settings.endpoint.rstrip("/") + "/"
        secrets = [s.get_secret_value() for s in (settings.client_id, settings.client_secret) if s]
        self.app = app_of(self.endpoint, *secrets)
        self._spotipy: Any = None

    def ask_adapting(self, what: str, wanted: int, call: Callable[..., Any]) -> tuple[Payload, int]:
        """The answer with the largest page that is allowed, and that page's size; a refusal is remembered."""
        while True:
            limit = min(wanted, self.app.limits.get(what, wanted))
            try:
                return self.ask(partial(call, limit=limit)), limit
            except PermanentError as exc:
                smaller = next((size for size in LIMITS if size < limit), None)
                if smaller is None or not is_of_limit(exc):
                    raise
                self.app.limits[what] = smaller

    def ask(self, call: Callable[[Any], Any]) -> Payload:
        """What `call(spotipy's client)` gives.

        Raises:
            ConnectorError: As the policy; `AuthError` also without keys, `SchemaDrift` where it is no object.
        """
        client = self._opened()
        try:
            body = self._told(call, client)
        except AuthError as exc:
            if exc.status != 401 or not exc.url.startswith(self.endpoint):
                raise
            self.app.token.save_token_to_cache(None)  # it expired before its time: once more with a new one
            body = self._told(call, client)
        if not isinstance(body, Mapping):
            raise SchemaDrift(f"spotify: the answer is a {type(body).__name__}, not an object", source="spotify")
        return body

    def _told(self, call: Callable[[Any], Any], client: Any) -> Any:
        try:
            return call(client)
        except (KeyError, TypeError) as exc:  # spotipy reads `access_token` and `expires_in` without looking
            raise SchemaDrift(
                f"spotify: the token's answer lacks what spotipy reads ({exc})", source="spotify"
            ) from exc

    def _opened(self) -> Any:
        """The client with our session, its own retries off, and its token in memory.

        By default spotipy writes the token to `.cache` in the current folder.
        """
        if self._spotipy is not None:
            return self._spotipy
        if not (self._settings.client_id and self._settings.client_secret):
            raise AuthError(
                "spotify: no key; set SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET (an app of your own on "
                "developer.spotify.com)",
                source="spotify",
            )
        from spotipy import Spotify
        from spotipy.cache_handler import MemoryCacheHandler
        from spotipy.oauth2 import SpotifyClientCredentials

        # At DEBUG it logs the headers, at ERROR what we raise.
        logging.getLogger("spotipy").setLevel(logging.CRITICAL)
        self.app.token = self.app.token or MemoryCacheHandler()
        # Typed as a bool and an int there; taken as they are.
        session, timeout_s = cast("Any", self._policy.session()), cast("Any", self._settings.policy.timeout_s)
        auth = SpotifyClientCredentials(
            client_id=self._settings.client_id.get_secret_value(),
            client_secret=self._settings.client_secret.get_secret_value(),
            requests_session=session,
            requests_timeout=timeout_s,
            cache_handler=self.app.token,
        )
        setattr(auth, "OAUTH_TOKEN_URL", self._settings.token_url)  # noqa: B010 # typed as one literal
        client = Spotify(auth_manager=auth, requests_session=session, requests_timeout=timeout_s, retries=0)
        client.prefix = self.endpoint
        self._spotipy = client
        return client
