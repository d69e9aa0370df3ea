"""The items that the report shows: which, and their pictures, spectrograms and sounds as small files."""

# Annotations stay text: numpy and Pillow are imported at their first use.
from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from featurizers.base import MediaError
from storage.lazy import np
from storage.media import MediaFiles
from storage.schemas import table_of
from storage.store import Store, rows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 8
_CANDIDATES = 200  # of each kind, the best known of those that have most to show
_COVER_PIXELS, _COVER_QUALITY = 320, 80  # shorter side; about 20 kB as JPEG
_EXCERPT_S, _FADE_S = 12.0, 0.05  # as MP3 about 75 kB
_FRAMES, _LEVELS = 646, 64  # of a spectrogram as drawn: half of 30 s; a PNG of about 50 kB
_TICKS_HZ = (500, 1_000, 2_000, 5_000, 10_000)

# Eight points of matplotlib's `magma` (CC0), an eighth apart: dark is quiet, and equal steps look equal.
_MAGMA = (
    (0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122), (229, 80, 100), (251, 135, 97),
    (254, 194, 135), (252, 253, 191),
)  # fmt: skip


class Spectrogram(NamedTuple):
    """A Mel spectrogram as a picture, and its axes."""

    png: bytes
    start_s: float  # in the recording
    seconds: float
    ticks: list[tuple[str, float]]  # frequency, and how high it stands: 0 bottom, 1 top
    db_lo: float
    db_hi: float


class Excerpt(NamedTuple):
    """A stretch of a window as sound."""

    mp3: bytes
    start_s: float  # in the recording
    seconds: float


@dataclass(kw_only=True)
class Shown:
    """One item as the report shows it."""

    item_id: str
    kind: str
    title: str
    creators: list[str]
    year: int | None
    genres: list[str]
    text: str | None = None
    cover: bytes | None = None  # JPEG
    spectrogram: Spectrogram | None = None
    excerpt: Excerpt | None = None


# --- which


def choose(con: Any, most: int = MOST) -> list[Shown]:
    """Items with the most to show, the best known first: kinds in turn, of each a new genre every time."""
    queues: dict[str, list[Shown]] = {}
    for row in rows_of(con.sql(_CANDIDATE_SQL)):
        queues.setdefault(row["kind"], []).append(
            Shown(
                item_id=row["item_id"],
                kind=row["kind"],
                title=row["title"] or row["item_id"],
                creators=row["creators"] or [],
                year=row["year"],
                genres=row["genres"] or [],
            )
        )
    seen: set[str] = set()
    chosen: list[Shown] = []
    while queues and len(chosen) < most:
        for kind, queue in list(queues.items()):
            new = next((item for item in queue if not seen & set(item.genres)), queue[0])
            seen |= set(new.genres)
            chosen.append(new)
            queue.remove(new)
            if not queue:
                del queues[kind]
    return chosen[:most]


_CANDIDATE_SQL = f"""
with have as (
    select item_id, kind as what, duration_s from media where reason is null
    union all select item_id, kind, null from texts where reason is null and kind = 'overview'),
scored as (
    select item_id, 4 * bool_or(what = 'audio_window')::int + 2 * bool_or(what = 'image')::int
        + bool_or(what = 'overview')::int as score, coalesce(max(duration_s), 0) as seconds
    from have group by item_id),
known as (select item_id, sum(n) as n from plays_of_items group by item_id),
ranked as (
    select coalesce(i.kind, 'other') as kind, i.item_id, i.title, i.creators, i.year, i.genres, score,
        row_number() over (partition by i.kind order by score desc, coalesce(n, 0) desc,
            seconds desc, i.item_id) as place
    from items i join scored using (item_id) left join known using (item_id) where i.reason is null)
select * from ranked where place <= {_CANDIDATES} order by max(score) over (partition by kind) desc, kind, place
"""


def illustrate(store: Store, con: Any, items: Sequence[Shown], *, mel: bool) -> None:
    """Give the items their texts, covers, spectrograms and sounds; what cannot be read is left out.

    Args:
        store: Where the files lie.
        con: The database, with the views of `texts`, `media` and, with `mel`, of `features/mel`.
        items: What to illustrate.
        mel: Take the spectrograms of `features/mel`; else they are drawn from the windows.
    """
    files = MediaFiles(store.url)
    ids = [item.item_id for item in items]
    texts, media = _rows_of_items(con, "texts", ids), _rows_of_items(con, "media", ids)
    spectra = _rows_of_items(con, table_of("features/mel").view, ids) if mel else {}
    for item in items:
        said = {row["kind"]: row["value"] for row in texts.get(item.item_id, [])}
        document = said.get("document") or ""
        # A document of one line is the title.
        item.text = said.get("lyrics") or said.get("overview") or (document if "\n" in document else None)
        stored = {row["kind"]: row for row in media.get(item.item_id, [])}
        if picture := stored.get("image"):
            item.cover = _cover(files, picture)
        if window := stored.get("audio_window"):
            _illustrate_sound(files, item, window, spectra.get(item.item_id, []) if mel else None)


def _rows_of_items(con: Any, view: str, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Rows with a value by item, in one scan."""
    sql = f"select * from {view} where list_contains(?, item_id) and reason is null"
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows_of(con.sql(sql, params=[list(ids)])):
        found.setdefault(row["item_id"], []).append(row)
    return found


def _cover(files: MediaFiles, row: dict[str, Any]) -> bytes | None:
    from PIL import Image

    from featurizers.images import middle, normalise

    try:
        pixels = middle(normalise(files.read(row["sha256"], row["format"]), _COVER_PIXELS), 3)
    except (MediaError, FileNotFoundError):
        return None
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=_COVER_QUALITY, optimize=True)
    return out.getvalue()


# --- sound


def _illustrate_sound(
    files: MediaFiles, item: Shown, row: dict[str, Any], spectra: Sequence[dict[str, Any]] | None
) -> None:
    from featurizers.flac import decode_flac

    try:
        data = files.read(row["sha256"], row["format"])
        wave, rate_hz = decode_flac(data)
    except (MediaError, FileNotFoundError):
        return
    start_s = row["offset_s"] or 0.0
    item.excerpt = excerpt(wave, rate_hz, start_s)
    found = _drawn_mel(data) if spectra is None else _stored_mel(spectra)
    if found is not None:
        item.spectrogram = Spectrogram(draw(found[0]), start_s, len(wave) / rate_hz, _mel_ticks(rate_hz), *found[1:])


def excerpt(wave: NDArray[np.float32], rate_hz: int, start_s: float) -> Excerpt:
    """The middle of a mono window as MP3, softly faded."""
    import soundfile

    n = min(len(wave), round(_EXCERPT_S * rate_hz))
    first = (len(wave) - n) // 2
    part = np.clip(wave[first : first + n], -1, 1)
    fade = np.linspace(0, 1, min(round(_FADE_S * rate_hz), n // 2), dtype=np.float32)
    part[: len(fade)] *= fade
    part[n - len(fade) :] *= fade[::-1]
    out = io.BytesIO()
    soundfile.write(out, part, rate_hz, format="MP3")
    return Excerpt(out.getvalue(), start_s + first / rate_hz, n / rate_hz)


def _stored_mel(rows: Sequence[dict[str, Any]]) -> tuple[NDArray[np.uint8], float, float] | None:
    if not rows:
        return None
    row = rows[0]
    pixels = np.frombuffer(row["value"], np.uint8).reshape(row["bands"], row["frames"])
    return pixels, row["db_lo"], row["db_hi"]


def _drawn_mel(data: bytes) -> tuple[NDArray[np.uint8], float, float] | None:
    from featurizers.mel import Mel

    value = Mel()([data]).values[0]
    return None if value is None else (value.q, value.db_lo, value.db_hi)


def draw(mel: NDArray[np.uint8]) -> bytes:
    """A PNG of a spectrogram (bands, frames) of 0 to 255, low bands at the bottom, at most 646 frames wide."""
    from PIL import Image

    bands, frames = mel.shape
    width = min(frames, _FRAMES)
    edges = np.linspace(0, frames, width + 1).astype(np.int64)
    means = np.add.reduceat(mel.astype(np.float32), edges[:-1], axis=1) / np.diff(edges)
    levels = np.rint(means[::-1] * ((_LEVELS - 1) / 255)).astype(np.uint8)
    image = Image.frombytes("P", (width, bands), np.ascontiguousarray(levels).tobytes())
    at = np.linspace(0, len(_MAGMA) - 1, _LEVELS)
    palette = np.stack([np.interp(at, np.arange(len(_MAGMA)), channel) for channel in np.array(_MAGMA).T], axis=1)
    image.putpalette(np.rint(palette).astype(np.uint8).tobytes())
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _mel_ticks(rate_hz: int) -> list[tuple[str, float]]:
    """Where frequencies stand on the Mel axis: between the bands whose filters peak beside them."""
    from featurizers.spectrum import mel_bank

    bank = mel_bank(rate_hz)
    peaks_hz = bank.argmax(axis=1) * (rate_hz / 2 / (bank.shape[1] - 1))
    places = np.interp(_TICKS_HZ, peaks_hz, (np.arange(len(bank)) + 0.5) / len(bank))
    names = [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in _TICKS_HZ]
    return [(name, round(float(place), 4)) for name, place in zip(names, places, strict=True)]
