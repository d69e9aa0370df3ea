"""Folders of media files: a part per file; what is no media or cannot be read is refused, never passed over."""

import os
import re
import stat
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, ClassVar, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from connectors.base import Page, Part, Record
from connectors.bulk import YEAR_2100, BulkFiles
from connectors.rows import reject
from storage.reasons import Reason

END_BYTES = 64 << 10
"""How much is hashed at either end of a file: a million recordings have 5 TB, their ends 128 GB."""

# Control characters, ends of lines, bytes that are not UTF-8, and "%" itself, so that two names never become one.
_ODD = re.compile("[%\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ID = {
    "movielens": re.compile(r"0*([0-9]+)(?![0-9A-Za-z])"),
    "tmdb": re.compile(r"0*([0-9]+)(?![0-9A-Za-z])"),
    "imdb": re.compile(r"(?:tt)?0*([0-9]+)(?![0-9A-Za-z])"),
    "spotify": re.compile(r"([0-9A-Za-z]{22})(?![0-9A-Za-z])"),
}
"""The id at the start of a file's name; what follows it ("_poster", " (1)") starts with no letter or digit."""


def encode_name(name: str) -> str:
    r"""A path as printable text: control characters, bytes that are not UTF-8 and "%" are percent-encoded.

    >>> encode_name("50% off/two\nlines.mp3")
    '50%25 off/two%0Alines.mp3'
    """
    return _ODD.sub(lambda odd: quote(os.fsencode(odd[0]), safe=""), name)


def decode_name(file: str) -> str:
    """The path as the system knows it, of what `encode_name` gave."""
    return os.fsdecode(unquote_to_bytes(file)) if "%" in file else file


def path_of(root: str | Path, file: str) -> Path:
    """Where a file lies, by the source's `path` and the `file` of a record's payload."""
    top = Path(root).expanduser()
    return (top if top.is_dir() else top.parent) / decode_name(file)


def stem_of(file: str) -> str:
    """A file's path without its extension, as in the id `file:<stem>`."""
    return file.removesuffix(PurePosixPath(file).suffix)


def check_namespace(connector: str, ids: str) -> str:
    """The option `ids`, if it can be a namespace.

    Raises:
        ValueError: It holds something else than letters, digits, dots and dashes.
    """
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_.-]*", ids):
        known = ", ".join(("file", *_ID))
        raise ValueError(f"{connector}: option ids is '{ids}', expected whose ids the names are, such as {known}")
    return ids


def claimed_id(namespace: str, file: str) -> str | None:
    """The id that a file's name claims, with its namespace; None where the name is no id of that kind.

    `file` takes the whole path without the extension. Numbers lose leading zeros, and IMDb ids are written as IMDb
    does, so `posters/00862_big.jpg` is `tmdb:862`. Of namespaces not named here the stem is the id.
    """
    if namespace == "file":
        return f"file:{stem_of(file)}"
    stem = PurePosixPath(file).stem
    if namespace not in _ID:
        return f"{namespace}:{stem}"
    found = _ID[namespace].match(stem)
    if found is None:
        return None
    return f"{namespace}:tt{int(found[1]):07d}" if namespace == "imdb" else f"{namespace}:{found[1]}"


class Entry(NamedTuple):
    """A file beneath a folder, or what stands in the place of one."""

    name: str  # path below the folder, as the system gives it
    size_bytes: int = 0
    mtime_ns: int = 0
    fault: tuple[Reason, str] | None = None  # why it cannot be read

    @property
    def stat(self) -> str:
        """Size and time; a fault that goes away, as by `chmod`, is a change too."""
        return f"{self.size_bytes}-{self.mtime_ns}" + (f"-{self.fault[0]}" if self.fault else "")


def entry_of(top: Path, name: str) -> Entry:
    """What there is of that name.

    Raises:
        FileNotFoundError: There is nothing, not even a broken link.
    """
    path = os.path.join(top, name)
    try:
        found = os.stat(path)
    except OSError as exc:
        if isinstance(exc, FileNotFoundError) and not os.path.islink(path):
            raise
        return Entry(name, fault=(Reason.UNREADABLE, f"cannot be opened: {exc.strerror}"))
    entry = Entry(name, found.st_size, found.st_mtime_ns)
    if stat.S_ISDIR(found.st_mode):
        why = "a link to a folder that is read already" if os.path.islink(path) else "a folder that cannot be listed"
        return entry._replace(fault=(Reason.UNREADABLE, why))
    if not stat.S_ISREG(found.st_mode):
        return entry._replace(fault=(Reason.NOT_MEDIA, "a device, pipe or socket"))
    if not os.access(path, os.R_OK):
        return entry._replace(fault=(Reason.UNREADABLE, "cannot be opened: no permission"))
    return entry


def walk(top: Path) -> Iterator[Entry]:
    """Every file beneath a folder, in the order of names.

    A link to a folder elsewhere is followed; one to a folder that is read anyway, or that holds one, is an entry with a
    fault, and so is a folder that cannot be listed. So no file comes twice by two folders, and no loop ends nowhere.
    """
    reading = [os.path.realpath(top)]
    todo = sorted(os.listdir(top), reverse=True)
    while todo:
        name = todo.pop()
        try:
            inside = _listed(os.path.join(top, name), reading)
            if inside is None:
                yield entry_of(top, name)
            else:
                todo += [f"{name}/{each}" for each in sorted(inside, reverse=True)]
        except FileNotFoundError:
            continue  # it went away since its folder was listed


def _listed(path: str, reading: list[str]) -> list[str] | None:
    """The names in a folder; None where it is no folder, or is not to be entered."""
    if not os.path.isdir(path):
        return None
    if os.path.islink(path):
        real = os.path.realpath(path)
        if any(os.path.commonpath((real, other)) in (real, other) for other in reading):
            return None
        reading.append(real)
    try:
        return os.listdir(path)
    except FileNotFoundError:
        raise
    except OSError:
        return None


def fingerprint(stream: BinaryIO) -> str:
    """Digest of a file's size and of the first and last 64 KB.

    A change that keeps the size and touches the middle alone is not seen: encoders and taggers do not make such ones.
    """
    size = stream.seek(0, os.SEEK_END)
    hasher = blake2b(str(size).encode(), digest_size=16)
    for start in (0, max(END_BYTES, size - END_BYTES)):
        stream.seek(start)
        hasher.update(stream.read(END_BYTES))
    return hasher.hexdigest()


class MediaFolder(BulkFiles):
    """Base of the connectors of media folders; a subclass names its extensions and makes the records of one file.

    Every file is a part, and ends as records or as one refusal at line 0: `not_media` for another extension and for
    hidden files (macOS and sync tools leave `._song.mp3`), `unreadable` for what cannot be opened.
    """

    entities: ClassVar[frozenset[str]] = frozenset({"file"})
    suffixes: ClassVar[frozenset[str]]  # in lower case, without the dot
    holds: ClassVar[str]  # "recordings"

    def __init__(self, path: str, ids: str) -> None:
        super().__init__(path)
        self.ids = check_namespace(self.name, ids)

    def parts(self) -> list[Part]:
        """A part per file, in the order of names."""
        entries = walk(self.root) if self.path.is_dir() else iter([entry_of(self.root, self.path.name)])
        parts = [
            # What reading takes, not what the file has: chunks of work are cut by it.
            Part(entity="file", file=encode_name(e.name), stat=e.stat, size_bytes=min(e.size_bytes, 2 * END_BYTES))
            for e in entries
        ]
        if not parts:
            raise ValueError(f"{self.name}: no file in '{self.path}'; give a folder of {self.holds} as `path`")
        return parts

    def digest(self, part: Part) -> str:
        """Hash of a media file's size, first and last 64 KB; of any other, the word that refuses it."""
        fault, found = self._examine(part.file)
        return found or str(fault)

    def _read(self, part: Part) -> Iterator[Page]:
        fault, digest = self._examine(part.file)
        if fault is not None:
            yield Page(rejects=(reject(part, 0, fault[0], fault[1], ""),))
            return
        entry = self._entry(part.file)
        facts: dict[str, Any] = {"file": part.file, "size_bytes": entry.size_bytes}
        # A file's time is whatever somebody set; years beyond 9999 are no datetime.
        fetched_at = datetime.fromtimestamp(min(max(entry.mtime_ns // 1_000_000_000, 0), YEAR_2100), UTC)
        yield Page(
            records=tuple(
                Record(entity=entity, source_id=part.file, payload=payload, url=part.file, fetched_at=fetched_at)
                for entity, payload in self.describe(part.file, facts, digest).items()
            )
        )

    @abstractmethod
    def describe(self, file: str, facts: Mapping[str, Any], digest: str) -> dict[str, dict[str, Any]]:
        """The payloads of one media file, by entity; `facts` are its path and size."""

    def claims(self, file: str) -> list[str]:
        """The id that the file's name claims, if it claims one."""
        found = claimed_id(self.ids, file)
        return [found] if found else []

    def _examine(self, file: str) -> tuple[tuple[Reason, str] | None, str]:
        """Why the file is refused, or its digest."""
        fault = self._entry(file).fault or self._other_kind(file)
        if fault is not None:
            return fault, ""
        try:
            with self._at(file).open("rb") as stream:
                return None, fingerprint(stream)
        except FileNotFoundError as exc:
            raise self._gone(file, exc) from exc
        except OSError as exc:
            return (Reason.UNREADABLE, f"cannot be read: {exc.strerror}"), ""

    def _other_kind(self, file: str) -> tuple[Reason, str] | None:
        path = PurePosixPath(file)
        if any(part.startswith(".") for part in path.parts):
            return Reason.NOT_MEDIA, "hidden: a name on its path starts with a dot"
        suffix = path.suffix.lower().removeprefix(".")
        if suffix not in self.suffixes:
            return Reason.NOT_MEDIA, f"extension '{suffix[:20]}' is none of {self.holds}"
        return None

    def _entry(self, file: str) -> Entry:
        try:
            return entry_of(self.root, decode_name(file))
        except OSError as exc:
            raise self._gone(file, exc) from exc

    def _at(self, file: str) -> Path:
        return self.root / decode_name(file)
