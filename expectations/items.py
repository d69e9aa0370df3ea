"""What is expected of `items`."""

from expectations.checks import Check, Suite, rows_where, shrink_and_growth, twice

KINDS = ("track", "film", "artist", "picture", "other")
FIRST_YEAR = 1870
"""Before the first recording (1877, but piano rolls and sheet music are dated by composition) and the first film."""
_SHOWN = "item_id, kind, title, year, duration_ms"


def items_suite() -> Suite:
    """Ids, titles, kinds, years, durations, creators, and the number of items against the last release."""
    return Suite(
        table="items",
        reads=("items",),
        source="items",
        before={"before": "select count(*) as n from items having count(*) > 0"},
        checks=(
            twice("item_id", "two items have one id"),
            rows_where("item_id_not_blank", "the id is blank", "trim(item_id) = ''", _SHOWN),
            rows_where("title_not_null", "the title is missing or blank", "trim(coalesce(title, '')) = ''", _SHOWN),
            rows_where(
                "kind_known",
                f"the kind is none of {', '.join(KINDS)}",
                f"kind is null or kind not in {KINDS}",
                _SHOWN,
            ),
            rows_where(
                "year_plausible",
                f"the year lies before {FIRST_YEAR} or after the next one",
                f"year < {FIRST_YEAR} or year > year(now()) + 1",
                _SHOWN,
                passes_with_time=True,
            ),
            rows_where("duration_positive", "the duration is zero or negative", "duration_ms <= 0", _SHOWN),
            _creators(),
            *shrink_and_growth("(select n from before)"),
        ),
    )


def _creators() -> Check:
    missing = "creators is null or len(creators) = 0"
    return Check(
        name="creators_coverage",
        about="many items name neither artist nor director",
        # Null where no item has one: MovieLens alone names none.
        value=f"1 - nullif(count(*) filter (where {missing}), count(*)) / count(*)",
        threshold=0.25,
        meaning="share of items with a creator, at least",
        expected="at least {threshold:.0%} of the items",
        facts={"without": f"count(*) filter (where {missing})", "items": "count(*)"},
        examples=f"select {_SHOWN} from {{source}} where {missing}",
        severity="warn",
        at_least=True,
    )
