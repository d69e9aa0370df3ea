"""One row per track or film, and who rated or played them."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from storage.hashing import digest_of
from storage.lazy import pa
from storage.schemas import table_of
from storage.store import Store
from tasks.entities_live import profile_of
from tasks.settings import Catalogue
from tasks.stage import Stage, per_item, rows_table

VERSION = "2"
Row = dict[str, Any]

# What an item may take from an entity, ids and overview included.
DESCRIPTION = (
    "kind", "title", "creators", "album", "year", "duration_ms", "isrc", "mbid", "genres", "language", "explicit",
    "attributes", "overview", "keywords", "actors", "adult",
)  # fmt: skip
_ITEM_COLUMNS = tuple(name for name in DESCRIPTION if name in table_of("items").names)


class Members:
    """The entities behind each item, as SQL, and the rule that merges what they say."""

    def __init__(self, catalogue: Catalogue, *, before: str | None = None) -> None:
        """Sources count in the catalogue's order, up to the one `before` another; `fields` limits what one may say."""
        names = list(catalogue.sources)
        self.ranks = {name: rank for rank, name in enumerate(names[: names.index(before)] if before else names)}
        self.fields = {name: s.fields for name, s in catalogue.sources.items() if s.fields is not None}
        self.version = digest_of([self.ranks, self.fields])
        whens = " ".join(f"when '{name}' then {rank}" for name, rank in self.ranks.items())
        self._rank = f"case l.source {whens} end"
        self._claims = (
            "links l join entities e using (source, source_id) where l.state = 'accepted' and e.reason is null"
            + (f" and l.source in ({', '.join(map(repr, self.ranks))})" if before else "")
        )

    @property
    def hashes(self) -> str:
        """SQL: item_id and a digest of its members, whatever their order."""
        # The rank is in the digest, so that two sources that swap what they say are a change.
        value = f"md5_number_lower(concat({self._rank}, ':', e.value_hash))::hugeint"
        return (
            f"select l.item_id, (sum({value}) % 9223372036854775807)::bigint as input_hash "
            f"from {self._claims} group by l.item_id"
        )

    @property
    def names(self) -> str:
        """SQL: item_id, kind, and a digest of what tells its members apart from other works: what is searched by."""
        told = ", ".join(f"e.{name}::varchar" for name in ("title", "creators", "album", "year", "duration_ms", "isrc"))
        value = f"md5_number_lower(concat_ws('|', {self._rank}, {told}, e.ids::varchar))::hugeint"
        return (
            f"select l.item_id, any_value(e.kind) as kind, (sum({value}) % 9223372036854775807)::bigint as input_hash "
            f"from {self._claims} group by l.item_id"
        )

    @property
    def ids(self) -> str:
        """SQL: item_id and `ids`, all that its members carry, for pending items."""
        return (
            f"select l.item_id, list_distinct(flatten(list(e.ids order by {self._rank}))) as ids from {self._claims} "
            "and l.item_id in (select item_id from pending) group by l.item_id"
        )

    @property
    def rows(self) -> str:
        """SQL: item_id and `members`, the list of its entities in the catalogue's order, for pending items."""
        columns = ", ".join(f"e.{name}" for name in DESCRIPTION)
        return (
            f"select l.item_id, list(struct_pack({columns}, source := l.source) order by {self._rank}, l.source_id) "
            # Asked here: a join with `pending` from outside would gather the members of every item first.
            f"as members from {self._claims} and l.item_id in (select item_id from pending) group by l.item_id"
        )

    def merge(self, members: Sequence[Mapping[str, Any]]) -> Row:
        """For each field the first member's that has it; numbers of all members together, the first one's winning."""
        merged: Row = dict.fromkeys(DESCRIPTION)
        numbers: dict[str, float] = {}
        for member in members:
            allowed = self.fields.get(member["source"])
            for name in DESCRIPTION if allowed is None else allowed:
                if name == "attributes":
                    numbers = dict(member[name] or ()) | numbers
                elif merged[name] is None and member[name] != []:
                    merged[name] = member[name]
        return merged | {"attributes": dict(sorted(numbers.items()))}


def items_stage(catalogue: Catalogue) -> Stage:
    """`links` and `entities` to `items`."""
    members = Members(catalogue)
    return Stage(
        name="items",
        version=f"{VERSION}-{members.version}",
        reads=("links", "entities"),
        writes="items",
        inputs=members.hashes,
        load=members.rows,
        compute=partial(merge_items, members=members),
        chunk_keys=20_000,
        seconds_per_key=0.0001,
    )


def merge_items(rows: pa.Table, store: Store, *, members: Members) -> pa.Table:
    """One item per row of `members`."""

    def one(row: Row) -> Row:
        merged = members.merge(row["members"])
        return {name: merged[name] for name in _ITEM_COLUMNS}

    return rows_table("items", per_item(rows, ("item_id",), one))


def users_stage(catalogue: Catalogue) -> Stage:
    """Everyone in `interactions`, with the profile where the source gives one."""
    profile = (
        "(select source || ':' || request_key as user_id, source, body, value_hash from raw where entity = 'user')"
    )
    everyone = (
        "(select user_id, any_value(source) as source from interactions group by user_id) seen "
        f"full join {profile} profile using (user_id)"
    )
    return Stage(
        name="users",
        version=VERSION,
        reads=("inputs", "interactions", "raw"),
        writes="users",
        inputs=f"select user_id, coalesce(value_hash, 0) as input_hash from {everyone}",
        load=f"select user_id, coalesce(seen.source, profile.source) as source, body from {everyone}",
        compute=describe_users,
        chunk_keys=50_000,
        seconds_per_key=0.00002,
    )


def describe_users(rows: pa.Table, store: Store) -> pa.Table:
    """One row per user; what the profile leaves empty is null."""

    def one(row: Row) -> Row:
        said = profile_of(json.loads(row["body"])) if row["body"] else {}
        age = re.fullmatch("0*([1-9][0-9]{0,2})", str(said.get("age") or "").strip())
        return {
            "source": row["source"],
            "gender": (said.get("gender") or "").lower() or None,
            "age": int(age[1]) if age else None,
            "country": said.get("country") or None,
            "registered": said.get("registered") or None,
        }

    return rows_table("users", per_item(rows, ("user_id",), one))
