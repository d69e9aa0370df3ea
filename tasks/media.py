"""Files of recordings and pictures to `media`: one window per recording, each picture as received once it is proven."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from connectors.errors import ConnectorError
from featurizers.base import MediaError
from storage.hashing import digest_of
from storage.lazy import pa
from storage.media import MediaFiles
from storage.reasons import Reason
from storage.store import Store
from tasks.ask import in_threads, reason_of
from tasks.media_live import Downloads, live_media
from tasks.media_sources import media_path, media_roots, spare_media, wanted_media
from tasks.refusals import Refusals
from tasks.settings import Catalogue, SourceSettings
from tasks.settings_stages import AudioSettings
from tasks.stage import Stage, rows_table

AUDIO_VERSION = "3"
IMAGE_VERSION = "2"
Row = dict[str, Any]
WINDOW, NATIVE, IMAGE = "audio_window", "audio_native", "image"
FETCHES = 8  # downloads at a time in each worker; they wait for the network
_READS = ("links", "inputs", "raw")
_NO_OTHER_WINDOW = ("keep_native_window", "compare_with")  # settings of `audio` that change no window


def media_stages(catalogue: Catalogue) -> list[Stage]:
    """The windows and the pictures, of the sources that have any."""
    sounds, pictures = (Places.of(catalogue, kind) for kind in ("audio", "image"))
    return ([audio_stage(catalogue, sounds)] if sounds else []) + (
        [image_stage(catalogue, pictures)] if pictures else []
    )


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where files of one kind come from."""

    kind: str  # audio, image
    roots: dict[str, str]  # folder of each source of files
    live: dict[str, SourceSettings]

    @classmethod
    def of(cls, catalogue: Catalogue, kind: str) -> Places:
        """Those of a catalogue."""
        return cls(kind=kind, roots=media_roots(catalogue, kind), live=live_media(catalogue, kind))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.roots or self.live)


def audio_stage(catalogue: Catalogue, places: Places) -> Stage:
    """Recordings to `media`: a window each, and the same at its native rate where the catalogue keeps it."""
    kinds = f"('{WINDOW}'), ('{NATIVE}')" if catalogue.audio.keep_native_window else f"('{WINDOW}')"
    spares = f"left join ({spare_media(catalogue)}) using (item_id, source)" if places.live else ""
    return Stage(
        name="audio",
        version=_version(catalogue.audio),
        reads=_READS,
        writes="media",
        scope=f"kind in ('{WINDOW}', '{NATIVE}')",
        inputs=_inputs(catalogue, "audio", kinds),
        load=f"select * exclude (input_hash) from wanted {spares}",
        compute=partial(cut_windows, places=places, settings=catalogue.audio),
        outside=partial(str, kinds),  # not of the version: rows of the one kind stay when the other is asked for
        chunk_keys=200,
        beside=("refusals",),
        runs_in="workers",
        seconds_per_key=0.15,
    )


def _version(settings: AudioSettings) -> str:
    return f"{AUDIO_VERSION}-{digest_of(settings.model_dump(exclude={*_NO_OTHER_WINDOW}))}"


def image_stage(catalogue: Catalogue, places: Places) -> Stage:
    """Pictures to `media`, as received."""
    return Stage(
        name="images",
        version=IMAGE_VERSION,
        reads=_READS,
        writes="media",
        scope=f"kind = '{IMAGE}'",
        inputs=_inputs(catalogue, "image", f"('{IMAGE}')"),
        compute=partial(prove_pictures, places=places),
        chunk_keys=500 if places.live else 1_000,  # so that the covers of one night are shared by the workers
        runs_in="workers",
        seconds_per_key=0.003,
    )


def _inputs(catalogue: Catalogue, entity: str, kinds: str) -> str:
    return (
        f"select item_id, kind, value_hash as input_hash, source, file "
        f"from ({wanted_media(catalogue, entity)}), (values {kinds}) kinds(kind)"
    )


def cut_windows(rows: pa.Table, store: Store, *, places: Places, settings: AudioSettings) -> pa.Table:
    """The window of each recording, stored as FLAC: mono at 22,050 Hz, or as it is for the kind `audio_native`."""
    from featurizers.audio import decode_window
    from featurizers.flac import encode_flac

    files = MediaFiles(store.url)

    def one(path: Any, kind: str) -> Row:
        window = decode_window(path, start_s=settings.start_s, length_s=settings.length_s, keep_native=kind == NATIVE)
        wave, rate_hz = window.wave, window.rate_hz
        if window.native is not None:
            wave, rate_hz = window.native, window.native_rate_hz
        data = encode_flac(wave, rate_hz)
        return {
            "sha256": files.put(data, "flac"),
            "format": "flac",
            "size_bytes": len(data),
            "rate_hz": rate_hz,
            "channels": 1 if wave.ndim == 1 else wave.shape[1],
            "offset_s": window.offset_s,
            "duration_s": window.duration_s,
            "source_format": window.source_format,
            "source_rate_hz": window.source_rate_hz,
            "source_duration_s": window.source_duration_s,
        }

    return _of_files(rows, store, places, one, _version(settings))


def prove_pictures(rows: pa.Table, store: Store, *, places: Places) -> pa.Table:
    """Each picture as received, once its first frame has been decoded in full."""
    from featurizers.images import MAX_BYTES, prove

    files = MediaFiles(store.url)

    def one(file: Path | bytes, kind: str) -> Row:
        data = file if isinstance(file, bytes) else _start(file, MAX_BYTES + 1)  # what is larger is refused by its size
        facts = prove(data)
        return {
            "sha256": files.put(data, facts.format),
            "format": facts.format,
            "size_bytes": len(data),
            "width": facts.width,
            "height": facts.height,
            "mode": facts.mode,
            "orientation": facts.orientation,
            "frames": facts.frames,
        }

    return _of_files(rows, store, places, one, IMAGE_VERSION)


def _start(path: Path, size_bytes: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(size_bytes)


def _of_files(rows: pa.Table, store: Store, places: Places, one: Callable[[Any, str], Row], version: str) -> pa.Table:
    """`one(file, kind)` for each row, of a path or of a fetched picture's bytes; a file that fails is a reason."""
    asked = [(row["source"], name) for row in rows.to_pylist() for name in _files(row)]
    keys = [(source, name) for source, name in asked if source in places.live]
    refusals = Refusals(store, places.kind, version, keys)
    decoding = Lock()  # downloads wait for each other's network, but pictures of 100 MB are decoded one by one

    def alone(file: Path | bytes, kind: str) -> Row:
        with decoding:
            return one(file, kind)

    with Downloads(places.live, store, places.kind, keys) as downloads:

        def tried(row: Row, file: str) -> Row:
            said = {"source": row["source"], "source_url": file}
            try:
                if row["source"] in downloads:
                    return said | _fetched(downloads, row["source"], file, partial(alone, kind=row["kind"]))
                return said | alone(media_path(places.roots, row["source"], file), row["kind"])
            except MediaError as exc:
                return said | {"reason": exc.reason, "detail": exc.detail}
            except ConnectorError as exc:
                return said | reason_of(exc, places.live[row["source"]])
            except FileNotFoundError:
                return said | {"reason": Reason.NOT_FOUND, "detail": "the file is gone since it was listed"}
            except PermissionError:
                return said | {"reason": Reason.DECODE_ERROR, "detail": "the file cannot be read: no permission"}

        def first(row: Row) -> Row:
            if row["source"] not in downloads or places.kind != "audio":  # a picture may have moved: ask anew
                return tried(row, row["file"])
            named = {"source": row["source"], "source_url": row["file"]}
            return named | refusals.first_of(row["source"], _files(row), partial(tried, row))

        out = in_threads(rows, ("item_id", "kind"), first, threads=FETCHES if places.live else 1)
    refusals.flush()
    return rows_table("media", out)


def _files(row: Row) -> list[str]:
    """The file that a row is of, and of a live source those that may stand in for it."""
    return [row["file"], *(row.get("spares") or ())]


def _fetched(downloads: Downloads, source: str, file: str, one: Callable[[Path | bytes], Row]) -> Row:
    if downloads.kind == "image":
        return one(downloads.picture(source, file))
    path = downloads.sound(source, file)
    try:
        return one(path)
    finally:
        path.unlink(missing_ok=True)
