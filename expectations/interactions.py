"""What is expected of `interactions`; one pass of DuckDB over the table, however many rows it has."""

from expectations.checks import SLACK, Check, Suite, rows_where, shrink_and_growth

_SHOWN = "user_id, item_id, kind, value, time, file, line"
_EPOCH = "timestamptz '1970-01-01 00:00Z'"
_FAR = "time > now() + interval 1 day"


def interactions_suite() -> Suite:
    """Keys, values, times, known items, repeats, and the number of rows against the last release."""
    return Suite(
        table="interactions",
        reads=("interactions", "inputs", "links", "items"),
        source="(select i.*, known.item_id is not null as known "
        "from interactions i left join (select distinct item_id from items) known using (item_id))",
        before={"before": "select count(*) as n from interactions having count(*) > 0"},
        checks=(
            rows_where(
                "keys_not_blank",
                "user or item is blank",
                "trim(user_id) = '' or trim(entity_id) = '' or item_id is null",
                _SHOWN,
            ),
            rows_where(
                "value_plausible",
                "a rating lies outside 0 to the highest, or a value is negative or no number",
                # Not `>`: to DuckDB NaN is greater than every number, and so is caught.
                "value is not null and not (value >= 0 and (value <= {threshold} or kind <> 'rating') "
                "and isfinite(value))",
                _SHOWN,
                threshold=10.0,
                meaning="the highest rating",
                expected="values from 0, ratings to {threshold:g}",
            ),
            rows_where("time_not_in_future", "the time is more than a day ahead", _FAR, _SHOWN, passes_with_time=True),
            rows_where(
                "time_after_1970", "the time lies before 1970", "time < timestamptz '1970-01-01 00:00Z'", _SHOWN
            ),
            _repeats("row_once", "one line of one file counts twice", "source, file, line", "block", 0.0),
            _repeats(
                "event_once",
                "user, item, kind, time and place are repeated",
                "user_id, entity_id, kind, time, position",
                "warn",
                0.05,
            ),
            Check(
                name="item_known",
                about="interactions with something that is no item",
                value=f"case when count(*) filter (where not known) <= {SLACK} then 1.0 "
                "else count(*) filter (where known) / count(*) end",
                threshold=0.9,
                meaning="share of interactions whose item is in `items`, at least",
                expected="at least {threshold:.0%} of the interactions",
                facts={"unknown": "count(*) filter (where not known)", "of": "count(*)"},
                examples=f"select {_SHOWN} from {{source}} where not known",
                at_least=True,
            ),
            *shrink_and_growth("(select n from before)"),
        ),
    )


def _repeats(name: str, about: str, key: str, severity: str, threshold: float) -> Check:
    # By 64-bit hash: of 33 M rows 3e-5 pairs collide, and the distinct strings themselves would not fit in memory.
    extra = f"count(*) - count(distinct hash({key}))"
    return Check(
        name=name,
        about=about,
        value=f"({extra}) / nullif(count(*), 0)",
        threshold=threshold,
        meaning="share of rows that may be repeats",
        expected="",
        facts={"rows": extra, "of": "count(*)"},
        examples=f"select {key}, count(*) as rows from {{source}} group by all having count(*) > 1",
        severity="warn" if severity == "warn" else "block",
    )
