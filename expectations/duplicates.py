"""What is expected of `duplicates`: pairs of items that are there, in components that can be trusted."""

from expectations.checks import Check, Suite, rows_where

_SHOWN = "item_a, item_b, relation, methods, score, component_size, state"
_UNKNOWN = "item_a not in (select item_id from items) or item_b not in (select item_id from items)"
_ONE = "relation = 'same_recording' and state = 'accepted'"
_SIDES = f"select item_a from {{source}} where {_ONE} union select item_b from {{source}} where {_ONE}"
_ITEMS = f"(select count(*) from ({_SIDES}))"


def duplicates_suite() -> Suite:
    """Order and items of pairs, components that wait for a person, and how many items have a double."""
    return Suite(
        table="duplicates",
        reads=("duplicates", "items"),
        source="duplicates",
        checks=(
            rows_where("ordered", "the first item_id of a pair is not the smaller one", "item_a >= item_b", _SHOWN),
            rows_where("items_known", "an item of a pair is not in `items`", _UNKNOWN, _SHOWN),
            _reviewed(),
            _doubles(),
        ),
    )


def _reviewed() -> Check:
    waiting = "count(distinct relation || component) filter (where state = 'review')"
    return Check(
        name="components_reviewed",
        about="so many items are connected that the pairs are not trusted: look at them with `mediateca links review`",
        value=waiting,
        threshold=0.0,
        meaning="components in review, at most",
        expected="at most {threshold:g} components in review",
        facts={"pairs": "count(*) filter (where state = 'review')", "largest": "coalesce(max(component_size), 0)"},
        examples=f"select {_SHOWN} from {{source}} where state = 'review' order by component_size desc, score, item_a",
        severity="warn",
    )


def _doubles() -> Check:
    return Check(
        name="share_of_doubles",
        about="a large share of the items is the same recording, picture or text as another one",
        value=f"{_ITEMS} / nullif((select count(*) from items), 0)",
        threshold=0.3,
        meaning="share of the items that are one recording with another item, at most",
        expected="at most {threshold:.0%} of the items",
        facts={"items": _ITEMS, "of": "(select count(*) from items)"},
        severity="warn",
    )
