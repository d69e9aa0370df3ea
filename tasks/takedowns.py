"""What was taken down, within answers of live sources: pages of plays, playlists, charts and searches name many items.

Ids are compared as digests, as `takedowns` holds nothing else; predicates of deletions, which commit logs keep, name
digests alone for the same reason.
"""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import md5
from typing import Any

from connectors.lastfm_answers import name_of, track_path
from storage.hashing import digest, entity_id
from storage.lazy import pa
from storage.schemas import table_of
from storage.store import Store
from tasks.entities import DESCRIBING, NAMESPACES, namespace_of

LISTINGS = frozenset({"search", "find", "isrc", "plays", "playlist", "playlist_rows", "chart"})
"""Raw entities of live sources whose answers list items, in lists at whatever depth."""
_WITHIN = ("track", "item", "result", "song")  # where a list's element has the item, unless it is the item itself
_ROWS = 2_000  # answers looked through at once; a search has about 20 kB
Pairs = set[tuple[str, str]]  # source, and an id or a question there


def taken_down(store: Store) -> frozenset[str]:
    """Digests of all that was taken down."""
    rows = store.database(only=("takedowns",)).sql("select entity_id from takedowns").fetchall()
    return frozenset(name for (name,) in rows)


def without(payload: Any, namespace: str, taken: Collection[str]) -> Any:
    """An answer of `LISTINGS` without what was taken down; the same object where it names none of it."""
    if not taken or not isinstance(payload, Mapping):
        return payload
    kept: dict[str, Any] = {}
    for name, value in payload.items():
        if isinstance(value, list):
            left = [one for one in value if not _names(one, namespace, taken)]
            kept[name] = left if len(left) < len(value) else value
        elif not _is(value, namespace, taken):  # a list of one is its one in Last.fm's answers
            kept[name] = without(value, namespace, taken)
    same = kept.keys() == payload.keys() and all(kept[name] is payload[name] for name in kept)
    return payload if same else kept


def _names(one: Any, namespace: str, taken: Collection[str]) -> bool:
    """Whether an element of a list is, or wraps, what was taken down."""
    return isinstance(one, Mapping) and any(_is(own, namespace, taken) for own in (one, *map(one.get, _WITHIN)))


def _is(own: Any, namespace: str, taken: Collection[str]) -> bool:
    return any(entity_id(namespace, id_) in taken for id_ in _ids(own))


def _ids(own: Any) -> Iterator[str]:
    """Under which ids an element may be known: its own, and the path that Last.fm's tracks are known by."""
    if isinstance(own, Mapping):
        if own.get("id"):
            yield str(own["id"])
        artist, title = name_of(own.get("artist")), name_of(own)
        if artist and title:
            yield track_path(artist, title)


# --- what a take-down finds


class Named:
    """Where the entities of a take-down are known by name: ids at each source, and the questions asked for them."""

    def __init__(self, store: Store, entities: Iterable[str]) -> None:
        """`entities` are digests; an item's id is that of its first entity."""
        self._store, self._taken = store, frozenset(entities)
        con = store.database(only=("links", "entities", "matches", "quarantine"))
        self._namespaces = _namespaces(con)
        con.register("taken", pa.table({"entity_id": pa.array(sorted(self._taken), pa.string())}))
        self.ids: Pairs = set(
            con.sql(
                "select source, source_id from links__rows semi join taken using (entity_id) "
                "union select source, source_id from entities__rows semi join taken using (entity_id)"
            ).fetchall()
        )
        rows = con.sql(
            "select source, evidence, item_id in (select entity_id from taken) as own, candidates, value_hash "
            "from matches__rows"
        ).fetchall()
        mine = {(source, name) for source, said, own, _, _ in rows if own for name in _asked(said)}
        others = {(source, name) for source, said, own, _, _ in rows if not own for name in _asked(said)}
        # What was asked for a namesake as well names nothing that may not be named.
        self.questions: Pairs = mine - others
        # Rows of other items among whose candidates they are: the next build makes them anew, from what was answered.
        offered = [(source, found, h) for source, _, own, found, h in rows if found and not own]
        self.offered = {h for source, found, h in offered if any((source, id_) in self.ids for id_ in found)}
        # A refused row has no id, but what it says may be the title and the artist.
        self.refused = con.sql(
            "select distinct md5(q.text) from quarantine__rows q, "
            "(from entities__rows semi join taken using (entity_id)) e "
            "where contains(q.text, e.title) and contains(q.text, e.creators[1]) and e.title <> ''"
        ).fetchall()
        self._hashes, self.left = self._answers()

    def where(self) -> dict[str, str]:
        """Per table, in SQL that DuckDB and Delta both read, the rows that name them without naming their digests."""
        told = self.ids | {(source, name.split(":", 1)[1]) for source, name in self.questions}
        found = {
            "raw": _in("value_hash", map(str, sorted(self._hashes))),
            "matches": _in("value_hash", map(str, sorted(self.offered))),
            "quarantine": _in("md5(text)", (f"'{hash_}'" for (hash_,) in sorted(self.refused))),
            "inputs": _by_digest("part", self.ids),
            "drifts": _by_digest("request_key", told),
            "decisions": _by_digest("source_id", self.ids),
            "refusals": _by_digest("source_id", self.ids),
            "acoustics": _by_digest("source_id", self.ids),
        }
        return {name: sql for name, sql in found.items() if sql and name in self._store.tables()}

    def _answers(self) -> tuple[set[int], pa.Table]:
        """Hashes of the answers that speak of them, and what is left of those that speak of others too."""
        con = self._store.database(only=("raw",))
        rows = con.sql("select source, entity, request_key, value_hash from raw__rows where load_id is null").fetchall()
        gone = {
            hash_
            for source, entity, key, hash_ in rows
            if (source, key) in self.ids or (source, f"{entity}:{key}") in self.questions
        }
        names = ", ".join(f"'{name}'" for name in sorted(LISTINGS))
        found = con.sql(f"select * from raw__rows where body is not null and entity in ({names})")
        left = [
            (row, rest)
            for batch in found.to_arrow_reader(_ROWS)
            for row in batch.to_pylist()
            if row["value_hash"] not in gone and (rest := self._rest(row))
        ]
        schema = table_of("raw").schema
        return gone | {row["value_hash"] for row, _ in left}, pa.Table.from_pylist([rest for _, rest in left], schema)

    def _rest(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """The row without them; None where it has none of them."""
        said = json.loads(row["body"])
        rest = without(said, self._namespaces.get(row["source"], ""), self._taken)
        if rest is said:
            return None
        body = json.dumps(rest, ensure_ascii=False).encode()
        return row | {"body": body, "value_hash": digest(body)}


def _namespaces(con: Any) -> dict[str, str]:
    """Whose ids each source's are, told from any of its entities."""
    rows = con.sql(
        "select source, arg_min(entity_id, source_id), min(source_id) from ("
        "select source, source_id, entity_id from links__rows union all "
        "select source, source_id, entity_id from entities__rows) where entity_id is not null group by source"
    ).fetchall()
    return {
        source: namespace
        for source, entity, id_ in rows
        for namespace in {*NAMESPACES.values(), *(namespace_of(source, name) for name in DESCRIBING)}
        if entity_id(namespace, id_) == entity
    }


def _asked(evidence: str | None) -> list[str]:
    return json.loads(evidence)["asked"] if evidence else []


def _in(column: str, values: Iterable[str]) -> str:
    listed = ", ".join(values)
    return f"{column} in ({listed})" if listed else ""


def _hex(value: str) -> str:
    return md5(value.encode(), usedforsecurity=False).hexdigest()


def _by_digest(column: str, pairs: Pairs) -> str:
    """SQL: rows of these sources whose column has one of these values; empty where there are none."""
    by_source: dict[str, list[str]] = {}
    for source, value in sorted(pairs):
        by_source.setdefault(source, []).append(_hex(value))
    quoted = {source: ", ".join(f"'{name}'" for name in names) for source, names in by_source.items()}
    return " or ".join(f"(source = '{source}' and md5({column}) in ({names}))" for source, names in quoted.items())
