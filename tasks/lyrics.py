"""Lyrics of each track, out of the pages of the source that has them."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
from typing import Any

from storage.lazy import pa
from storage.reasons import Reason
from storage.store import Store
from tasks.settings import Catalogue
from tasks.stage import Stage, per_item, rows_table

VERSION = "2"
LYRICS = "lyrics"
Row = dict[str, Any]


def lyrics_stages(catalogue: Catalogue) -> list[Stage]:
    """`links` and `raw` to `texts`, of the first source that has lyrics; none where no source has."""
    sources = [name for name, s in catalogue.sources.items() if s.connector == "genius"]
    if not sources:
        return []
    # Why there is no page is part of what a text is made of: a link that is taken back leaves no `quota` behind.
    why = "(md5_number_lower(p.reason)::hugeint % 9223372036854775807)::bigint"
    pages = (
        "select l.item_id, r.value_hash, r.body, i.reason from links l "
        "left join inputs i on i.source = l.source and i.part = l.source_id and i.entity = 'page' "
        "left join raw r on r.source = l.source and r.request_key = l.source_id and r.entity = 'page' "
        f"where l.source = '{sources[0]}' and l.state = 'accepted'"
    )
    return [
        Stage(
            name=LYRICS,
            version=VERSION,
            reads=("items", "links", "inputs", "raw"),
            writes="texts",
            scope=f"kind = '{LYRICS}'",
            inputs=f"select t.item_id, '{LYRICS}' as kind, coalesce(p.value_hash, {why}, 0) as input_hash "
            f"from items t left join ({pages}) p using (item_id) where t.kind = 'track'",
            load=f"select t.item_id, '{LYRICS}' as kind, t.language, p.body, p.reason as why "
            f"from items t left join ({pages} and l.item_id in (select item_id from pending)) p using (item_id) "
            "where t.kind = 'track'",
            compute=read_lyrics,
            chunk_keys=500,
            seconds_per_key=0.01,
        )
    ]


def read_lyrics(rows: pa.Table, store: Store) -> pa.Table:
    """One text per track; an instrumental is `empty`, which is a value."""
    from connectors.genius_pages import lyrics_of

    def one(row: Row) -> Row:
        if row["body"] is None:
            return {"reason": row["why"] or Reason.NOT_FOUND, "detail": "no page of lyrics"}
        found = lyrics_of(json.loads(row["body"])["html"])
        if found.state == "instrumental":
            return {"reason": Reason.EMPTY, "detail": "instrumental"}
        if not found.text:
            return {"reason": Reason.NOT_FOUND, "detail": f"a page without lyrics: {found.state}"}
        return {"value": found.text, "language": found.language or row["language"]}

    return rows_table("texts", per_item(rows, ("item_id", "kind"), one))
