"""What is expected of the links of one source, held against a gold set: how many are right, how many were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from expectations.checks import Check, Suite
from expectations.gold import GoldLine

FAMILY = "links"
"""`links/youtube` is the suite of the links of the source youtube."""
_LINK, _ITEM = "of = 'link'", "of = 'item'"
# An item that was not asked for yet, or whose source did not answer, is no miss of the matcher.
_ANSWERED = "(reason is null or reason = 'not_found')"


@dataclass(frozen=True, kw_only=True)
class Gold:
    """The gold set as it judges one source."""

    lines: Sequence[GoldLine]
    anchors: tuple[str, ...]  # sources whose ids say which item a line is about
    asked: bool  # a row says of each item whether the source has it; else an item without a row is a miss


def links_suite(source: str, gold: Gold | None) -> Suite:
    """Precision and recall of one source's accepted links; without a gold set, what the checks are."""
    return Suite(
        table=f"{FAMILY}/{source}",
        reads=("links", "items"),
        source="judged",
        prepare=None if gold is None else partial(_judge, source=source, gold=gold),
        checks=(_precision(), _recall(), _judged()),
    )


def names() -> dict[str, Check]:
    """Every check that a source's links can have, by name."""
    return {check.name: check for check in (_precision(), _recall(), _judged())}


def _precision() -> Check:
    right, wrong = (f"count(*) filter (where {_LINK} and {ok})" for ok in ("ok", "not ok"))
    return Check(
        name="precision",
        about="accepted links that the gold set says are wrong",
        value=f"{right} / nullif({right} + {wrong}, 0)",
        threshold=0.98,
        meaning="share of the accepted links that the gold set can judge which are right, at least",
        expected="at least {threshold:.1%} of the accepted links right",
        facts={"right": right, "wrong": wrong},
        examples=f"select item_id, title, source_id as linked, expected from {{source}} where {_LINK} and not ok "
        "order by item_id",
        at_least=True,
    )


def _recall() -> Check:
    found, missed = (f"count(*) filter (where {_ITEM} and {ok})" for ok in ("ok", "not ok"))
    return Check(
        name="recall",
        about="items that the gold set has an id for, and that are not linked to it",
        value=f"{found} / nullif({found} + {missed}, 0)",
        threshold=0.8,
        meaning="share of the items with a right id in the gold set that are linked to it, at least",
        expected="at least {threshold:.1%} of the items linked",
        facts={"found": found, "missed": missed},
        examples=f"select item_id, title, expected, state from {{source}} where {_ITEM} and not ok order by item_id",
        at_least=True,
    )


def _judged() -> Check:
    return Check(
        name="judged",
        about="the gold set can judge hardly any link: are its ids those of the sources in this catalogue?",
        value=f"count(*) filter (where {_LINK})",
        threshold=1.0,
        meaning="accepted links that the gold set can judge, at least",
        expected="at least {threshold:g} links that can be judged",
        severity="warn",
        at_least=True,
    )


def _judge(con: Any, former: Any, *, source: str, gold: Gold) -> None:
    """Make `judged`: a row per accepted link that can be judged, and per item that should be linked."""
    _tables(con, source, gold)
    answered = (
        f"a.item_id in (select item_id from links where source = $source and {_ANSWERED})" if gold.asked else "true"
    )
    # A line names several ids of an item; two lines that name one item judge its links each.
    con.execute(
        f"""
        create temp table judged as
        with about as (
            select distinct g.line, l.item_id
            from gold_ids g join links l using (source, source_id) where l.state = 'accepted' and g.anchor),
        titled as (select item_id, any_value(title) as title from items group by item_id),
        mine as (select item_id, source_id, state from links where source = $source and source_id <> ''),
        links_of as (
            select 'link' as of, list_contains(s.right_ids, m.source_id) as ok, a.item_id, m.source_id, s.right_ids,
                   m.state
            from about a join gold_said s using (line) join mine m using (item_id)
            where m.state = 'accepted' and (s.told or list_contains(s.wrong_ids, m.source_id))),
        items_of as (
            select 'item' as of, coalesce(bool_or(m.state = 'accepted'), false) as ok, a.item_id,
                   null::varchar as source_id, any_value(s.right_ids) as right_ids,
                   coalesce(any_value(m.state), 'not offered') as state
            from about a join gold_said s using (line)
            left join mine m on m.item_id = a.item_id and list_contains(s.right_ids, m.source_id)
            where len(s.right_ids) > 0 and {answered} group by a.line, a.item_id)
        select of, ok, item_id, title, source_id, array_to_string(right_ids[:3], ' or ') as expected, state
        from (from links_of union all by name from items_of) left join titled using (item_id)""",
        {"source": source},
    )


def _tables(con: Any, source: str, gold: Gold) -> None:
    """`gold_ids`: the ids that say which item a line is about; `gold_said`: what lines say of the source."""
    con.sql("create temp table gold_ids (line bigint, source varchar, source_id varchar, anchor boolean)")
    con.sql("create temp table gold_said (line bigint, told boolean, right_ids varchar[], wrong_ids varchar[])")
    ids = [
        [line.number, name, one, name in gold.anchors]
        for line in gold.lines
        for name, many in line.right.items()
        for one in many
    ]
    said = [
        [line.number, source in line.right, list(line.right.get(source, ())), list(line.wrong.get(source, ()))]
        for line in gold.lines
        if source in line.right or source in line.wrong
    ]
    for table, rows in (("gold_ids", ids), ("gold_said", said)):
        if rows:
            con.executemany(f"insert into {table} values (?, ?, ?, ?)", rows)
