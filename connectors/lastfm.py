"""Last.fm through pylast: users' histories and profiles, tracks with their tags, charts."""

# Annotations stay text: pylast and pyarrow are imported at their first use.
from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote_plus, urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from connectors.base import Page, Record, Reject, Request, Wanted, event_schema
from connectors.candidates import Candidate
from connectors.errors import AuthError, BlockedPage, ConnectorError, NotFound, SchemaDrift, TransientError
from connectors.http import Policy, PolicySettings
from connectors.lastfm_answers import (
    ANSWERS,
    Payload,
    body_of,
    candidate_of,
    error_in,
    error_of,
    judge,
    listed,
    name_of,
    names_of,
    number_of,
    object_of,
    track_path,
)
from connectors.live import secret_from, settled
from connectors.matching import without_guests
from connectors.rows import printable
from storage import clock
from storage.lazy import pa
from storage.reasons import Reason

if TYPE_CHECKING:
    from connectors.base import LiveConnector

METHODS = {
    "track_info": "track.getInfo",
    "track_tags": "track.getTopTags",
    "artist_tags": "artist.getTopTags",
    "user": "user.getInfo",
    "plays": "user.getRecentTracks",
    "chart": "chart.getTopTracks",
}
PAGE_LIMIT = 200  # tracks per page; more is cut to 200 (API reference of user.getRecentTracks, 2026-11)
FIRST_PLAY = int(datetime(2002, 1, 1, tzinfo=UTC).timestamp())  # Last.fm opened in 2002; some players send 1970
_MOST_PLAYS = (1 << 20) - 1  # of one user, in an event's `line`
_READ = ("artist", "name")
_OF_ONE_PLAY = ("date", "@attr", "loved")


class LastfmSettings(BaseModel):
    """How Last.fm is asked; a key that is not given comes from LASTFM_API_KEY."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    endpoint: str = Field(default="https://ws.audioscrobbler.com/2.0/", pattern="^https://")  # pylast speaks TLS only
    api_key: SecretStr | None = secret_from("LASTFM_API_KEY")
    page_limit: int = Field(default=PAGE_LIMIT, ge=1, le=PAGE_LIMIT)
    profiles: bool = True  # ask for each user's country and gender, too, where a history begins
    chart_tracks: int = Field(default=1_000, ge=1)  # how far down the chart `pages("chart")` reads
    # "5 requests per originating IP address per second, averaged over a 5 minute period" (API terms, 4.4)
    policy: PolicySettings = PolicySettings(requests_per_second=5, hosts=("lastfm.freetls.fastly.net",))


def connect(*, policy: Policy | Mapping[str, Any] | None = None, **settings: Any) -> LiveConnector:
    """Last.fm as the settings say.

    Raises:
        ValueError: A setting is unknown or out of range.
    """
    return Lastfm(*settled(LastfmSettings, policy, settings))


class Lastfm:
    """Answers of the web service.

    A track's id is its path, `Artist+Name/_/Track+Name`, as in `lastfm_1k`. MBIDs are no ids here: asked for one,
    Last.fm answers with a track of another MBID (8e99ebff... gave 8890857b..., recorded 2025-11-23).

    `pages("plays", keys=users)` reads profiles and histories, from the newest play back to the oldest; a key may be a
    `Request` whose `params["from"]` (UTC seconds) says up to when the last reading went. What is read of each user is
    fixed by the time at which it began, half open: from <= play < to; it is part of the cursor, so that plays made
    meanwhile shift nothing. An event's `line` grows with time, also among plays of one second. `pages("chart")` reads
    the chart of now.
    """

    name: ClassVar[str] = "lastfm"
    entities: ClassVar[frozenset[str]] = frozenset(METHODS)
    models: ClassVar[Mapping[str, type[BaseModel]]] = ANSWERS

    def __init__(self, settings: LastfmSettings, policy: Policy | None = None) -> None:
        """Nothing is asked, and no key is needed, before the first look-up."""
        self.settings = settings
        secrets = [settings.api_key.get_secret_value()] if settings.api_key else []
        self.policy = policy or Policy(self.name, settings.policy, secrets=secrets, judge=judge)
        self._pylast: Any = None

    def questions(self, wanted: Wanted) -> tuple[Request, ...]:
        """The track by its artist and title, then by both without guests; Last.fm corrects known misspellings."""
        if not wanted.title or not wanted.creators:
            return ()
        artist, title = wanted.creators[0], wanted.title
        paths = dict.fromkeys((track_path(artist, title), track_path(without_guests(artist), without_guests(title))))
        return tuple(Request(entity="track_info", key=path, params={"autocorrect": "1"}) for path in paths)

    def lookup(self, request: Request) -> Record:
        """The answer as received (XML in the form of Last.fm's JSON); see `LiveConnector`.

        The key is a track's path (`track_info`, `track_tags`), an artist's quoted name (`artist_tags`), a user's name
        (`user`, `plays`) or a page (`chart`); `params` go along as they are.
        """
        if request.entity not in METHODS:
            raise ValueError(f"lastfm: unknown entity '{request.entity}'; known: {', '.join(sorted(METHODS))}")
        return self._ask(request, _params(request) | dict(request.params))

    def candidates(self, entity: str, payload: Payload) -> list[Candidate]:
        """The track of track.getInfo; the other answers offer nothing.

        Raises:
            SchemaDrift: It has no names.
        """
        if entity != "track_info":
            return []
        found = candidate_of(object_of(payload.get("track")))
        if found is None:
            raise SchemaDrift("lastfm: track.getInfo's answer has no 'track.name' or 'track.artist'", source=self.name)
        return [found]

    def request_from(self, entity: str, payload: Payload) -> Request:
        """Nothing is asked by way of another answer."""
        raise ValueError(f"lastfm: '{entity}' is asked for by its id")

    def pages(
        self, entity: str, *, keys: Sequence[str | Request] | None = None, cursor: str | None = None
    ) -> Iterator[Page]:
        """Pages of `plays` or `chart` from `cursor` on; a user who is not there, or keeps it private, is a reject.

        Raises:
            ValueError: `entity` cannot be read by pages.
        """
        if entity == "plays":
            return self._histories(keys or (), cursor)
        if entity == "chart":
            return self._chart(int(cursor or 1))
        raise ValueError(f"lastfm: '{entity}' has no pages; known: chart, plays")

    def close(self) -> None:
        """Give back the connections."""
        self.policy.close()

    # --- many answers

    def _histories(self, keys: Sequence[str | Request], cursor: str | None) -> Iterator[Page]:
        """The cursor is `index in keys/to/page`."""
        index, to, number = map(int, (cursor or "0/0/1").split("/"))
        window: _Window | None = None
        while index < len(keys):
            key = keys[index]
            user = key if isinstance(key, Request) else Request(entity="plays", key=key)
            window = window or _Window(user.key, number_of(user.params.get("from")), to or int(time.time()))
            page, more = self._plays(window, number)
            index, to, number = (index, window.to, number + 1) if more else (index + 1, 0, 1)
            window = window if more else None
            yield replace(page, cursor=f"{index}/{to}/{number}" if index < len(keys) else None)

    def _plays(self, window: _Window, number: int) -> tuple[Page, bool]:
        """One page of a history, and whether there is another."""
        asked = {"page": str(number), "limit": str(self.settings.page_limit), "to": str(window.to)}
        if window.since:
            asked["from"] = str(window.since - 1)  # "only after this time": one second earlier is right either way
        profile: tuple[Record, ...] = ()
        try:
            if number == 1 and self.settings.profiles:
                profile = (self.lookup(Request(entity="user", key=window.user)),)
            record = self.lookup(Request(entity="plays", key=window.user, params=asked))
        except NotFound as exc:
            if number > 1:  # "no such page": plays were deleted meanwhile
                return Page(), False
            return Page(records=profile, rejects=(_refused(window.user, 0, Reason.NOT_FOUND, str(exc)),)), False
        said = object_of(record.payload.get("recenttracks"))
        record = replace(record, source_id=f"{window.user}/{window.to}/{number}")
        more = bool(listed(said.get("track"))) and number < number_of(object_of(said.get("@attr")).get("totalPages"))
        if gone := [name for name in _READ if any(name not in entry for entry in listed(said.get("track")))]:
            # Were it only refused, the plays would count as read.
            raise SchemaDrift(f"lastfm: plays of {window.user} lack '{gone[0]}'", source=self.name, url=record.url)
        page = window.page(record, said, number)
        return replace(page, records=(*profile, *page.records)), more

    def _chart(self, number: int) -> Iterator[Page]:
        """The cursor is the number of the next page."""
        while True:
            limit = min(self.settings.page_limit, self.settings.chart_tracks)
            record = self.lookup(Request(entity="chart", key=str(number), params={"limit": str(limit)}))
            said = object_of(record.payload.get("tracks"))
            tracks = listed(said.get("track"))
            pages = number_of(object_of(said.get("@attr")).get("totalPages"))
            more = bool(tracks) and number < pages and number * limit < self.settings.chart_tracks
            yield Page(records=(record, *_tracks(record, tracks)), cursor=str(number + 1) if more else None)
            if not more:
                return
            number += 1

    # --- asking

    def _ask(self, request: Request, params: Mapping[str, str]) -> Record:
        method = METHODS[request.entity]
        url = self.policy.redact(
            f"{self.settings.endpoint}?{urlencode({'method': method, **params, 'format': 'json'})}"
        )
        body = self._body(method, params, url)
        if found := error_in(body):
            raise error_of(*found, method, url)
        return Record(entity=request.entity, source_id=request.key, payload=body, url=url, fetched_at=clock.now())

    def _body(self, method: str, params: Mapping[str, str], url: str) -> dict[str, Any]:
        """The answer, parsed.

        `_download_response` is the lowest step of pylast that gives the body as it came; everything above it keeps a
        few fields in objects, or gives a DOM in which control characters were replaced. JSON is asked for, which needs
        no conversion; a server that answers in XML all the same is understood, too.
        """
        network = self._network()
        try:
            text = _question(network, method, {**params, "format": "json"}, url)
        except UnicodeDecodeError as exc:
            raise TransientError(f"lastfm: {method} answered with broken text", source=self.name, url=url) from exc
        try:
            return body_of(text)
        except (ValueError, RecursionError) as exc:
            if text.lstrip().lower().startswith(("<!doctype html", "<html")):
                raise BlockedPage(
                    f"lastfm: {method} answered with a web page in place of data", source=self.name, url=url
                ) from None
            raise TransientError(
                f"lastfm: {method} answered with {len(text)} characters that are neither JSON nor XML of Last.fm's; "
                "it was cut, or a proxy answered",
                source=self.name,
                url=url,
            ) from exc

    def _network(self) -> Any:
        if self._pylast is not None:
            return self._pylast
        if not self.settings.api_key:
            raise AuthError("lastfm: no key; set LASTFM_API_KEY (www.last.fm/api/account/create)", source=self.name)
        for noisy in ("httpx2", "pylast"):  # httpx2 prints every URL at INFO, pylast every answer at DEBUG
            logging.getLogger(noisy).setLevel(logging.WARNING)
        network = _network_type()(api_key=self.settings.api_key.get_secret_value())
        server = urlsplit(self.settings.endpoint)
        network.ws_server = (server.netloc, server.path)
        # "https://" as a key of mounts: everything goes through our transport, with no proxy in between. Where NO_PROXY
        # names the host (Prefect's server has 127.0.0.1 there), httpx2 mounts its own for it, and would pass ours by
        # (seen 2026-11): the host's own keys, in all spellings of NO_PROXY, stand before that.
        host, transport = server.hostname, self.policy.transport()
        keys = ("https://", f"https://{server.netloc}", f"all://{host}", f"all://*{host}")
        network.proxy = dict.fromkeys(keys, transport)
        self._pylast = network
        return network


class _Window:
    """The plays of one user from `since` on, before `to`; UTC seconds."""

    def __init__(self, user: str, since: int, to: int) -> None:
        self.user, self.since, self.to = user, since, to
        self._lines: set[int] = set()  # of the plays that were read

    def page(self, record: Record, said: Payload, number: int) -> Page:
        """Events and tracks of one answer."""
        totals = object_of(said.get("@attr"))
        newer = (number - 1) * (number_of(totals.get("perPage")) or PAGE_LIMIT)  # plays on the pages before
        events: list[dict[str, Any]] = []
        rejects: list[Reject] = []
        played: list[Payload] = []
        for entry in listed(said.get("track")):
            date = object_of(entry.get("date"))
            if not date:  # it is playing now
                continue
            rank = (number_of(totals.get("total")) or _MOST_PLAYS) - newer
            newer += 1
            at = number_of(date.get("uts"))
            if at >= FIRST_PLAY and not self.since <= at < self.to:
                continue
            artist, title = name_of(entry.get("artist")), name_of(entry)
            # The oldest play of a window has rank 1, so plays of one second keep their order, on every reading alike.
            line = at << 20 | rank & _MOST_PLAYS
            if line in self._lines:
                continue  # plays sent late, as by a player that was offline, have pushed this one onto a further page
            self._lines.add(line)
            if fault := _fault(at, artist, title):
                rejects.append(_refused(self.user, line, Reason.BAD_VALUE, fault, f"{at} {artist} - {title}"))
                continue
            played.append(entry)
            events.append(
                {
                    "user": self.user,
                    "item": track_path(artist, title),
                    "kind": "play",
                    "at": datetime.fromtimestamp(at, UTC),
                    "line": line,
                }
            )
        table = pa.Table.from_pylist(events, schema=event_schema())
        return Page(records=(record, *_tracks(record, played)), events=table, rejects=tuple(rejects))


def _fault(at: int, artist: str, title: str) -> str | None:
    if at < FIRST_PLAY:
        return "timestamp before 2002"
    return None if artist and title else "artist or track name is empty"


def _refused(user: str, line: int, reason: Reason, detail: str, text: str = "") -> Reject:
    return Reject(file=user, line=line, reason=reason, detail=detail, text=printable(text)[:500])


def _tracks(page: Record, entries: Sequence[Payload]) -> list[Record]:
    """Each track of a page once, as the page describes it, without what belongs to one play."""
    found: dict[str, Record] = {}
    for entry in entries:
        artist, title = name_of(entry.get("artist")), name_of(entry)
        path = track_path(artist, title)
        if artist and title and path not in found:
            said = {name: value for name, value in entry.items() if name not in _OF_ONE_PLAY}
            found[path] = replace(page, entity="track", source_id=path, payload=said)
    return list(found.values())


def _params(request: Request) -> dict[str, str]:
    """What the key of a request says, in the method's parameters."""
    if request.entity in ("track_info", "track_tags"):
        artist, track = names_of(request.key)
        return {"artist": artist, "track": track}
    if request.entity == "artist_tags":
        return {"artist": unquote_plus(request.key)}
    return {"page" if request.entity == "chart" else "user": request.key}


@cache
def _network_type() -> Any:
    from pylast import LastFMNetwork

    class Network(LastFMNetwork):
        def __repr__(self) -> str:
            return "Last.fm"  # pylast's shows the key, in whatever shows variables: a traceback, a debugger

    return Network


@cache
def _question_type() -> Any:
    import pylast

    class Question(pylast._Request):  # pyright: ignore[reportPrivateUsage] # nothing public gives the body
        def _check_response_for_errors(self, response: str) -> None:
            """Left to `body_of`: this one parses XML only, and fails with an IndexError on a web page that is XML."""

    return Question


def _question(network: Any, method: str, params: Mapping[str, str], url: str) -> str:
    """The body of an answer.

    Raises:
        ConnectorError: What the policy raised, which pylast wraps, or an HTTP status 5xx.
    """
    import pylast

    try:
        return _question_type()(network, method, params)._download_response()
    except pylast.NetworkError as exc:
        if isinstance(error := exc.underlying_error, ConnectorError):
            error.url = url  # which names the method; what was asked travelled in a form
            raise error from None
        kind = type(exc.underlying_error).__name__
        raise TransientError(f"lastfm: {method} got no answer ({kind})", source="lastfm", url=url) from None
    except pylast.WSError as exc:
        raise TransientError(f"lastfm: {method} answered status {exc.status}", source="lastfm", url=url) from None
