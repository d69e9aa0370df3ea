"""The report's section of duplicates: how many, by what, the largest components, and examples to look at."""

# Annotations stay text: duckdb has no types of its own.
from __future__ import annotations

from typing import Any

from storage.store import rows_of
from tasks.report_html import section, shortened, table

_SHOWN = 8  # components and examples
_TITLE = 60  # characters
_WORDS = {"same_recording": "same recording", "same_work": "same work"}


def duplicates(con: Any) -> str:
    """Counts, largest components and a few pairs; nothing where no two items are alike."""
    counted = con.sql(
        "select relation, array_to_string(methods, ' + '), state, count(*) from duplicates "
        "group by all order by 4 desc, 1, 2"
    ).fetchall()
    if not counted:
        return ""
    lead = (
        "Items that are one recording, picture or text, which no split may part, and items that are one work: covers, "
        "live versions, remakes. Components of many items wait for a person (mediateca links review)."
    )
    rows = [(_WORDS[relation], by, state, n) for relation, by, state, n in counted]
    heads = ("relation", "told by", "state", "pairs")
    counts = _block("Pairs by relation", heads, rows)
    return section("duplicates", "Duplicates", lead, counts, _components(con), _pairs(con))


def _block(name: str, heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    return f'<div class="block"><h3>{name}</h3>{table(heads, rows, caption=name)}</div>' if rows else ""


def _components(con: Any) -> str:
    found = rows_of(
        con.sql(
            "select relation, component, max(component_size) as n, any_value(state order by state desc) as state, "
            "list(distinct i.title order by i.title)[:3] as titles from duplicates d "
            "join items i on i.item_id in (d.item_a, d.item_b) where component_size > 2 "
            f"group by relation, component order by n desc, component limit {_SHOWN}"
        )
    )
    rows = [
        (_WORDS[one["relation"]], one["n"], shortened("; ".join(t or "" for t in one["titles"]), _TITLE), one["state"])
        for one in found
    ]
    return _block("Largest components", ("relation", "items", "such as", "state"), rows)


def _pairs(con: Any) -> str:
    """The least sure pairs of each relation: where an error would be."""
    found = rows_of(
        con.sql(
            "select d.relation, d.evidence, i.title as one, j.title as other from duplicates d "
            "join items i on i.item_id = item_a join items j on j.item_id = item_b where d.state = 'accepted' "
            f"qualify row_number() over (partition by relation order by score, item_a, item_b) <= {_SHOWN // 2} "
            "order by relation, d.score, item_a, item_b"
        )
    )
    rows = [
        (_WORDS[row["relation"]], *(shortened(row[name] or "", _TITLE) for name in ("one", "other")), row["evidence"])
        for row in found
    ]
    return _block("The least sure pairs", ("relation", "one", "the other", "evidence"), rows)
