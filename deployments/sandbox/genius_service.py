"""Genius: its API beneath `/api/`, its web pages and public API beneath `/web/`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployments.sandbox.genius_json import GeniusCatalogue
from deployments.sandbox.genius_pages import missing_page, song_page
from deployments.sandbox.protocol import Answer, Ask, page, unknown_key
from deployments.sandbox.search import Index
from deployments.sandbox.tables import SongRow

PER_PAGE = 10


class GeniusService:
    """The sandbox's Genius."""

    name = "genius"
    drifting: tuple[str, ...] = ("primary_artist", "path", "hits")

    def __init__(self, world: Path) -> None:
        self._all = GeniusCatalogue(world)
        self._songs = list(self._all.songs.values())
        most = max((row.pageviews for row in self._songs), default=1)
        self._index = Index(
            (f"{row.title} {self._all.names(row)}" for row in self._songs),
            (row.pageviews / most for row in self._songs),
        )

    def label(self, ask: Ask) -> str:
        """The endpoint without ids."""
        if ask.path.startswith(("/api/", "/web/api/")):
            name = re.sub(r"\d+", "{id}", ask.path.strip("/"))
            known = r"(web/)?api/(search(/\w+)?|songs/{id}|artists/{id})"
            return name if re.fullmatch(known, name) else "unknown"
        return "page"

    def credential(self, ask: Ask) -> str:
        """The access token; pages need none."""
        return ask.bearer or ask.query.get("access_token", "")

    def refuse(self, ask: Ask, status: int, headers: Mapping[str, str]) -> Answer:
        """A few words of JSON, or a page."""
        if self.label(ask) == "page":
            return page(
                status, "<html><head><title>Genius</title></head><body>Something went wrong</body></html>", **headers
            )
        said = {"meta": {"status": status, "message": "Too many requests" if status == 429 else "Server error"}}
        return Answer(status=status, payload=said, headers=headers)

    def answer(self, ask: Ask) -> Answer:
        """One endpoint's answer."""
        match ask.path.strip("/").split("/"):
            case ["api", *rest]:
                if unknown_key(self.credential(ask)):
                    return _rejected()
                return self._api(ask, rest)
            case ["web", "api", *rest]:  # asks for no token
                return self._public(ask, rest)
            case ["web", *rest]:
                return self._page(ask, "/" + "/".join(rest))
            case _:
                return _missing()

    def _api(self, ask: Ask, parts: list[str]) -> Answer:
        match parts:
            case ["search"]:
                return _said({"hits": [self._all.hit(row, ask.root) for row in self._found(ask)]})
            case ["songs", number]:
                return self._song(ask, number)
            case ["artists", number] if number.isdigit() and int(number) in self._all.artists:
                return _said({"artist": self._all.artist(self._all.artists[int(number)], ask.root)})
            case _:
                return _missing()

    def _public(self, ask: Ask, parts: list[str]) -> Answer:
        if parts == ["songs", parts[-1]]:
            return self._song(ask, parts[-1])
        if parts[0] != "search" or len(parts) > 2:
            return _missing()
        hits = [self._all.hit(row, ask.root) for row in self._found(ask)]
        if len(parts) == 1:
            return _said({"hits": hits})
        sections: list[dict[str, Any]] = [{"type": "song", "hits": hits}]
        if parts[1] == "multi":
            sections.insert(0, {"type": "top_hit", "hits": hits[:1]})
        return _said({"sections": sections})

    def _found(self, ask: Ask) -> list[SongRow]:
        size, number = ask.number("per_page", PER_PAGE) or PER_PAGE, ask.number("page", 1) or 1
        found = self._index.find(ask.query.get("q", ""), least=0.5)
        if ask.wrong:
            found = [(place + 5) % len(self._songs) for place in found]
        return [self._songs[place] for place in found[size * (number - 1) : size * number]]

    def _song(self, ask: Ask, number: str) -> Answer:
        row = self._all.songs.get(int(number)) if number.isdigit() else None
        if row is None:
            return _missing()
        return _said({"song": self._all.full(row, ask.root, ask.query.get("text_format", "dom"))})

    def _page(self, ask: Ask, path: str) -> Answer:
        row = self._all.paths.get(path)
        if row is None:
            return page(404, missing_page())
        layout = ask.switches.get("genius_layout") or row.layout
        return page(200, song_page(row, self._all.artists[row.artist].name, layout))


def _said(response: dict[str, Any]) -> Answer:
    return Answer(payload={"meta": {"status": 200}, "response": response})


def _missing() -> Answer:
    return Answer(status=404, payload={"meta": {"status": 404, "message": "Not found"}})


def _rejected() -> Answer:
    text = "The access token provided is expired, revoked, malformed or invalid for other reasons."
    return Answer(status=401, payload={"error": "invalid_token", "error_description": text})
