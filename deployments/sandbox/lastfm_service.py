"""Last.fm's web services 2.0, in XML and JSON, with error codes inside HTTP 200, 400, 403 and 404."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from deployments.sandbox.lastfm_xml import xml, xml_error
from deployments.sandbox.protocol import Answer, Ask, unknown_key
from deployments.sandbox.search import Index
from deployments.sandbox.tables import FanRow, LastfmTrackRow, read_table

SIZES = {"small": "34s", "medium": "64s", "large": "174s", "extralarge": "300x300"}
MOST = 200  # tracks on a page; 1000 are allowed, and pylast asks for 1000
_REFUSED = {429: (29, "Rate Limit Exceeded - Your IP has made too many requests in a short period"),
            500: (8, "Operation failed - Most likely the backend service failed. Please try again."),
            502: (8, "Operation failed - Most likely the backend service failed. Please try again."),
            503: (16, "The service is temporarily unavailable, please try again.")}  # fmt: skip


class LastfmService:
    """The sandbox's Last.fm."""

    name = "lastfm"
    drifting: tuple[str, ...] = ("artist", "playcount", "toptags")

    def __init__(self, world: Path) -> None:
        self._tracks = read_table(world, "lastfm_tracks", LastfmTrackRow)
        self._fans = {row.name.lower(): row for row in read_table(world, "fans", FanRow)}
        self._by_name = {(row.artist.lower(), row.title.lower()): row for row in self._tracks}
        self._by_mbid = {row.mbid: row for row in self._tracks if row.mbid}
        self._of_artist: dict[str, list[LastfmTrackRow]] = {}
        for row in self._tracks:
            self._of_artist.setdefault(row.artist.lower(), []).append(row)
        self._chart = sorted(self._tracks, key=lambda row: (-row.playcount, row.artist, row.title))
        most = max((row.playcount for row in self._tracks), default=1)
        self._index = Index(
            (f"{row.artist} {row.title}" for row in self._tracks), (row.playcount / most for row in self._tracks)
        )
        self._methods: dict[str, Callable[[Ask], Answer]] = {
            "user.getinfo": self._user,
            "user.getrecenttracks": self._recent,
            "track.getinfo": self._track,
            "track.gettoptags": self._track_tags,
            "track.search": self._search,
            "artist.getinfo": self._artist,
            "artist.gettoptags": self._artist_tags,
            "chart.gettoptracks": self._top_tracks,
            "chart.gettopartists": self._top_artists,
        }

    def label(self, ask: Ask) -> str:
        """The method."""
        method = ask.query.get("method", "").lower()
        return method if method in self._methods else "unknown"

    def credential(self, ask: Ask) -> str:
        """The API key."""
        return ask.query.get("api_key", "")

    def refuse(self, ask: Ask, status: int, headers: Mapping[str, str]) -> Answer:
        """An error with Last.fm's code."""
        code, message = _REFUSED.get(status, (8, "Operation failed"))
        return error(ask, code, message, status, headers=headers)

    def answer(self, ask: Ask) -> Answer:
        """One method's answer."""
        if ask.path.rstrip("/") != "/2.0":
            return Answer(status=404, body=b"Not Found", kind="text/plain")
        if unknown_key(self.credential(ask)):
            return error(ask, 10, "Invalid API key - You must be granted a valid key by last.fm", 403)
        method = self._methods.get(ask.query.get("method", "").lower())
        if method is None:
            return error(ask, 3, "Invalid Method - No method with that name in this package", 400)
        return method(ask)

    # --- users

    def _fan(self, ask: Ask) -> FanRow | None:
        return self._fans.get((ask.query.get("user") or ask.query.get("username") or "").lower())

    def _user(self, ask: Ask) -> Answer:
        fan = self._fan(ask)
        if fan is None:
            return error(ask, 6, "User not found", 404)
        played = [self._tracks[track] for _, track in fan.plays]
        said = {
            "name": fan.name,
            "age": str(fan.age),
            "subscriber": "0",
            "realname": fan.realname,
            "bootstrap": "0",
            "playcount": str(len(played)),
            "artist_count": str(len({row.artist for row in played})),
            "playlists": "0",
            "track_count": str(len({(row.artist, row.title) for row in played})),
            "album_count": str(len({row.album for row in played if row.album})),
            "image": [{"size": size, "#text": ""} for size in SIZES],
            "registered": {"unixtime": str(fan.registered), "#text": fan.registered},
            "country": fan.country,
            "gender": fan.gender,
            "url": f"https://www.last.fm/user/{quote_plus(fan.name)}",
            "type": "user",
        }
        return _said(ask, {"user": said})

    def _recent(self, ask: Ask) -> Answer:
        fan = self._fan(ask)
        limit, page = ask.number("limit", 50), ask.number("page", 1)
        if fan is None:
            return error(ask, 6, "User not found", 404)
        if fan.private:
            return error(ask, 17, "Login: User required to be logged in", 403)
        if limit is None or not 1 <= limit <= 1000:
            return error(ask, 6, "limit param out of bounds (1-1000)", 400)
        if page is None or not 1 <= page <= 1_000_000:
            return error(ask, 6, "page param out of bounds (1-1000000)", 400)
        limit = min(limit, MOST)
        first, last = ask.number("from", 0) or 0, ask.number("to", 1 << 40) or 1 << 40
        plays = [play for play in fan.plays if first <= play[0] <= last]
        pages = -(-len(plays) // limit)
        if page > max(pages, 1):
            return error(ask, 6, "no such page", 400)
        shown = plays[limit * (page - 1) : limit * page]
        tracks = [self._played(ask, track, at) for at, track in shown]
        if fan.playing is not None and page == 1 and "to" not in ask.query:
            tracks.insert(0, self._played(ask, fan.playing, None))  # has no date, and counts for no total
        about = {"user": fan.name, "page": str(page), "perPage": str(limit), "totalPages": str(pages)}
        return _said(ask, {"recenttracks": {"track": tracks, "@attr": {**about, "total": str(len(plays))}}})

    def _played(self, ask: Ask, track: int, at: int | None) -> dict[str, Any]:
        row = self._tracks[track]
        artist: dict[str, Any] = {"mbid": row.artist_mbid, "#text": row.artist}
        if ask.query.get("extended") == "1":
            artist = {"url": _url(row.artist), "name": row.artist, "image": _images("", ask), "mbid": row.artist_mbid}
        said: dict[str, Any] = {
            "artist": artist,
            "streamable": "0",
            "image": _images(row.picture if row.album else "", ask),
            "mbid": row.mbid,
            "album": {"mbid": "", "#text": row.album},
            "name": row.title,
            "url": _url(row.artist, row.title),
        }
        if ask.query.get("extended") == "1":
            said["loved"] = "0"
        if at is None:
            return {**said, "@attr": {"nowplaying": "true"}}
        return {**said, "date": {"uts": str(at), "#text": f"{datetime.fromtimestamp(at, UTC):%d %b %Y, %H:%M}"}}

    # --- tracks and artists

    def _asked_track(self, ask: Ask) -> LastfmTrackRow | None:
        found = self._by_mbid.get(ask.query.get("mbid", ""))
        name = (ask.query.get("artist", "").lower(), ask.query.get("track", "").lower())
        found = found or self._by_name.get(name)
        if ask.wrong and found is not None:
            return self._tracks[(self._tracks.index(found) + 1) % len(self._tracks)]
        return found

    def _track(self, ask: Ask) -> Answer:
        row = self._asked_track(ask)
        if row is None:
            return error(ask, 6, "Track not found", 200)
        said: dict[str, Any] = {
            "name": row.title,
            **({"mbid": row.mbid} if row.mbid else {}),
            "url": _url(row.artist, row.title),
            "duration": str(row.duration_ms),
            "streamable": {"#text": "0", "fulltrack": "0"},
            "listeners": str(row.listeners),
            "playcount": str(row.playcount),
            "artist": self._artist_short(row),
        }
        if row.album:
            album = {"artist": row.artist, "title": row.album, "url": _url(row.artist, row.album, sign="")}
            said["album"] = {**album, "image": _images(row.picture, ask)}
        if ask.query.get("username"):
            said |= {"userplaycount": "0", "userloved": "0"}
        said["toptags"] = {"tag": [{"name": name, "url": _tag(name)} for name, _ in row.tags[:5]]}
        return _said(ask, {"track": said})

    def _artist_short(self, row: LastfmTrackRow) -> dict[str, Any]:
        mbid = {"mbid": row.artist_mbid} if row.artist_mbid else {}
        return {"name": row.artist, **mbid, "url": _url(row.artist)}

    def _track_tags(self, ask: Ask) -> Answer:
        row = self._asked_track(ask)
        if row is None:
            return error(ask, 6, "Track not found", 200)
        return _said(ask, _tags(row.tags, {"artist": row.artist, "track": row.title}))

    def _search(self, ask: Ask) -> Answer:
        words = f"{ask.query.get('artist', '')} {ask.query.get('track', '')}"
        limit, page = ask.number("limit", 30) or 30, ask.number("page", 1) or 1
        found = self._index.find(words, least=0.5)
        rows = [self._tracks[place] for place in found[limit * (page - 1) : limit * page]]
        matches = [
            {
                "name": row.title,
                "artist": row.artist,
                "url": _url(row.artist, row.title),
                "streamable": "FIXME",  # what Last.fm really says there
                "listeners": str(row.listeners),
                "image": _images("", ask),
                "mbid": row.mbid,
            }
            for row in rows
        ]
        about = {
            "opensearch:Query": {"#text": "", "role": "request", "startPage": str(page)},
            "opensearch:totalResults": str(len(found)),
            "opensearch:startIndex": str(limit * (page - 1)),
            "opensearch:itemsPerPage": str(limit),
        }
        return _said(ask, {"results": {**about, "trackmatches": {"track": matches}, "@attr": {}}})

    def _artist_tracks(self, ask: Ask) -> list[LastfmTrackRow]:
        return self._of_artist.get(ask.query.get("artist", "").lower(), [])

    def _artist(self, ask: Ask) -> Answer:
        rows = self._artist_tracks(ask)
        if not rows:
            return error(ask, 6, "The artist you supplied could not be found", 404)
        names = list(dict.fromkeys(name for row in rows for name, _ in row.tags))[:5]
        url = _url(rows[0].artist)
        counts = {"listeners": str(max(row.listeners for row in rows)), "playcount": str(_plays(rows))}
        if ask.query.get("username"):
            counts["userplaycount"] = "0"
        link = {"#text": "", "rel": "original", "href": f"{url}/+wiki"}
        said = {
            **self._artist_short(rows[0]),
            "image": _images("", ask, "mega", ""),
            "streamable": "0",
            "ontour": "0",
            "stats": counts,
            "similar": {"artist": []},
            "tags": {"tag": [{"name": name, "url": _tag(name)} for name in names]},
            "bio": {"links": {"link": link}, "published": "01 Jan 1970, 00:00", "summary": "", "content": ""},
        }
        return _said(ask, {"artist": said})

    def _artist_tags(self, ask: Ask) -> Answer:
        rows = self._artist_tracks(ask)
        if not rows:
            return error(ask, 6, "The artist you supplied could not be found", 200)
        best: dict[str, int] = {}
        for row in rows:
            for name, count in row.tags:
                best[name] = max(count, best.get(name, 0))
        tags = sorted(best.items(), key=lambda tag: (-tag[1], tag[0]))
        return _said(ask, _tags(tags, {"artist": rows[0].artist}))

    # --- charts

    def _top_tracks(self, ask: Ask) -> Answer:
        def told(row: LastfmTrackRow) -> dict[str, Any]:
            return {
                "name": row.title,
                "duration": "0",
                "playcount": str(row.playcount),
                "listeners": str(row.listeners),
                "mbid": row.mbid,
                "url": _url(row.artist, row.title),
                "streamable": {"#text": "0", "fulltrack": "0"},
                "artist": {"name": row.artist, "mbid": row.artist_mbid, "url": _url(row.artist)},
                "image": _images("", ask),
            }

        return _chart(ask, "tracks", "track", self._chart, told)

    def _top_artists(self, ask: Ask) -> Answer:
        def told(rows: Sequence[LastfmTrackRow]) -> dict[str, Any]:
            return {
                "name": rows[0].artist,
                "playcount": str(_plays(rows)),
                "listeners": str(max(row.listeners for row in rows)),
                "mbid": rows[0].artist_mbid,
                "url": _url(rows[0].artist),
                "streamable": "0",
                "image": _images("", ask, "mega"),
            }

        every = sorted(self._of_artist.values(), key=lambda rows: (-_plays(rows), rows[0].artist))
        return _chart(ask, "artists", "artist", every, told)


def _chart(ask: Ask, outer: str, inner: str, every: Sequence[Any], told: Callable[[Any], dict[str, Any]]) -> Answer:
    limit, page = ask.number("limit", 50), ask.number("page", 1)
    if limit is None or page is None or limit < 1 or page < 1:
        return error(ask, 6, "page param out of bounds (1-1000000)", 400)
    shown = [told(row) for row in every[limit * (page - 1) : limit * page]]
    about = {"page": str(page), "perPage": str(limit), "totalPages": str(-(-len(every) // limit))}
    return _said(ask, {outer: {inner: shown, "@attr": {**about, "total": str(len(every))}}})


def _plays(rows: Sequence[LastfmTrackRow]) -> int:
    return sum(row.playcount for row in rows)


def _said(ask: Ask, payload: dict[str, Any]) -> Answer:
    if ask.query.get("format") == "json":
        return Answer(payload=payload)
    return Answer(payload=payload, render=xml, kind="text/xml; charset=UTF-8")


def error(ask: Ask, code: int, message: str, status: int, *, headers: Mapping[str, str] | None = None) -> Answer:
    """An error as Last.fm writes it, in the format that was asked for."""
    if ask.query.get("format") == "json":
        said: dict[str, Any] = {"error": code, "message": message, **({"links": []} if status == 200 else {})}
        return Answer(status=status, payload=said, headers=headers or {})
    return Answer(status=status, body=xml_error(code, message), kind="text/xml; charset=UTF-8", headers=headers or {})


def _tags(tags: Sequence[tuple[str, int]], about: dict[str, str]) -> dict[str, Any]:
    return {"toptags": {"tag": [{"count": n, "name": name, "url": _tag(name)} for name, n in tags], "@attr": about}}


def _tag(name: str) -> str:
    return f"https://www.last.fm/tag/{quote_plus(name)}"


def _url(artist: str, title: str = "", *, sign: str = "_/") -> str:
    rest = f"/{sign}{quote_plus(title)}" if title else ""
    return f"https://www.last.fm/music/{quote_plus(artist)}{rest}"


def _images(picture: str, ask: Ask, *others: str) -> list[dict[str, str]]:
    """Links to a picture in all sizes; empty without one."""
    host = f"{ask.root}/media/lastfm.freetls.fastly.net/i/u"
    sizes = {**SIZES, **dict.fromkeys(others, "300x300")}
    return [{"size": size, "#text": f"{host}/{name}/{picture}.jpg" if picture else ""} for size, name in sizes.items()]
