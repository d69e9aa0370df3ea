"""What is expected of any feature table, through a profile frame of one row: counts, norms, coverage, drift."""

from functools import partial

from expectations.checks import Check, Suite, kept_values, rows_where, twice
from expectations.vectors import profile_vectors
from storage.schemas import table_of

_NO_INPUT = ("missing_input", "empty", "not_found")
_THERE = "reason is null"
_CENTRED = (table_of("features/tabular").view,)
"""Of z-scores and 0/1: a vector of zeros is an item at the mean, without a genre that has a column."""


def features_suite(table: str, *, unit_norm: bool) -> Suite:
    """The checks of one feature.

    Args:
        table: Such as `features/minilm`.
        unit_norm: Its vectors must have length 1.
    """
    contract = table_of(table)
    vectors = any(c.name == "value" and c.type == "floats" for c in contract.columns)
    view = contract.view
    rows = "profiled" if vectors else f"(select item_id, reason, detail from {view})"
    return Suite(
        table=table,
        reads=(table, "items"),
        source=f"(select f.*, known.item_id is not null as known from {rows} f "
        "left join (select distinct item_id from items) known using (item_id))",
        before={
            "before_items": "select count(*) as n from items having count(*) > 0",
            "before_values": f"select item_id from {view} where {_THERE}",
        },
        prepare=partial(profile_vectors, view=view) if vectors else None,
        checks=(*_any_feature(), *(_vectors(view, unit_norm=unit_norm) if vectors else ())),
    )


def names() -> dict[str, Check]:
    """Every check a feature can have, by name."""
    return {check.name: check for check in (*_any_feature(), *_vectors("features", unit_norm=True))}


def _any_feature() -> tuple[Check, ...]:
    asked = f"reason is null or reason not in {_NO_INPUT}"
    return (
        twice("item_id", "an item has two rows"),
        rows_where("item_known", "the item is not in `items`", "not known", "item_id, reason"),
        Check(
            name="input_covered",
            about="items whose input is there have no value",
            value=f"count(*) filter (where {_THERE}) / nullif(count(*) filter (where {asked}), 0)",
            threshold=0.95,
            meaning="share of the items with input that have a value, at least",
            expected="at least {threshold:.0%} of the items with input",
            facts={"values": f"count(*) filter (where {_THERE})", "with_input": f"count(*) filter (where {asked})"},
            examples=f"select item_id, reason, detail from {{source}} where not ({_THERE}) and ({asked})",
            severity="warn",
            at_least=True,
        ),
        *kept_values("", "a value", _THERE, "item_id", "before_values", "item_id, reason, detail"),
    )


def _vectors(view: str, *, unit_norm: bool) -> tuple[Check, ...]:
    return (
        rows_where(
            "finite",
            "a vector is missing or holds NaN, infinity or null",
            bad := f"{_THERE} and not coalesce(isfinite(norm), false)",
            "",
            examples="select item_id, list_filter(value, lambda x: x is null or not isfinite(x))[:3] as cells "
            f"from {view} semi join (from {{source}} where {bad}) using (item_id)",
        ),
        _zero_norm(view, unit_norm=unit_norm),
        *([_unit_norm()] if unit_norm else []),
        Check(
            name="one_length",
            about="vectors differ in length",
            value="count(distinct size)",
            threshold=1.0,
            meaning="lengths of vectors, at most",
            expected="at most {threshold:g} length",
            facts={"shortest": "min(size)", "longest": "max(size)"},
            examples="select size, count(*) as vectors, min(item_id) as item_id from {source} where size is not null "
            "group by size order by vectors",
        ),
        *_drift(),
    )


def _zero_norm(view: str, *, unit_norm: bool) -> Check:
    # Where no vector has a length, none should: one number, the same for every item. `varied` warns of it.
    bad = "norm = 0" if unit_norm else "norm = 0 and (select max(norm) > 0 from {source})"
    count = "count(*) filter (where norm = 0)"
    count = count if unit_norm else f"case when max(norm) filter (where isfinite(norm)) > 0 then {count} else 0 end"
    return Check(
        name="zero_norm",
        about="a vector is all zeros",
        value=f"{count} / nullif(count(*), 0)",
        threshold=0.0,
        meaning="share of rows that may be so",
        expected="",
        facts={"rows": count, "of": "count(*)"},
        examples=f"select item_id, size, norm from {{source}} where {bad}",
        severity="off" if view in _CENTRED else "block",
    )


def _unit_norm() -> Check:
    return rows_where(
        "unit_norm",
        "a vector's length is not 1",
        # Zeros and NaN have checks of their own.
        "norm > 0 and isfinite(norm) and abs(norm - 1) > {threshold}",
        "item_id, norm",
        threshold=1e-3,
        meaning="how far from 1 a length may be",
        expected="1 within {threshold:g}",
    )


_MANY = 30  # of fewer vectors the mean moves with each of them


def _drift() -> tuple[Check, ...]:
    finite = "filter (where isfinite(norm))"
    then = "(select sqrt(square) from before_mean)"
    now = "(select sqrt(square) from now_mean)"
    # Vectors of another length are not comparable; of another version `before_mean` has none.
    distance = "case when len(a.mean) = len(b.mean) then list_distance(a.mean, b.mean) end"
    apart = f"(select {distance} from now_mean a, before_mean b)"
    return (
        Check(
            name="norm_stable",
            about="vectors are longer or shorter than in the last release (of the same version)",
            value=f"case when count(*) >= {_MANY} then abs({now} / nullif({then}, 0) - 1) end",
            threshold=0.5,
            meaning="relative change of the root mean square length, at most",
            expected="a change of at most {threshold:.0%}",
            facts={"now": now, "before": then, "least": f"min(norm) {finite}", "mean": f"avg(norm) {finite}"}
            | {"most": f"max(norm) {finite}"},
        ),
        Check(
            name="mean_stable",
            about="the mean vector moved away from the last release's (of the same version)",
            value=f"case when count(*) >= {_MANY} then {apart} / nullif({then}, 0) end",
            threshold=0.3,
            meaning="distance of the mean vectors in lengths of a vector, at most",
            expected="at most {threshold:g} lengths of a vector",
            severity="warn",
        ),
        Check(
            name="varied",
            about="all vectors are the same",
            value="case when count(norm) > 1 then (select 1 - list_dot_product(mean, mean) / nullif(square, 0) "
            "from now_mean) end",
            threshold=1e-6,
            meaning="share of the squared lengths that is not the mean vector's, at least",
            expected="at least {threshold:g} of the squared lengths beside the mean",
            severity="warn",
            at_least=True,
        ),
    )
