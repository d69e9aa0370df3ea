"""Which suites and checks there are; importing them loads no library."""

from expectations import features, links
from expectations.checks import Check, Suite
from expectations.duplicates import duplicates_suite
from expectations.interactions import interactions_suite
from expectations.items import items_suite
from expectations.media import media_suite
from expectations.texts import texts_suite

_SUITES = {
    "items": items_suite,
    "interactions": interactions_suite,
    "texts": texts_suite,
    "media": media_suite,
    "duplicates": duplicates_suite,
}
TABLES = tuple(_SUITES)
FAMILIES = ("features", links.FAMILY)
"""Of tables that are alike: `features/NAME`, and `links/SOURCE`, the links of one source."""


def family_of(table: str) -> str:
    """The family of a table that has one, else the table.

    >>> family_of("features/minilm"), family_of("items")
    ('features', 'items')
    """
    return table.partition("/")[0]


def suite_of(table: str, *, unit_norm: bool = False, gold: links.Gold | None = None) -> Suite:
    """The suite of a table.

    Args:
        table: Such as `items`, `features/minilm`, `links/youtube`.
        unit_norm: Of a feature: its vectors have length 1.
        gold: Of a source's links: what they are held against.
    """
    if family_of(table) == links.FAMILY:
        return links.links_suite(table.partition("/")[2], gold)
    return _SUITES[table]() if table in _SUITES else features.features_suite(table, unit_norm=unit_norm)


def checks_of(table: str) -> dict[str, Check]:
    """Every check a table of that name can have; `features` and `links` stand for any of the family."""
    if table in _SUITES:
        return {check.name: check for check in _SUITES[table]().checks}
    return links.names() if table == links.FAMILY else features.names()
