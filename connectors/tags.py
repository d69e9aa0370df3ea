"""What the tags of an audio file claim, in any format that mutagen reads."""

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from connectors.rows import printable

VALUES = 20  # of one field; a tag can repeat it as often as it likes
TEXT_CHARACTERS = 1_000  # of one value

# Vorbis comments and APE; ID3 (MP3, AIFF, WAV); MP4; ASF (WMA).
NAMES = {
    "title": ("title", "TIT2", "\xa9nam", "Title"),
    "artist": ("artist", "TPE1", "\xa9ART", "Author"),
    "album": ("album", "TALB", "\xa9alb", "WM/AlbumTitle"),
    "date": ("date", "year", "TDRC", "\xa9day", "WM/Year"),
    "genre": ("genre", "TCON", "\xa9gen", "WM/Genre"),
    "isrc": ("isrc", "TSRC", "----:com.apple.iTunes:ISRC", "WM/ISRC"),
    # Picard's mapping: the id of the recording (https://picard-docs.musicbrainz.org/en/appendices/tag_mapping.html).
    "musicbrainz_trackid": (
        "musicbrainz_trackid",
        "UFID:http://musicbrainz.org",
        "----:com.apple.iTunes:MusicBrainz Track Id",
        "MusicBrainz/Track Id",
    ),
}

# What parsers of strangers' bytes raise besides their own error (mutagen 1.48 over damaged files, 2026-11).
_BROKEN = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, EOFError, OSError),
    *(RecursionError, NotImplementedError, MemoryError, struct.error, zlib.error),
)


def read_tags(stream: BinaryIO) -> dict[str, Any]:
    """The fields of `NAMES` that there are, as lists of text, and `duration_s` as the header claims it.

    A file without tags, or with broken ones, gives what could be read: it may still hold audio.
    """
    import mutagen

    opened: Any = mutagen
    try:
        file: Any = opened.File(stream)
        if file is None:
            return {}
        found = {field: values for field, names in NAMES.items() if (values := _values(file.tags, names))}
        return {**found, **_duration(file)}
    except (mutagen.MutagenError, *_BROKEN):
        return {}


def _values(tags: Any, names: tuple[str, ...]) -> list[str]:
    """The text of the first of these names that has any."""
    for name in names:
        try:
            value = tags.get(name) if tags is not None else None
        except (ValueError, KeyError):  # Vorbis comments refuse names that are not theirs
            continue
        if texts := [text for text in _texts(value) if text]:
            return texts[:VALUES]
    return []


def _texts(value: Any) -> Iterator[str]:
    """Every text in a tag's value: a list, an ID3 frame, a number, bytes."""
    for attribute in ("genres", "text", "data", "value"):
        if hasattr(value, attribute):
            yield from _texts(getattr(value, attribute))
            return
    if isinstance(value, list | tuple):
        for each in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _texts(each)
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace").strip("\x00 ")[:TEXT_CHARACTERS]
    elif value is not None:
        yield printable(str(value)).strip("\x00 ")[:TEXT_CHARACTERS]


def _duration(file: Any) -> dict[str, float]:
    seconds = getattr(file.info, "length", None)
    known = isinstance(seconds, int | float) and math.isfinite(seconds) and seconds > 0
    return {"duration_s": round(float(seconds), 3)} if known and seconds is not None else {}
