"""Links held against sound: what a live source plays for an item beside one's own recording of it.

Off unless the catalogue names folders in `audio.compare_with`. Each link that is accepted or in doubt is compared once,
and stays compared when another candidate takes its place; `tasks.matches` reads what came of it.
"""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.errors import ConnectorError
from featurizers.base import MediaError
from storage.hashing import digest_of
from storage.lazy import pa
from storage.media import MediaFiles
from storage.reasons import Reason
from storage.store import Store
from tasks.ask import in_threads, reason_of
from tasks.media_live import Downloads, live_media
from tasks.media_sources import media_path, media_roots, own_recordings
from tasks.settings import Catalogue, SourceSettings
from tasks.settings_stages import AudioSettings
from tasks.stage import Stage, rows_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = "1"
AROUND_S = 15.0  # of one's own recording, before and after the window: uploads have intros
DOUBT, SLOPE, LEAST, MOST = 0.7, 25.0, -8.0, 4.0
"""What a similarity adds to the logit: SLOPE for each unit above DOUBT, from LEAST to MOST; see docs/linking.md."""
_DOWNLOADS = 4  # at a time in each worker
Row = dict[str, Any]


def compared_sources(catalogue: Catalogue) -> dict[str, SourceSettings]:
    """The live sources whose sound is held against one's own recordings; none where the catalogue does not ask."""
    return live_media(catalogue, "audio") if catalogue.audio.compare_with else {}


def acoustic_stage(catalogue: Catalogue, source: str) -> Stage:
    """Links of one source to `acoustics`: how alike they sound to the item's own recording."""
    audio = catalogue.audio
    version = f"{VERSION}-{digest_of([audio.start_s, audio.length_s])}"
    return Stage(
        name=f"acoustic.{source}",
        version=version,
        reads=("links", "inputs", "raw", "media"),
        writes="acoustics",
        scope=f"source = '{source}'",
        inputs=_inputs(catalogue, source, version),
        load="select w.* exclude (input_hash), m.sha256, m.format from wanted w left join media m "
        f"on m.item_id = w.item_id and m.kind = 'audio_window' and m.source = '{source}' "
        "and m.source_url = w.source_id and m.reason is null",
        compute=partial(
            compare, source=source, settings=catalogue.sources[source], roots=_roots(catalogue), audio=audio
        ),
        chunk_keys=100,
        runs_in="workers",
        seconds_per_key=0.5,
    )


def _roots(catalogue: Catalogue) -> dict[str, str]:
    return {
        name: path for name, path in media_roots(catalogue, "audio").items() if name in catalogue.audio.compare_with
    }


def _inputs(catalogue: Catalogue, source: str, version: str) -> str:
    """SQL: the links to compare, and those that were compared before another candidate took their place."""
    return f"""
        with own as ({own_recordings(catalogue, catalogue.audio.compare_with)}),
        now as (
            select l.item_id, l.source, l.source_id, o.value_hash as input_hash, o.source as own_source,
                   o.file as own_file
            from links l join own o using (item_id)
            where l.source = '{source}' and l.state in ('accepted', 'review'))
        from now
        union all by name
        select a.item_id, a.source, a.source_id, a.input_hash, a.own_source, a.own_file
        from acoustics a semi join own on own.item_id = a.item_id and own.value_hash = a.input_hash
        anti join now using (item_id, source, source_id)
        where a.source = '{source}' and a.version = '{version}' and a.reason is null"""


def compare(
    rows: pa.Table,
    store: Store,
    *,
    source: str,
    settings: SourceSettings,
    roots: dict[str, str],
    audio: AudioSettings,
) -> pa.Table:
    """One row per link: similarity and offset, or why there is none."""
    from featurizers.acoustic import chroma_frames, similarity

    keys = [(source, found) for found in rows.column("source_id").to_pylist()]
    media = MediaFiles(store.url)
    with Downloads({source: settings}, store, "audio", keys) as downloads:

        def one(row: Row) -> Row:
            said = {name: row[name] for name in ("own_source", "own_file")}
            try:
                mine = _window(
                    media_path(roots, row["own_source"], row["own_file"]),
                    start_s=max(0.0, audio.start_s - AROUND_S),
                    length_s=audio.length_s + 2 * AROUND_S,
                )
                theirs = _theirs(row, media, downloads, source, audio)
            except MediaError as exc:
                return said | {"reason": exc.reason, "detail": exc.detail}
            except ConnectorError as exc:
                return said | reason_of(exc, settings)
            except OSError as exc:
                return said | {"reason": Reason.NOT_FOUND, "detail": f"one's own recording: {exc.strerror}"}
            found = similarity(*(chroma_frames(wave, 22_050) for wave in (theirs, mine)))
            if found is None:
                return said | {"reason": Reason.TOO_SHORT, "detail": "too little overlaps"}
            return said | {"similarity": round(found[0], 4), "lead_s": round(found[1], 2)}

        return rows_table("acoustics", in_threads(rows, ("item_id", "source", "source_id"), one, threads=_DOWNLOADS))


def _theirs(row: Row, media: MediaFiles, downloads: Downloads, source: str, audio: AudioSettings) -> NDArray[Any]:
    """The window that is stored; of a link in doubt, or where another source's is stored, one fetched for this."""
    from featurizers.flac import decode_flac

    if row["sha256"]:
        return decode_flac(media.read(row["sha256"], row["format"]))[0]
    path = downloads.sound(source, row["source_id"])
    try:
        return _window(path, start_s=audio.start_s, length_s=audio.length_s)
    finally:
        path.unlink(missing_ok=True)


def _window(path: Path, *, start_s: float, length_s: float) -> NDArray[Any]:
    from featurizers.audio import decode_window

    return decode_window(path, start_s=start_s, length_s=length_s).wave


def heard(catalogue: Catalogue, source: str) -> str:
    """SQL: item_id, source_id, similarity and `shift`, what it adds to the link's logit; no row where it is off."""
    rows = f"from acoustics where source = '{source}' and reason is null"
    shift = f"greatest({LEAST}, least({MOST}, {SLOPE} * (similarity - {DOUBT})))"
    off = "" if source in compared_sources(catalogue) else " and false"
    return f"select item_id, source_id, similarity, {shift} as shift {rows}{off}"
