"""Videos of YouTube, searched and heard through yt-dlp; every byte passes the policy."""

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from yt_dlp import YoutubeDL
from yt_dlp.globals import supported_js_runtimes
from yt_dlp.utils import YoutubeDLError

from connectors.base import Page, Record, Request, Wanted
from connectors.candidates import Candidate
from connectors.errors import NotFound, SchemaDrift, TooLarge, TransientError
from connectors.http import Policy, PolicySettings
from connectors.live import offered, settled
from connectors.youtube_errors import error_of
from connectors.youtube_models import Search, Video
from storage import clock

# Audio alone, by protocols that yt-dlp speaks itself: the rest would start ffmpeg, outside the policy.
_AUDIO = "/".join(f"ba[protocol={name}]" for name in ("https", "http", "http_dash_segments", "m3u8_native"))
# The original language before all: some videos have dubbed tracks, and the smallest may be one of them.
_SMALLEST = ["lang", "+size", "+br"]
_NOT_KEPT = frozenset(
    # Signed addresses hold the asker's IP and die within hours; the rest is bulk that nobody reads.
    "formats requested_formats requested_downloads automatic_captions subtitles thumbnails heatmap manifest_url "
    "fragments http_headers cookies epoch".split()
)
_NO_FORMATS = re.compile(r"requested format is not available|no video formats|only images are available", re.IGNORECASE)
ClassName = Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
_ON_AIR = frozenset({"is_live", "is_upcoming", "post_live"})


class YoutubeSettings(BaseModel):
    """Where YouTube is, how much of a search is read, and how politely."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    endpoint: str = "https://www.youtube.com/"
    results: int = 10  # candidates of a search
    pause_s: float = 2.0  # before each download
    js_runtimes: tuple[str, ...] = ("deno", "node", "bun", "quickjs")
    # "module:Class", the search first; a sandbox has its own in place of these.
    extractors: tuple[ClassName, ...] = (
        "yt_dlp.extractor.youtube:YoutubeSearchIE",
        "yt_dlp.extractor.youtube:YoutubeIE",
    )
    # YouTube keeps out who asks too fast; yt-dlp's wiki advises 5 to 10 s between downloads for long runs (2026-10).
    policy: PolicySettings = PolicySettings(requests_per_second=2.0, hosts=(".googlevideo.com", ".youtube.com"))


def trailers(*, policy: Policy | Mapping[str, Any] | None = None, **settings: Any) -> "Trailers":
    """The same, for films."""
    return Trailers(*settled(YoutubeSettings, policy, settings))


def connect(*, policy: Policy | Mapping[str, Any] | None = None, **settings: Any) -> "Youtube":
    """YouTube with these settings; without a policy it makes its own."""
    return Youtube(*settled(YoutubeSettings, policy, settings))


class Youtube:
    """Entities: `search` (key: the words), `video` (key: the id); audio by `fetch_audio`."""

    name: ClassVar[str] = "youtube"
    entities: ClassVar[frozenset[str]] = frozenset({"search", "video"})
    models: ClassVar[Mapping[str, type[BaseModel]]] = {"search": Search, "video": Video}

    def __init__(self, settings: YoutubeSettings, policy: Policy | None = None) -> None:
        self._settings = settings
        self._policy = policy or Policy("youtube", settings.policy)

    def questions(self, wanted: Wanted) -> tuple[Request, ...]:
        """The id where it is known; else artist and title."""
        if known := wanted.ids.get("youtube"):
            return (Request(entity="video", key=known),)
        title = " ".join(wanted.title.split())
        if not title or not wanted.creators:
            return ()
        return (Request(entity="search", key=f"{' '.join(wanted.creators[:2])} - {title}"),)

    def lookup(self, request: Request) -> Record:
        """What yt-dlp read, as JSON, without addresses of streams.

        Raises:
            ConnectorError: As `LiveConnector.lookup`.
            ValueError: YouTube is not asked for such an entity.
        """
        if request.entity == "search":
            url = f"ytsearch{self._settings.results}:{request.key}"
        elif request.entity == "video":
            url = self.address(request.key)
        else:
            raise ValueError(
                f"{self.name}: unknown entity '{request.entity}'; known: {', '.join(sorted(self.entities))}"
            )
        with self._client({}) as client, _errors(url):
            said = client.sanitize_info(client.extract_info(url, download=False, process=request.entity == "search"))
        if not isinstance(said, Mapping):
            raise SchemaDrift("youtube: yt-dlp read nothing", source="youtube", url=url)
        return Record(
            entity=request.entity, source_id=request.key, payload=_kept(said), url=url, fetched_at=clock.now()
        )

    def candidates(self, entity: str, payload: Mapping[str, Any]) -> list[Candidate]:
        """The videos of an answer, in YouTube's order; live ones and those yet to come are none.

        Raises:
            SchemaDrift: The answer has no list of entries.
        """
        return offered("youtube", entity, [payload] if entity == "video" else payload.get("entries"), _candidate)

    def fetch_audio(self, video_id: str, folder: Path) -> Path:
        """The video's sound as a file in `folder`: its smallest audio-only format, whole, as YouTube encoded it.

        Raises:
            ConnectorError: `NotFound` where there is no recording to be had (private, gone, live, for members), and
                as `LiveConnector.lookup`.
        """
        url = self.address(video_id)
        options = {
            "format": _AUDIO,
            "format_sort": _SMALLEST,
            "outtmpl": {"default": str(folder / "%(id)s.%(ext)s")},
            "max_filesize": self._settings.policy.size_bytes,
            "fixup": "never",
            "overwrites": True,
            "sleep_interval": self._settings.pause_s,
        }
        with self._client(options) as client, _errors(url), self._formats(url):
            said: Any = client.extract_info(url, download=False, process=False)
            if (said or {}).get("live_status") in _ON_AIR:
                raise NotFound("youtube: a live stream is no recording", source="youtube", url=url)
            done: Any = client.process_ie_result(said, download=True)
        parts = (done or {}).get("requested_downloads") or []
        paths = [Path(part["filepath"]) for part in parts if part.get("filepath")]
        if len(paths) != 1 or not paths[0].is_file():
            limit = f"{self._settings.policy.size_bytes:,} bytes"
            raise TooLarge(f"youtube: the sound is larger than {limit}; nothing was kept", source="youtube", url=url)
        return paths[0]

    def address(self, video_id: str) -> str:
        """Where a video is seen.

        Raises:
            ValueError: No video has such an id.
        """
        if not video_id.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"youtube: '{video_id}' is no id of a video")
        return f"{self._settings.endpoint}watch?v={video_id}"

    def request_from(self, entity: str, payload: Mapping[str, Any]) -> Request:
        """Nothing is asked for by way of another answer."""
        raise ValueError(f"youtube: '{entity}' is not asked for by way of another answer")

    def pages(self, entity: str, *, keys: Sequence[Any] | None = None, cursor: str | None = None) -> Iterator[Page]:
        """Nothing: YouTube is asked one question at a time."""
        raise ValueError(f"{self.name}: '{entity}' has no pages; ask with `lookup`")

    def close(self) -> None:
        """Give back the connections."""
        self._policy.close()

    @contextmanager
    def _formats(self, url: str) -> Generator[None]:
        """Without a JavaScript runtime YouTube's formats cannot be read: that is no fault of the video's."""
        try:
            yield
        except YoutubeDLError as exc:
            ours = self._settings.extractors == YoutubeSettings().extractors
            if not (ours and _NO_FORMATS.search(str(exc))) or javascript_runtime():
                raise
            said = "youtube: no format can be read without a JavaScript runtime; install deno"
            raise TransientError(said, source="youtube", url=url) from exc

    @contextmanager
    def _client(self, options: dict[str, Any]) -> Generator[YoutubeDL]:
        client = self._policy.youtube_dl(
            {
                "noplaylist": True,
                "extract_flat": "in_playlist",
                "js_runtimes": {name: {} for name in self._settings.js_runtimes},
                # A search needs no home page: one request in place of two.
                "extractor_args": {
                    "youtubetab": {"skip": ["webpage"]},
                    "mediateca": {"endpoint": [self._settings.endpoint]},
                },
                **options,
            }
        )
        for name in self._settings.extractors:
            module, kind = name.split(":")
            client.add_info_extractor(getattr(import_module(module), kind)())
        try:
            yield client
        finally:
            client.close()


class Trailers(Youtube):
    """The videos that a source before it in the catalogue says are films' trailers, such as TMDb; none is guessed."""

    name: ClassVar[str] = "trailers"

    def questions(self, wanted: Wanted) -> tuple[Request, ...]:
        """The trailer's id, where one is known."""
        known = wanted.ids.get("youtube")
        return (Request(entity="video", key=known),) if known else ()


def javascript_runtime() -> str | None:
    """The JavaScript runtime that yt-dlp would use for YouTube, with its version; None: there is none it can use.

    Without one, YouTube's formats are found in part or not at all.
    """
    kinds: Any = supported_js_runtimes.value
    for kind in kinds.values():
        info = kind().info
        if info and info.supported:
            return f"{info.name} {info.version}"
    return None


@contextmanager
def _errors(url: str) -> Generator[None]:
    try:
        yield
    except YoutubeDLError as exc:
        raise error_of(exc, url) from exc


def _kept(said: Any) -> Any:
    if isinstance(said, Mapping):
        return {k: _kept(v) for k, v in said.items() if k not in _NOT_KEPT and not k.startswith("_")}
    return [_kept(part) for part in said] if isinstance(said, list) else said


def _candidate(entry: Any) -> Candidate | None:
    # Neither what is on the air, nor a channel or a playlist among the answers.
    if entry.get("live_status") in _ON_AIR or entry.get("ie_key") == "YoutubeTab":
        return None
    seconds, date = entry.get("duration"), str(entry.get("upload_date") or "")
    return Candidate.of(
        {
            "id": entry["id"],
            "title": entry["title"],
            "artists": entry.get("artists"),
            "album": entry.get("album"),
            "channel": entry.get("channel") or entry.get("uploader"),
            "duration_ms": seconds * 1000 if seconds else None,
            "year": entry.get("release_year") or (int(date[:4]) if date[:4].isdigit() else None),
            "kind": "short" if "/shorts/" in str(entry.get("url") or "") else "video",
            "views": entry.get("view_count"),
            "url": f"https://www.youtube.com/watch?v={entry['id']}",
        }
    )
