"""The hosts that pictures and audio lie on, beneath `/media/<host>/`."""

import re
from collections.abc import Mapping
from pathlib import Path

from deployments.sandbox.pictures import Pictures
from deployments.sandbox.protocol import Answer, Ask
from deployments.sandbox.sounds import Sounds
from deployments.sandbox.spotify_json import ARTIST_SIZES, IMAGE_SIZES
from deployments.sandbox.tables import VideoRow, read_table

_SPOTIFY_SIZES = {begin: size for sizes in (IMAGE_SIZES, ARTIST_SIZES) for size, begin in sizes.items()}
HOSTS = frozenset(
    "i.scdn.co image.tmdb.org images.genius.com lastfm.freetls.fastly.net i.ytimg.com googlevideo.com".split()
)
_KINDS = {"m4a": "audio/mp4", "webm": "audio/webm", "ogg": "audio/ogg", "mp3": "audio/mpeg", "flac": "audio/flac"}


class MediaService:
    """Pictures of all services, and YouTube's streams."""

    name = "media"
    drifting: tuple[str, ...] = ()

    def __init__(self, world: Path, sounds: Sounds) -> None:
        self._pictures = Pictures(world)
        self._sounds = sounds
        self._heard = {row.id: row.sound for row in read_table(world, "videos", VideoRow)}

    def label(self, ask: Ask) -> str:
        """The host."""
        host = ask.path.strip("/").split("/")[0]
        return host if host in HOSTS else "unknown"

    def credential(self, ask: Ask) -> str:
        """None: anybody may look."""
        return ""

    def refuse(self, ask: Ask, status: int, headers: Mapping[str, str]) -> Answer:
        """A few words, as hosts of files say."""
        return Answer(status=status, body=b"try later", kind="text/plain", headers=headers)

    def answer(self, ask: Ask) -> Answer:
        """One picture or stream."""
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
            case ["googlevideo.com", video, name]:
                return self._stream(video, name, ask.headers.get("range", ""))
            case _:
                return missing()

    def _stream(self, video: str, name: str, wanted: str) -> Answer:
        """The recording of a video, or the range of bytes that is asked for."""
        form, _, ext = name.partition(".")
        content = self._sounds.stream(self._heard.get(video, ""), form)
        if content is None:
            return missing()
        kind = _KINDS.get(ext, "application/octet-stream")
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        if found is None:
            return Answer(body=content, kind=kind, headers={"Accept-Ranges": "bytes"})
        first, last = int(found[1]), min(int(found[2] or len(content)), len(content) - 1)
        if first > last:
            return Answer(status=416, body=b"", kind=kind, headers={"Content-Range": f"bytes */{len(content)}"})
        said = {"Content-Range": f"bytes {first}-{last}/{len(content)}", "Accept-Ranges": "bytes"}
        return Answer(status=206, body=content[first : last + 1], kind=kind, headers=said)

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
