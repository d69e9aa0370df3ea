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

    @property
    def words(self) -> list[str]:
        """The evidence."""
        from connectors.evidence_words import in_words

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


def searched_sources(catalogue: Catalogue, source: str | None = None) -> tuple[str, ...]:
    """The sources whose candidates can be decided about: those that are searched, or the one that is named.

    Raises:
        ValueError: There is none, or the one that is named is not one of them.
    """
    known = tuple(name for name, s in catalogue.sources.items() if s.is_searched)
    if not known:
        raise ValueError(
            f"catalogue '{catalogue.catalogue}': no source is searched for its items, so that there is nothing to "
            "review; one with a live connector and `items: false` would be"
        )
    if source is not None:
        check_name("source", source, known)
    return (source,) if source else known


def to_review(store: Store, catalogue: Catalogue, source: str | None = None) -> list[Pair]:
    """The pairs in state `review` that nobody has decided about since; by source, the likeliest first."""
    names = searched_sources(catalogue, source)
    con = store.database(only=("links", "items", "decisions"))
    columns = ", ".join(f"i.{name}" for name in _ITEM)
    rows = con.sql(
        f"select l.item_id, l.source, l.source_id, l.probability, l.evidence, {columns} "
        "from links l join items i using (item_id) "
        "where l.state = 'review' and list_contains($names, l.source) and not exists (from decisions d "
        "where d.item_id = l.item_id and d.source = l.source and d.source_id = l.source_id and d.state <> 'undone') "
        "order by list_position($names, l.source), l.probability desc, i.title, l.item_id",
        params={"names": list(names)},
    )
    return [_pair(row, catalogue) for row in rows_of(rows)]


def _pair(row: Row, catalogue: Catalogue) -> Pair:
    said = {"title": ""} | json.loads(row["evidence"] or "{}") | {"id": row["source_id"]}
    page = LIVE[catalogue.sources[row["source"]].connector].page.format(id=row["source_id"])
    wanted = Wanted(
        title=row["title"] or "",
        creators=tuple(row["creators"] or ()),
        **{name: row[name] for name in ("album", "year", "duration_ms", "isrc")},
    )
    shown = {name: row[name] for name in (*_KEY, "probability")}
    return Pair(**shown, wanted=wanted, candidate=Candidate.of(said), page=page, chroma=said.get("chroma"))


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
    names = searched_sources(catalogue, source)
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
    known = searched_sources(catalogue)
    con = store.database(only=("items",))
    asked = sorted({one.item_id for one in decisions})
    there = {
        item
        for (item,) in con.execute("from (select unnest(?) as i) semi join items on item_id = i", [asked]).fetchall()
    }
    told = [
        f"no item '{one.item_id}'; `mediateca links review CATALOGUE --json` lists the pairs with their ids"
        for one in decisions
        if one.item_id not in there
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
