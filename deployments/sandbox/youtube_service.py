"""YouTube, as the extractors of `deployments.sandbox.youtube_extractor` ask for it: searches and videos as JSON.

YouTube's own inner protocol changes monthly and is yt-dlp's affair; what yt-dlp makes of it, the extractors give.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployments.sandbox.dice import Dice
from deployments.sandbox.protocol import Answer, Ask
from deployments.sandbox.search import Index
from deployments.sandbox.sounds import Sounds
from deployments.sandbox.tables import VideoRow, read_table

GONE = 0.01  # share of videos that a search names and that cannot be seen
_STATES = (
    "Video unavailable. This video is no longer available",
    "Private video. Sign in if you've been granted access",
)


class YoutubeService:
    """The sandbox's YouTube."""

    name = "youtube"
    drifting: tuple[str, ...] = ("duration", "title", "formats")

    def __init__(self, world: Path, sounds: Sounds) -> None:
        self._videos = read_table(world, "videos", VideoRow)
        self._by_id = {row.id: row for row in self._videos}
        self._sounds = sounds
        most = max((row.views for row in self._videos), default=1)
        self._index = Index(
            (f"{row.title} {row.channel}" for row in self._videos), (row.views / most for row in self._videos)
        )

    def label(self, ask: Ask) -> str:
        """The endpoint without ids."""
        return "search" if ask.path.startswith("/search") else "video"

    def credential(self, ask: Ask) -> str:
        """None: YouTube counts by address, and there is one here."""
        return ""

    def refuse(self, ask: Ask, status: int, headers: Mapping[str, str]) -> Answer:
        """A few words."""
        return Answer(status=status, payload={"error": {"code": status, "message": "try later"}}, headers=headers)

    def answer(self, ask: Ask) -> Answer:
        """One endpoint's answer."""
        match ask.path.strip("/").split("/"):
            case ["search"]:
                return self._search(ask)
            case ["videos", name]:
                return self._video(ask, name)
            case _:
                return Answer(status=404, payload={"error": {"code": 404, "message": "Not found"}})

    def _search(self, ask: Ask) -> Answer:
        """The best matches; YouTube finds something for almost any words."""
        limit = ask.number("n", 20) or 20
        found = self._index.find(ask.query.get("q", ""), least=0.2)[:limit]
        if ask.wrong:
            found = [(place + 11) % len(self._videos) for place in found]
        return Answer(payload={"videos": [self._short(self._videos[place], ask.root) for place in found]})

    def _video(self, ask: Ask, name: str) -> Answer:
        row = self._by_id.get(name)
        if row is None:
            return Answer(payload={"playability": {"status": "ERROR", "reason": "Video unavailable"}})
        dice = Dice("youtube state", row.id)
        if dice.chance(GONE):
            return Answer(payload={"playability": {"status": "UNPLAYABLE", "reason": dice.pick(_STATES)}})
        year, month, day = row.uploaded[:4], row.uploaded[4:6], row.uploaded[6:]
        said = {
            **self._short(row, ask.root),
            "upload_date": row.uploaded,
            "description": row.description,
            "like_count": row.views // 60,
            "categories": ["Film & Animation" if row.kind == "trailer" else "Music"],
            "tags": [],
            "formats": [
                {
                    "format_id": form.id,
                    "ext": form.ext,
                    "url": f"{ask.root}/media/googlevideo.com/{row.id}/{form.id}.{form.ext}",
                    "acodec": form.name,
                    "vcodec": "none",
                    "abr": form.bit_rate / 1000,
                    "tbr": form.bit_rate / 1000,
                    "asr": form.rate_hz,
                    "audio_channels": 1,
                    "container": f"{form.container}_dash",
                    "format_note": "low" if form.bit_rate < 60_000 else "medium",
                    "filesize_approx": row.duration_s * form.bit_rate // 8,
                }
                for form in self._sounds.formats(row.sound)
            ],
            "published": f"{year}-{month}-{day}",
        }
        if row.kind == "topic":  # what labels deliver comes with its own fields
            title, _, artist = row.description.split("\n\n")[1].partition(" · ")
            said |= {"track": title, "artists": [artist], "album": row.description.split("\n\n")[2]}
        return Answer(payload={"playability": {"status": "OK"}, "video": said})

    def _short(self, row: VideoRow, root: str) -> dict[str, Any]:
        return {
            "id": row.id,
            "title": row.title,
            "duration": row.duration_s,
            "channel": row.channel,
            "channel_id": row.channel_id,
            "view_count": row.views,
            "thumbnail": f"{root}/media/i.ytimg.com/vi/{row.picture}/hqdefault.jpg",
        }
