"""The hosts that pictures and audio lie on, beneath `/media/<host>/`."""

import re
from collections.abc import Mapping
from pathlib import Path

from deployments.sandbox.pictures import Pictures
from deployments.sandbox.protocol import Answer, Ask
from deployments.sandbox.spotify_json import ARTIST_SIZES, IMAGE_SIZES

_SPOTIFY_SIZES = {begin: size for sizes in (IMAGE_SIZES, ARTIST_SIZES) for size, begin in sizes.items()}


class MediaService:
    """Pictures of all services."""

    name = "media"
    drifting: tuple[str, ...] = ()

    def __init__(self, world: Path) -> None:
        self._pictures = Pictures(world)

    def label(self, ask: Ask) -> str:
        """The host."""
        return ask.path.strip("/").split("/")[0]

    def credential(self, ask: Ask) -> str:
        """None: anybody may look."""
        return ""

    def refuse(self, ask: Ask, status: int, headers: Mapping[str, str]) -> Answer:
        """A few words, as hosts of files say."""
        return Answer(status=status, body=b"try later", kind="text/plain", headers=headers)

    def answer(self, ask: Ask) -> Answer:
        """One picture."""
        match ask.path.strip("/").split("/"):
            case ["i.scdn.co", "image", name]:
                return self._picture(name[16:], _SPOTIFY_SIZES.get(name[:16]), "cover")
            case ["image.tmdb.org", "t", "p", size, name]:
                return self._sized(f"/{name}", size)
            case ["images.genius.com", name]:
                width = re.search(r"\.(\d+)x\d+x1\.", name)
                return self._picture(name.split(".", maxsplit=1)[0], int(width[1]) if width else None, "cover")
            case ["lastfm.freetls.fastly.net", "i", "u", size, name]:
                width = re.match(r"\d+", size)
                return self._picture(name.split(".", maxsplit=1)[0], int(width[0]) if width else None, "cover")
            case ["i.ytimg.com", "vi", name, "hqdefault.jpg"]:
                return self._picture(name, 480, "cover")
            case _:
                return missing()

    def _sized(self, name: str, size: str) -> Answer:
        if size == "original":
            return self._picture(name, None, "poster")
        return self._picture(name, int(size[1:]), "poster") if re.fullmatch(r"[wh]\d+", size) else missing()

    def _picture(self, name: str, width: int | None, shape: str) -> Answer:
        row = self._pictures.find(name)
        if row is None or (width is not None and not 16 <= width <= 2000):
            return missing()
        return Answer(body=self._pictures.jpeg(row, width, shape), kind="image/jpeg")


def missing() -> Answer:
    """No such file."""
    return Answer(status=404, body=b"Not Found", kind="text/plain")
