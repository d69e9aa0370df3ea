"""The Million Playlist Dataset: slices of 1,000 playlists as JSON, loose or in tar and zip archives."""

# Annotations stay text: polars is imported at its first use.
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from connectors import archives
from connectors.archives import Damaged, Member
from connectors.base import BulkConnector, Page, Part, Record, Reject
from connectors.bulk import YEAR_2100, BulkFiles
from connectors.frames import events_table
from connectors.lines import BOM, hash_range
from connectors.rows import DECODER, Refused, as_list, as_object, check_text, printable, reject
from storage.lazy import pl
from storage.reasons import Reason

ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")

_SLICE = re.compile(r"mpd\.slice\.([0-9]+)-[0-9]+\.json")
_TRACK = re.compile("spotify:track:([0-9A-Za-z]{22})")
_PLAYLISTS = re.compile(r'"playlists"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")


def connect(*, path: str) -> BulkConnector:
    """Slices and archives in a folder (and the folders in it), or one of them."""
    return MillionPlaylists(path)


class MillionPlaylists(BulkFiles):
    """A page is a slice: records `playlist` and `track`, and an event of kind `playlist` per row of a playlist.

    The payload of a playlist is all its fields but `tracks`, its id is the pid; that of a track is the fields of its
    first row in the page but `pos`, its id is the bare Spotify id. An event's position is `pos`, or the index where
    there is none; its time is the playlist's `modified_at`, if there is one.

    `line` is the running number of the row in its part; what is refused as a whole (a playlist, the rest of a slice)
    takes one number too. Nothing is unpacked to disk.
    """

    name: ClassVar[str] = "mpd"
    entities: ClassVar[frozenset[str]] = frozenset({"playlist"})

    def parts(self) -> list[Part]:
        """A part per slice, tar archive, and slice in a zip archive (whose directory is read)."""
        if self.path.is_file():
            return self._parts_of(self.path.name)
        files = [file.relative_to(self.path) for file in self.path.rglob("*") if file.is_file()]
        wanted = [file for file in files if _SLICE.fullmatch(file.name) or _is_archive(file)]
        parts = [part for file in sorted(wanted, key=_order) for part in self._parts_of(file.as_posix())]
        if not parts:
            raise ValueError(
                f"mpd: no mpd.slice.*.json and no archive ({', '.join(ARCHIVES)}) in '{self.path}'; "
                "give the data set's folder, a slice or an archive as `path`"
            )
        return parts

    def digest(self, part: Part) -> str:
        """Hash of the file's bytes, or of those of one member of a zip archive."""
        with self.open(part.file) as stream:
            return hash_range(stream, part.start, part.end)

    def _parts_of(self, file: str) -> list[Part]:
        whole = self.part("playlist", file)
        if not file.lower().endswith(".zip"):
            if file.lower().endswith((".json", *ARCHIVES)):
                return [whole]
            raise ValueError(f"mpd: '{file}' is no slice; expected .json or {', '.join(ARCHIVES)}")
        try:
            with self.open(file) as stream:
                ranges = archives.zip_ranges(stream, _is_slice)
        except Damaged:
            return [whole]  # reading it says what is wrong
        return [replace(whole, start=start, end=end, size_bytes=end - start) for start, end in ranges]

    def _read(self, part: Part) -> Iterator[Page]:
        slices = _Slices(part, self.changed_at(part.file))
        with self.open(part.file) as stream:
            try:
                for member in _members(part, stream):
                    yield slices.page(member)
            except Damaged as exc:
                yield slices.refused(str(exc))


def _is_archive(file: Path) -> bool:
    return file.name.lower().endswith(ARCHIVES) and not file.name.startswith(".")


def _order(file: Path) -> tuple[str, int, str]:
    found = _SLICE.fullmatch(file.name)
    return file.parent.as_posix(), int(found[1][:18]) if found else -1, file.name


def _is_slice(name: str) -> bool:
    return bool(_SLICE.fullmatch(PurePosixPath(name).name))


def _members(part: Part, stream: BufferedReader) -> Iterator[Member]:
    """The slices of a part: a loose one is like an archive's only member."""
    if part.file.lower().endswith(".zip"):
        yield archives.zip_member(stream, part.start, _is_slice)
    elif _is_archive(Path(part.file)):
        yield from archives.tar_members(stream, _is_slice)
    else:
        yield Member("", stream.read(archives.LIMIT_BYTES), part.size_bytes)


@dataclass
class _Slices:
    """The slices of a part, each as a page; rows are numbered on from slice to slice."""

    part: Part
    fetched_at: datetime
    line: int = 0

    def page(self, member: Member) -> Page:
        where = f"{self.part.file}!{printable(member.name)}" if member.name else self.part.file
        if member.size_bytes > archives.LIMIT_BYTES:
            return self.refused(f"{where}: {member.size_bytes} bytes, expected at most {archives.LIMIT_BYTES}")
        text, odd = _text(member.data)
        found, rest, fault = _playlists(text)
        if fault and not found:
            return self.refused(f"{where}: {fault}", rest)
        page = _SlicePage(self.part, where, self.fetched_at, self.line, odd)
        for playlist in found:
            page.add(playlist)
        if fault:
            page.refuse(Refused(f"{fault}; {len(found)} playlists before it", Reason.DECODE_ERROR), rest)
        self.line = page.line
        return page.finished()

    def refused(self, detail: str, text: str = "") -> Page:
        """The refusal of the rest of the part, or of all of it (line 0)."""
        found = reject(self.part, self.line + 1 if self.line else 0, Reason.DECODE_ERROR, detail, text)
        self.line += 1
        return Page(rejects=(found,))


def _text(data: bytes) -> tuple[str, bool]:
    """The text of a slice, and whether a string in it may not be writable as UTF-8."""
    data = data.removeprefix(BOM)
    try:
        return data.decode("utf-8"), b"\\ud" in data or b"\\uD" in data  # the halves of surrogate pairs
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape"), True


def _playlists(text: str) -> tuple[list[Any], str, str]:
    """The playlists of a slice; where it is not whole, those before the fault, the text from there, and the fault."""
    try:
        document = DECODER.decode(text)
    except (ValueError, RecursionError) as exc:
        found, end = _whole_playlists(text)
        at = exc.pos if isinstance(exc, json.JSONDecodeError) else end
        return found, text[end : end + 2_000], f"not JSON at character {at}"
    playlists = as_list((as_object(document) or {}).get("playlists"))
    if playlists is not None:
        return playlists, "", ""
    return [], text[:2_000], "no list 'playlists' in the slice"


def _whole_playlists(text: str) -> tuple[list[Any], int]:
    """The playlists that can be read in a damaged slice, and where the rest starts."""
    found: list[Any] = []
    start = _PLAYLISTS.search(text)
    at = start.end() if start else 0
    while start:
        between = _BETWEEN.match(text, at)
        at = between.end() if between else at
        try:
            playlist, at = DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        found.append(playlist)
    return found, at


@dataclass
class _SlicePage:
    """A page while its slice is gone through."""

    part: Part
    where: str
    fetched_at: datetime
    line: int
    odd_text: bool  # some string of the slice may not be writable as UTF-8
    _playlists: dict[str, Record] = field(default_factory=dict[str, Record])
    _tracks: dict[str, Record] = field(default_factory=dict[str, Record])
    _events: list[tuple[str, str, int | None, int, int]] = field(
        default_factory=list[tuple[str, str, int | None, int, int]]
    )
    _rejects: list[Reject] = field(default_factory=list[Reject])

    def add(self, playlist: Any) -> None:
        try:
            pid, seconds, payload = _checked(playlist)
            if pid in self._playlists:
                raise Refused(f"pid {pid} was given before", Reason.DUPLICATE)
            if self.odd_text:
                check_text(payload)
        except Refused as bad:
            self.refuse(bad, playlist)
            return
        self._playlists[pid] = self._record("playlist", pid, payload, self.line + 1)
        for index, row in enumerate(playlist["tracks"]):
            self._add_row(pid, seconds, index, row)

    def _add_row(self, pid: str, seconds: int | None, index: int, row: Any) -> None:
        try:
            track, position = _checked_row(row, index)
            if self.odd_text:
                check_text(row)
        except Refused as bad:
            self.refuse(Refused(f"playlist {pid}: {bad.detail}", bad.reason), row)
            return
        self.line += 1
        self._events.append((pid, track, seconds, position, self.line))
        if track not in self._tracks:
            payload = {name: value for name, value in row.items() if name != "pos"}
            self._tracks[track] = self._record("track", track, payload, self.line)

    def refuse(self, bad: Refused, value: Any) -> None:
        self.line += 1
        text = value if isinstance(value, str) else _shown(value)
        self._rejects.append(reject(self.part, self.line, bad.reason, f"{self.where}: {bad.detail}", text))

    def finished(self) -> Page:
        columns = {"user": pl.String, "item": pl.String, "seconds": pl.Int64, "position": pl.Int32, "line": pl.Int64}
        frame = pl.DataFrame(self._events, schema=columns, orient="row")
        time = (pl.col("seconds") * 1_000_000).cast(pl.Datetime("us", "UTC"))
        return Page(
            records=(*self._playlists.values(), *self._tracks.values()),
            events=events_table(frame.with_columns(at=time, kind=pl.lit("playlist"))),
            rejects=tuple(self._rejects),
        )

    def _record(self, entity: str, source_id: str, payload: dict[str, Any], line: int) -> Record:
        url = f"{self.where}:{line}"
        return Record(entity=entity, source_id=source_id, payload=payload, url=url, fetched_at=self.fetched_at)


def _checked(found: Any) -> tuple[str, int | None, dict[str, Any]]:
    """The pid, `modified_at` and the payload of a playlist."""
    playlist = as_object(found)
    if playlist is None:
        raise Refused("a playlist is not a JSON object")
    if not re.fullmatch("[0-9]{1,18}", str(playlist.get("pid"))):
        raise Refused("pid is not a whole number")
    if as_list(playlist.get("tracks")) is None:
        raise Refused("tracks is not a list")
    seconds = playlist.get("modified_at")
    if seconds is not None and not (type(seconds) is int and 0 < seconds < YEAR_2100):
        raise Refused("modified_at is not unix seconds")
    payload = {name: value for name, value in playlist.items() if name != "tracks"}
    return str(playlist["pid"]), seconds, payload


def _checked_row(found: Any, index: int) -> tuple[str, int]:
    """The bare track id and the position of a row of a playlist."""
    row = as_object(found) or {}
    uri = _TRACK.fullmatch(str(row.get("track_uri")))
    if not uri:
        raise Refused("track_uri is not spotify:track: and 22 letters and digits")
    position = row.get("pos")
    if position is not None and not (type(position) is int and 0 <= position < 1 << 31):
        raise Refused("pos is not a whole number")
    return uri[1], index if position is None else position


def _shown(value: Any) -> str:
    """A JSON value as the text of a refusal, without the tracks of a playlist."""
    if found := as_object(value):
        value = {name: each for name, each in found.items() if name != "tracks"}
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""
