"""Which file each item's sound or picture comes from, for the stages that decode it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from connectors.folders import path_of
from connectors.registry import LIVE
from tasks.media_live import live_media
from tasks.settings import Catalogue
from tasks.settings_stages import check_name

FOLDERS = {"audio": "music_folder", "image": "image_folder"}
"""Raw entity of a media file, and the connector that gives it."""


def media_roots(catalogue: Catalogue, entity: str) -> dict[str, str]:
    """`path` of each source that has such files, by the source's name, in the catalogue's order.

    Raises:
        ValueError: No source gives that entity.
    """
    if entity not in FOLDERS:
        raise ValueError(f"unknown media entity '{entity}'; known: {', '.join(FOLDERS)}")
    return {name: s.path for name, s in catalogue.sources.items() if s.connector == FOLDERS[entity]}


def media_path(roots: Mapping[str, str], source: str, file: str) -> Path:
    """Where a file that `wanted_media` names lies; `roots` are those of `media_roots`."""
    return path_of(roots[source], file)


def wanted_media(catalogue: Catalogue, entity: str) -> str:
    """SQL: item_id, source, file and value_hash of the one file that an item's sound or picture is taken from.

    An item with several files takes that of the first source in the catalogue, and of one source the file whose path
    comes first. `file` is as in the record's payload: percent-encoded, so open it by `media_path`; of a live source it
    is the entity's id. `value_hash` changes with the file's content, or with what says where it lies. Reads `links` and
    `raw`.

    Args:
        catalogue: The catalogue.
        entity: `audio` or `image`.
    """
    folders, live = media_roots(catalogue, entity), live_media(catalogue, entity)
    parts: list[str] = []
    # Names of sources are letters, digits, dots and dashes: nothing to quote.
    if folders:
        parts.append(_described(folders, f"r.entity = '{entity}'"))
    if live and entity == "image":
        said = ", ".join(f"('{name}', '{LIVE[s.connector].described_by}')" for name, s in live.items())
        parts.append(_described(live, f"(r.source, r.entity) in ({said}) and r.body is not null"))
    if live and entity == "audio":
        hashed = "(md5_number_lower(l.source_id)::hugeint % 9223372036854775807)::bigint"
        names = ", ".join(f"'{name}'" for name in live)
        parts.append(
            f"select l.item_id, l.source, l.source_id as file, {hashed} as value_hash, l.source_id "
            f"from links l where l.state = 'accepted' and l.source in ({names})"
        )
    if not parts:
        empty = "null::varchar as item_id, null::varchar as source, null::varchar as file, null::bigint as value_hash"
        return f"select {empty} where false"
    ranks = " ".join(f"when '{name}' then {rank}" for rank, name in enumerate(catalogue.sources))
    return (
        f"select item_id, source, file, value_hash from ({' union all '.join(parts)}) "
        f"qualify row_number() over (partition by item_id order by case source {ranks} end, source_id) = 1"
    )


def own_recordings(catalogue: Catalogue, folders: Iterable[str]) -> str:
    """SQL: item_id, source, file and value_hash of the one recording that an item has in these folders.

    Raises:
        ValueError: One of them is no folder of recordings in the catalogue.
    """
    known = media_roots(catalogue, "audio")
    for name in folders:
        check_name("folder of recordings", name, known)
    described = _described(folders, "r.entity = 'audio'")
    return (
        f"select item_id, source, file, value_hash from ({described}) "
        "qualify row_number() over (partition by item_id order by source, source_id) = 1"
    )


def spare_media(catalogue: Catalogue) -> str:
    """SQL: item_id, source and `spares`, the likeliest first: sounds of live sources that were likely enough, too.

    They stand in for the one that was accepted where it is private, gone or of no use. For pending items.
    """
    from tasks.matches import thresholds  # here: matches are made of what is heard, which is taken from here

    least = {name: thresholds(settings)[0] for name, settings in live_media(catalogue, "audio").items()}
    enough = " or ".join(f"(source = '{name}' and probability >= {accept})" for name, accept in least.items())
    return (
        "select item_id, source, list(source_id order by probability desc, source_id) as spares from links "
        f"where state = 'rejected' and method not in ('decided', 'taken_down') and ({enough}) "
        "and item_id in (select item_id from pending) group by item_id, source"
    )


def _described(sources: Iterable[str], which: str) -> str:
    names = ", ".join(f"'{name}'" for name in sources)
    return (
        "select l.item_id, l.source, r.request_key as file, r.value_hash, l.source_id from links l "
        f"join raw r on r.source = l.source and r.request_key = l.source_id and {which} "
        f"where l.state = 'accepted' and l.source in ({names})"
    )
