"""Which file each item's sound or picture comes from, for the stages that decode it."""

from collections.abc import Mapping
from pathlib import Path

from connectors.folders import path_of
from tasks.settings import Catalogue

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
    comes first. `file` is as in the record's payload: percent-encoded, so open it by `media_path`. `value_hash` changes
    with the file's content. Reads `links` and `raw`.

    Args:
        catalogue: The catalogue.
        entity: `audio` or `image`.
    """
    sources = media_roots(catalogue, entity)
    if not sources:
        empty = "null::varchar as item_id, null::varchar as source, null::varchar as file, null::bigint as value_hash"
        return f"select {empty} where false"
    # Names of sources are letters, digits, dots and dashes: nothing to quote.
    ranks = " ".join(f"when '{name}' then {rank}" for rank, name in enumerate(sources))
    names = ", ".join(f"'{name}'" for name in sources)
    return (
        "select l.item_id, l.source, r.request_key as file, r.value_hash from links l "
        f"join raw r on r.source = l.source and r.request_key = l.source_id and r.entity = '{entity}' "
        f"where l.state = 'accepted' and l.source in ({names}) qualify row_number() over "
        f"(partition by l.item_id order by case l.source {ranks} end, l.source_id) = 1"
    )
