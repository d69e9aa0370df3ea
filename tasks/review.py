"""Links that a person should look at, and what people decide about them; the next build uses it."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from connectors.base import Wanted
from connectors.candidates import Candidate
from connectors.registry import LIVE
from storage.lazy import pa
from storage.lock import build_lock
from storage.schemas import table_of
from storage.store import Store, rows_of
from tasks.duplicates import RELATIONS
from tasks.settings import Catalogue
from tasks.settings_base import nearest
from tasks.settings_stages import check_name

STATES = {"accept": "accepted", "reject": "rejected", "undo": "undone"}
"""What a person says, and the state that it gives the candidate."""
_TOLD = 5  # bad decisions named in one message
_ITEM = ("kind", "title", "creators", "album", "year", "duration_ms", "isrc")
_KEY = ("item_id", "source", "source_id")
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An item beside the candidate that may be it."""

    item_id: str
    source: str
    source_id: str
    probability: float
    wanted: Wanted
    candidate: Candidate
    page: str  # where the candidate can be looked at
    chroma: float | None = None  # how alike it sounds to one's own recording, where it was held against one
    why: str = ""  # of duplicates: what connects them

    @property
    def words(self) -> list[str]:
        """The evidence."""
        from connectors.evidence_words import in_words

        if self.why:
            return [self.why]
        sound = [] if self.chroma is None else [f"sounds {self.chroma:.0%} like your recording"]
        return [*in_words(self.wanted, self.candidate), *sound]

    def as_json(self) -> Row:
        """What `mediateca links review --json` prints of it."""
        item, other = self.wanted, self.candidate
        return {
            **{name: getattr(self, name) for name in (*_KEY, "probability")},
            "item": {name: getattr(item, name) for name in ("title", "album", "year", "duration_ms", "isrc")}
            | {"artists": list(item.creators)},
            "candidate": {
                name: getattr(other, name) for name in ("title", "album", "channel", "year", "duration_ms", "isrc")
            }
            | {"artists": list(other.artists), "page": self.page},
            "evidence": self.words,
        }


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What somebody said of one candidate."""

    item_id: str
    source: str
    source_id: str
    decision: Literal["accept", "reject", "undo"]
    note: str | None = None

    @classmethod
    def of(cls, said: Any) -> Decided:
        """From a line of JSON; other fields, such as those of `links review --json`, are passed over.

        Raises:
            ValueError: A field is missing, or a value is not of its kind.
        """
        if not isinstance(said, Mapping):
            raise ValueError("expected an object with `item_id`, `source`, `source_id` and `decision`")
        values: Row = {name: said.get(name) for name in (*_KEY, "decision", "note")}
        for name in (*_KEY, "decision"):
            if not isinstance(values[name], str) or not values[name].strip():
                raise ValueError(f"`{name}` is missing or no text")
        if values["decision"] not in STATES:
            raise ValueError(f"`decision` is '{values['decision']}'; expected one of {', '.join(STATES)}")
        if not isinstance(values["note"], str | None):
            raise ValueError("`note` must be text or null")
        return cls(**values)


def reviewed_sources(catalogue: Catalogue, source: str | None = None) -> tuple[str, ...]:
    """What can be decided about: candidates of the sources that are searched, duplicates; or the one that is named.

    Raises:
        ValueError: There is none, or the one that is named is not one of them.
    """
    relations = RELATIONS if catalogue.duplicates.find else ()
    known = (*(name for name, s in catalogue.sources.items() if s.is_searched), *relations)
    if not known:
        raise ValueError(
            f"catalogue '{catalogue.catalogue}': no source is searched for its items, so that there is nothing to "
            "review; one with a live connector and `items: false` would be"
        )
    if source is not None:
        check_name("source", source, known)
    return (source,) if source else known


def to_review(store: Store, catalogue: Catalogue, source: str | None = None) -> list[Pair]:
    """The pairs in state `review` that nobody has decided about since; by source, the likeliest first.

    Of duplicates those that are weakest, which are likeliest to connect what does not belong together.
    """
    names = reviewed_sources(catalogue, source)
    con = store.database(only=("links", "items", "decisions", "duplicates"))
    columns = ", ".join(f"i.{name}" for name in _ITEM)
    rows = con.sql(
        f"select l.item_id, l.source, l.source_id, l.probability, l.evidence, {columns} "
        "from links l join items i using (item_id) "
        "where l.state = 'review' and list_contains($names, l.source) and not exists (from decisions d "
        "where d.item_id = l.item_id and d.source = l.source and d.source_id = l.source_id and d.state <> 'undone') "
        "order by list_position($names, l.source), l.probability desc, i.title, l.item_id",
        params={"names": list(names)},
    )
    return [*(_pair(row, catalogue) for row in rows_of(rows)), *_duplicates(con, names)]


def _duplicates(con: Any, names: Sequence[str]) -> list[Pair]:
    other = ", ".join(f"j.{name} as other_{name}" for name in _ITEM)
    rows = con.sql(
        f"select d.*, {', '.join(f'i.{name}' for name in _ITEM)}, {other} from duplicates d "
        "join items i on i.item_id = d.item_a join items j on j.item_id = d.item_b "
        "where d.state = 'review' and list_contains($names, d.relation) and not exists (from decisions s "
        "where s.source = d.relation and s.item_id in (d.item_a, d.item_b) and s.source_id in (d.item_a, d.item_b) "
        "and s.state <> 'undone') order by list_position($names, d.relation), d.score, d.item_a, d.item_b",
        params={"names": list(names)},
    )
    return [_same(row) for row in rows_of(rows)]


def _same(row: Row) -> Pair:
    told = {name: row[f"other_{name}"] for name in _ITEM} | {"id": row["item_b"], "title": row["other_title"] or ""}
    return Pair(
        item_id=row["item_a"],
        source=row["relation"],
        source_id=row["item_b"],
        probability=row["score"],
        wanted=_wanted(row),
        candidate=Candidate.of(told | {"artists": list(row["other_creators"] or ())}),
        page="",
        why=f"{row['evidence']}; one of {row['component_size']} items that are connected",
    )


def _wanted(row: Row) -> Wanted:
    told = {name: row[name] for name in ("album", "year", "duration_ms", "isrc")}
    return Wanted(title=row["title"] or "", creators=tuple(row["creators"] or ()), **told)


def _pair(row: Row, catalogue: Catalogue) -> Pair:
    said = {"title": ""} | json.loads(row["evidence"] or "{}") | {"id": row["source_id"]}
    page = LIVE[catalogue.sources[row["source"]].connector].page.format(id=row["source_id"])
    shown = {name: row[name] for name in (*_KEY, "probability")}
    return Pair(**shown, wanted=_wanted(row), candidate=Candidate.of(said), page=page, chroma=said.get("chroma"))


def decide(
    store: Store, catalogue: Catalogue, decisions: Iterable[Decided], *, wait_s: float = 0.0, check: bool = True
) -> int:
    """Keep decisions, all in one commit or none; how many.

    Args:
        store: The store; its build lock is held while they are written.
        catalogue: Whose sources they name.
        decisions: What was said, in order: of one candidate the last one counts.
        wait_s: How long to wait for a build that holds the store.
        check: Whether they may name items and sources that are not there.

    Raises:
        ValueError: One names an item or a source that is not there.
        StoreLocked: A build still holds the store.
    """
    said = list(decisions)
    if check:
        _refuse_unknown(store, catalogue, said)
    with build_lock(store.url, wait_s=wait_s):
        _keep(store, said)
    return len(said)


def undo_last(store: Store, catalogue: Catalogue, *, source: str | None = None, wait_s: float = 0.0) -> Decided | None:
    """Take back the newest decision that stands; what it was, or None where there is none."""
    names = reviewed_sources(catalogue, source)
    sql = (
        "select item_id, source, source_id, state from decisions where state <> 'undone' "
        "and list_contains($names, source) order by computed_at desc limit 1"
    )
    found = rows_of(store.database(only=("decisions",)).sql(sql, params={"names": list(names)}))
    if not found:
        return None
    last, said = {name: found[0][name] for name in _KEY}, {state: word for word, state in STATES.items()}
    decide(store, catalogue, [Decided(**last, decision="undo")], wait_s=wait_s, check=False)
    word: Any = said[found[0]["state"]]
    return Decided(**last, decision=word)


def _refuse_unknown(store: Store, catalogue: Catalogue, decisions: Sequence[Decided]) -> None:
    known = reviewed_sources(catalogue)
    con = store.database(only=("items",))
    # Both sides of a duplicate are items; a candidate of a source may be one that no search offered.
    named = [(one.item_id, one.source_id) if one.source in RELATIONS else (one.item_id,) for one in decisions]
    asked = sorted({item for items in named for item in items})
    there = {
        item
        for (item,) in con.execute("from (select unnest(?) as i) semi join items on item_id = i", [asked]).fetchall()
    }
    told = [
        f"no item '{item}'; `mediateca links review CATALOGUE --json` lists the pairs with their ids"
        for items in named
        for item in items
        if item not in there
    ]
    told += [
        f"unknown source '{one.source}'; {nearest(one.source, known)}searched are: {', '.join(known)}"
        for one in decisions
        if one.source not in known
    ]
    if told:
        more = f"\nand {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        raise ValueError("links review: nothing was decided\n" + "\n".join(told[:_TOLD]) + more)


def _keep(store: Store, decisions: Sequence[Decided]) -> None:
    if not decisions:
        return
    schema, first = table_of("decisions").schema, store.now("decisions")
    rows = [
        {name: getattr(one, name) for name in (*_KEY, "note")}
        | {"state": STATES[one.decision], "computed_at": first + timedelta(microseconds=place)}
        for place, one in enumerate(decisions)
    ]
    store.append("decisions", pa.table({f.name: pa.array([row[f.name] for row in rows], f.type) for f in schema}))
    store.tidy("decisions")
