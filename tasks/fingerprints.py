"""What items are looked up by to find duplicates: fingerprints of sound and pictures, digests of words."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from connectors.titles import joined, names, read_name
from featurizers import acoustic, audio_fingerprint, image_fingerprint, text_identity
from featurizers.base import MediaError
from storage.hashing import digest
from storage.lazy import np, pa
from storage.media import MediaFiles
from storage.reasons import Reason
from storage.store import Store
from tasks.features import read_file
from tasks.settings import Catalogue
from tasks.stage import Stage, per_item, rows_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

TITLES_VERSION = "1"
AUDIO, IMAGE, TITLE = "audio_window", "image", "title"
TEXTS = ("overview", "lyrics")
# Two tracks of one artist may well have these titles without being one work.
_COMMON = frozenset("intro outro interlude skit untitled prelude opening ending finale theme bonus track".split())
Row = dict[str, Any]


def fingerprint_stages(catalogue: Catalogue) -> list[Stage]:
    """`media`, `texts` and `items` to `fingerprints`; where duplicates are not wanted, to none."""
    on = "reason is null" if catalogue.duplicates.find else "false"
    sound, picture = f"{acoustic.VERSION}-{audio_fingerprint.VERSION}", image_fingerprint.VERSION
    return [
        _stage("sound", (AUDIO,), sound, _media(AUDIO, on), _of_sound, 0.05),
        # The tracks of an album share one cover.
        _stage("pictures", (IMAGE,), picture, _media(IMAGE, f"{on} and {_NO_TRACK}"), _of_picture, 0.01),
        _stage("words", TEXTS, text_identity.VERSION, _texts(on), _of_text, 0.0005),
        _stage("titles", (TITLE,), TITLES_VERSION, _items(on), _of_title, 0.0005),
    ]


_NO_TRACK = "item_id not in (select item_id from items where kind = 'track')"


def _media(kind: str, where: str) -> str:
    return f"select item_id, kind, value_hash as hash, sha256, format from media where kind = '{kind}' and {where}"


def _texts(where: str) -> str:
    return f"select item_id, kind, value_hash as hash, value from texts where kind in {TEXTS} and {where}"


def _items(where: str) -> str:
    columns = "kind as of, title, creators"
    return f"select item_id, '{TITLE}' as kind, value_hash as hash, {columns} from items where {where}"


def _stage(
    what: str, kinds: Sequence[str], version: str, rows: str, one: Callable[[Row, MediaFiles], Row], seconds: float
) -> Stage:
    scope = ", ".join(f"'{kind}'" for kind in kinds)
    return Stage(
        name=f"fingerprints.{what}",
        version=version,
        reads={"words": ("texts",), "titles": ("items",)}.get(what, ("media", "items")),
        writes="fingerprints",
        scope=f"kind in ({scope})",
        inputs=f"select item_id, kind, hash as input_hash from ({rows})",
        load=f"select * exclude (hash) from ({rows})",
        compute=partial(fingerprints, one=one),
        chunk_keys=max(500, round(20 / seconds)),
        seconds_per_key=seconds,
    )


def fingerprints(rows: pa.Table, store: Store, *, one: Callable[[Row, MediaFiles], Row]) -> pa.Table:
    """A fingerprint for each row, or the reason why there is none."""
    media = MediaFiles(store.url)

    def tried(row: Row) -> Row:
        try:
            return one(row, media)
        except MediaError as exc:
            return {"reason": exc.reason, "detail": exc.detail}

    return rows_table("fingerprints", per_item(rows, ("item_id", "kind"), tried))


def _file(row: Row, media: MediaFiles) -> bytes:
    if (data := read_file(media, row)) is None:
        raise MediaError(Reason.INTERNAL_ERROR, "its media file is gone")
    return data


def _of_sound(row: Row, media: MediaFiles) -> Row:
    from featurizers.flac import decode_flac

    return sound_print(*decode_flac(_file(row, media)))


def sound_print(wave: NDArray[np.float32], rate_hz: int) -> Row:
    """`value`, `tones` and `keys` of one mono clip at 22,050 Hz."""
    made, chroma = audio_fingerprint.audio_fingerprint(wave, rate_hz), acoustic.chroma_frames(wave, rate_hz)
    tones = acoustic.chroma_keys(chroma)
    keys = [*made.keys.tolist(), *(tones + (3 << 32)).tolist()]  # groups 0 to 2 are those of the bits
    return {"value": made.to_bytes(), "tones": np.rint(chroma * 127).astype(np.int8).tobytes(), "keys": keys}


def _of_picture(row: Row, media: MediaFiles) -> Row:
    made = image_fingerprint.image_fingerprint(_file(row, media))
    return {"value": made.thumbnail.tobytes(), "keys": made.keys.tolist()}


def _of_text(row: Row, media: MediaFiles) -> Row:
    key = text_identity.text_key(row["value"])
    return {"keys": [] if key is None else [key]}


def _of_title(row: Row, media: MediaFiles) -> Row:
    return {"keys": title_keys(row["of"] or "", row["title"] or "", row["creators"] or ())}


def title_keys(kind: str, title: str, creators: Sequence[str]) -> list[int]:
    """A key of the title without version words, guests and editions; then one for each creator beside it.

    A title that many works have ("Intro") has the first key alone.
    """
    work = joined(read_name(title, tuple(creators)).ways[0]) if title.strip() else ""
    if not work:
        return []
    by = {joined(way) for creator in creators for way in names(creator)[:4]} if work not in _COMMON else set[str]()
    return [digest(f"{kind}|{work}".encode()), *(digest(f"{kind}|{work}|{name}".encode()) for name in sorted(by))]
