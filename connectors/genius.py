"""Songs and lyrics pages of Genius, asked through lyricsgenius."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

import lyricsgenius
import requests
from pydantic import BaseModel, ConfigDict, SecretStr

from connectors.base import Page, Record, Request, Wanted
from connectors.candidates import Candidate
from connectors.errors import AuthError, BlockedPage, PermanentError, SchemaDrift, TransientError
from connectors.genius_models import Search, Song, SongPage
from connectors.genius_pages import Lyrics, State, is_blocked, is_song_page, lyrics_of
from connectors.http import Policy, PolicySettings
from connectors.live import offered, secret_from, settled
from storage import clock

__all__ = ["Genius", "GeniusSettings", "Lyrics", "connect", "lyrics_of", "page_request", "placeholder_of"]

# "(feat. X)", "[Remastered 2011]", " - Live at Y", " feat. X": Genius files the words of all of them under one song.
_EXTRAS = re.compile(r"\s*[(\[][^)\]]*[)\]]|\s+[-–—]\s.*$|\s+(?:feat\.?|ft\.?|featuring)\s.*$", re.IGNORECASE)
_PLAIN = "?text_format=plain"  # descriptions as text, not as a tree: what lyricsgenius asks for
_STATUS = re.compile(r"status code: (\d{3})")


class GeniusSettings(BaseModel):
    """Where Genius is, and who asks."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    access_token: SecretStr | None = secret_from("GENIUS_ACCESS_TOKEN")
    api_root: str = "https://api.genius.com/"
    public_api_root: str = "https://genius.com/api/"
    web_root: str = "https://genius.com/"
    # The API states no limit; pages are block-prone beyond about one a second (issues of lyricsgenius and spotDL).
    policy: PolicySettings = PolicySettings(requests_per_second=1.0, hosts=(".genius.com",))


def connect(*, policy: Policy | Mapping[str, Any] | None = None, **settings: Any) -> "Genius":
    """Genius with these settings; without a policy it makes its own."""
    return Genius(*settled(GeniusSettings, policy, settings))


class Genius:
    """Entities: `search` (key: the words), `song` (key: the id), `page` (key: the path on genius.com)."""

    name: ClassVar[str] = "genius"
    entities: ClassVar[frozenset[str]] = frozenset({"search", "song", "page"})
    models: ClassVar[Mapping[str, type[BaseModel]]] = {"search": Search, "song": Song, "page": SongPage}

    def __init__(self, settings: GeniusSettings, policy: Policy | None = None) -> None:
        token = settings.access_token.get_secret_value() if settings.access_token else ""
        self._settings, self._has_token = settings, bool(token)
        self._policy = policy or Policy(self.name, settings.policy, secrets=[token] if token else [])
        # The policy waits between requests, tries again and counts; the library does none of it.
        client: Any = lyricsgenius.Genius(
            token or "none", sleep_time=0, retries=0, timeout=round(settings.policy.timeout_s)
        )
        client.API_ROOT, client.PUBLIC_API_ROOT = settings.api_root, settings.public_api_root
        client.WEB_ROOT = settings.web_root
        # Its only seams are private: `_session` here, `_make_request` for pages (`lyrics()` drops what it read).
        session: requests.Session = client._session
        session.mount("https://", self._policy.adapter())
        session.mount("http://", self._policy.adapter())
        session.trust_env = False  # a proxy is a setting of the policy
        session.hooks["response"].append(_as_utf8)
        self._client = client

    def questions(self, wanted: Wanted) -> tuple[Request, ...]:
        """The id where it is known; else title and artist, then the bare title and artist."""
        if known := wanted.ids.get("genius"):
            return (Request(entity="song", key=known),)
        if not wanted.title.strip() or not wanted.creators:
            return ()
        bare = _EXTRAS.sub("", wanted.title).strip() or wanted.title
        words = dict.fromkeys(" ".join(f"{title} {wanted.creators[0]}".split()) for title in (wanted.title, bare))
        return tuple(Request(entity="search", key=query) for query in words)

    def lookup(self, request: Request) -> Record:
        """The answer as received: the API's without its envelope, a page as `{"html": ...}`.

        Raises:
            ConnectorError: As `LiveConnector.lookup`; `BlockedPage` where robots are kept out.
            ValueError: Genius is not asked for such an entity.
        """
        ask, path = self._question(request)
        url = self._policy.redact(path)
        if request.entity != "page" and not self._has_token:
            raise AuthError("genius: no access token; set GENIUS_ACCESS_TOKEN", source=self.name, url=url)
        payload = self._said(ask, url)
        if request.entity == "page":
            _check_page(payload["html"], url)
        return Record(entity=request.entity, source_id=request.key, payload=payload, url=url, fetched_at=clock.now())

    def candidates(self, entity: str, payload: Mapping[str, Any]) -> list[Candidate]:
        """The songs of an answer; one that lacks an id, a title or an address is left out.

        Raises:
            SchemaDrift: The answer has no list of hits, or all of them lack that.
        """
        said = payload.get("response", payload)
        if not isinstance(said, Mapping):
            raise SchemaDrift(f"genius: an answer to '{entity}' that is no object", source=self.name)
        if entity == "song":
            return offered(self.name, entity, [said.get("song")], _candidate)
        return offered(self.name, entity, said.get("hits"), _of_hit)

    def request_from(self, entity: str, payload: Mapping[str, Any]) -> Request:
        """The page of a `song` answer.

        Raises:
            SchemaDrift: The song does not say where its page is.
            ValueError: No other entity is found by way of an answer.
        """
        if entity != "page":
            raise ValueError(f"genius: '{entity}' is not asked for by way of another answer")
        said = payload.get("response", payload)
        song = said.get("song", said)
        place = song.get("path") or str(song.get("url") or "").removeprefix(self._settings.web_root)
        if not place:
            raise SchemaDrift("genius: a song without `path` and `url`", source=self.name)
        return page_request(place)

    def pages(self, entity: str, *, keys: Sequence[Any] | None = None, cursor: str | None = None) -> Iterator[Page]:
        """Nothing: Genius is asked one question at a time."""
        raise ValueError(f"genius: '{entity}' has no pages; ask with `lookup`")

    def close(self) -> None:
        """Give back the connections."""
        self._client._session.close()
        self._policy.close()

    def _question(self, request: Request) -> tuple[Callable[[], Any], str]:
        match request.entity:
            case "search":
                url = f"{self._settings.api_root}search?{urlencode({'q': request.key})}"
                return lambda: self._client.search_songs(request.key), url
            case "song":
                if not request.key.isdigit():
                    raise ValueError(f"genius: a song's id is a number; got '{request.key}'")
                return lambda: self._client.song(
                    int(request.key)
                ), f"{self._settings.api_root}songs/{request.key}{_PLAIN}"
            case "page":
                path = urlsplit(request.key).path.lstrip("/")
                return lambda: self._client._make_request(path, web=True), self._settings.web_root + path
            case other:
                known = ", ".join(sorted(self.entities))
                raise ValueError(f"genius: unknown entity '{other}'; known: {known}")

    def _said(self, ask: Callable[[], Any], url: str) -> Mapping[str, Any]:
        """What the library gives; its own errors hold bodies and headers, so none of their words are kept."""
        try:
            payload = ask()
        except requests.Timeout:
            raise TransientError("genius: no answer in time", source=self.name, url=url) from None
        except requests.ConnectionError:
            raise TransientError("genius: the connection broke", source=self.name, url=url) from None
        except AssertionError as exc:  # any status but 200, where the adapter let it through
            found = _STATUS.search(str(exc))
            said = f"genius: unexpected status {found[1] if found else 'unknown'}"
            raise PermanentError(said, source=self.name, url=url, status=int(found[1]) if found else None) from None
        except ValueError:
            raise SchemaDrift("genius: the answer is no JSON", source=self.name, url=url) from None
        if not isinstance(payload, Mapping):
            raise SchemaDrift("genius: the answer is no object", source=self.name, url=url)
        return payload


def page_request(url: str) -> Request:
    """The question for the lyrics page of a song, by its address or path.

    >>> page_request("https://genius.com/Ann-song-lyrics").key
    'Ann-song-lyrics'
    """
    return Request(entity="page", key=urlsplit(url).path.lstrip("/"))


def placeholder_of(payload: Mapping[str, Any]) -> State | None:
    """What the song's own record says of its words, so that its page need not be asked; None: words may be there.

    Accepts a `song` answer or the `result` of a hit.
    """
    said = payload.get("response", payload)
    song = said.get("song", said)
    if song.get("instrumental") or song.get("lyrics_placeholder_reason") == "instrumental":
        return "instrumental"
    if song.get("lyrics_placeholder_reason") or song.get("lyrics_state") == "unreleased":
        return "untranscribed"
    return None


def _as_utf8(response: requests.Response, *_: Any, **__: Any) -> None:
    # requests takes a page without a charset for Latin-1; Genius writes UTF-8.
    if "charset" not in response.headers.get("Content-Type", "").lower():
        response.encoding = "utf-8"


def _check_page(html: str, url: str) -> None:
    if not is_song_page(html) or is_blocked(html):
        raise BlockedPage("genius: a page that is no song page of theirs came", source="genius", url=url, status=200)
    if "</html>" not in html[-2_000:].lower():
        raise TransientError("genius: the page was cut short", source="genius", url=url, status=200)


def _of_hit(hit: Any) -> Candidate | None:
    return _candidate(hit["result"]) if hit.get("type", "song") == "song" else None


def _candidate(song: Any) -> Candidate:
    makers = song.get("primary_artists") or [song.get("primary_artist") or {}]
    names = [artist.get("name") for artist in [*makers, *(song.get("featured_artists") or [])]]
    released = song.get("release_date_components") or {}
    return Candidate.of(
        {
            "id": str(song["id"]),
            "title": song["title"],
            "artists": list(dict.fromkeys(name for name in names if name)),
            "album": (song.get("album") or {}).get("name"),
            "year": released.get("year") or _year(song.get("release_date")),
            "kind": "song",
            "views": (song.get("stats") or {}).get("pageviews"),
            "url": song["url"],
        }
    )


def _year(date: str | None) -> int | None:
    return int(date[:4]) if date and re.match(r"\d{4}", date) else None
