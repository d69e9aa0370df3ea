"""Extractors by which yt-dlp itself searches and plays the sandbox's YouTube.

They stand in place of yt-dlp's own: `YoutubeDL(options, auto_init=False)`, then `add_info_extractor` with the search
first. Where the sandbox is, the extractor argument `mediateca:endpoint` says (`http://127.0.0.1:8123/youtube/`), or the
address of the video itself.
"""

# yt-dlp has no types, and its extractors are made of class attributes that it reads.
# pyright: basic, reportAssignmentType=false, reportArgumentType=false, reportReturnType=false
import re
from typing import Any, ClassVar
from urllib.parse import quote_plus, urlsplit

from yt_dlp.extractor.common import InfoExtractor, SearchInfoExtractor
from yt_dlp.utils import ExtractorError

WATCH = "https://www.youtube.com/watch?v="
_ROBOT = re.compile(r"captcha|unusual traffic|are you a robot", re.IGNORECASE)


class _Sandbox(InfoExtractor):
    """What both extractors do."""

    def _endpoint(self, url: str = "") -> str:
        """Where the sandbox is, with a slash at its end.

        Raises:
            ExtractorError: Nobody says where.
        """
        if "/youtube/" in urlsplit(url).path:
            return url[: url.index("/youtube/") + len("/youtube/")]
        for said in self._configuration_arg("endpoint", ie_key="mediateca", casesense=True):
            return said
        raise ExtractorError("the sandbox's address is not known: pass the extractor argument mediateca:endpoint")

    def _ask(self, url: str, name: str, what: str) -> dict[str, Any]:
        """The sandbox's JSON.

        Raises:
            ExtractorError: A page of another kind came; one that asks for a captcha is said to be one, in YouTube's
                words.
        """
        text = self._download_webpage(url, name, note=f"Downloading {what}", errnote=f"Unable to download {what}")
        if _ROBOT.search(text):
            raise ExtractorError("Sign in to confirm you're not a bot", video_id=name, expected=True)
        return self._parse_json(text, name)


class SandboxYoutubeSearchIE(SearchInfoExtractor, _Sandbox):
    """`ytsearchN:` in the sandbox."""

    IE_NAME = "youtube:search"
    _SEARCH_KEY = "ytsearch"
    _MAX_RESULTS = 50
    _TESTS: ClassVar[list[Any]] = []

    def _get_n_results(self, query: str, n: int) -> dict[str, Any]:
        said = self._ask(f"{self._endpoint()}search?q={quote_plus(query)}&n={n}", query, "search")
        entries = [
            {
                **self.url_result(
                    f"{self._endpoint()}watch?v={video['id']}", ie="SandboxYoutube", video_id=video["id"]
                ),
                **_about(video),
            }
            for video in said["videos"]
        ]
        return self.playlist_result(entries, query, query)


class SandboxYoutubeIE(_Sandbox):
    """A video of the sandbox."""

    IE_NAME = "youtube"
    _VALID_URL = r"https?://(?:(?:www\.|music\.|m\.)?youtube\.com|(?:127\.0\.0\.1|localhost):\d+/youtube)/watch\?v=(?P<id>[\w-]{11})"
    _TESTS: ClassVar[list[Any]] = []

    def _real_extract(self, url: str) -> dict[str, Any]:
        name = self._match_id(url)
        said = self._ask(f"{self._endpoint(url)}videos/{name}", name, "video")
        playability = said["playability"]
        if playability["status"] != "OK":
            raise ExtractorError(playability["reason"], video_id=name, expected=True)
        video = dict(said["video"])
        formats = [{**form, "protocol": urlsplit(form["url"]).scheme} for form in video["formats"]]
        kept = ("upload_date", "description", "like_count", "categories", "tags", "track", "artists", "album")
        return {
            **_about(video),
            "formats": formats,
            "webpage_url": f"{WATCH}{name}",
            "age_limit": 0,
            "availability": "public",
            "live_status": "not_live",
            **{key: video[key] for key in kept if key in video},
        }


def _about(video: dict[str, Any]) -> dict[str, Any]:
    """What searches and videos both say."""
    return {
        "id": video["id"],
        "title": video["title"],
        "duration": video["duration"],
        "channel": video["channel"],
        "channel_id": video["channel_id"],
        "channel_url": f"https://www.youtube.com/channel/{video['channel_id']}",
        "uploader": video["channel"],
        "view_count": video["view_count"],
        "thumbnails": [{"url": video["thumbnail"], "height": 480, "width": 480}],
        "live_status": None,
    }
