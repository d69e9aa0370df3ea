"""Which suites and checks there are; importing them loads no library."""

from expectations import features
from expectations.checks import Check, Suite
from expectations.interactions import interactions_suite
from expectations.items import items_suite
from expectations.media import media_suite
from expectations.texts import texts_suite

_SUITES = {"items": items_suite, "interactions": interactions_suite, "texts": texts_suite, "media": media_suite}
TABLES = tuple(_SUITES)


def suite_of(table: str, *, unit_norm: bool = False) -> Suite:
    """The suite of a table; `unit_norm` says of a feature that its vectors have length 1."""
    return _SUITES[table]() if table in _SUITES else features.features_suite(table, unit_norm=unit_norm)


def checks_of(table: str) -> dict[str, Check]:
    """Every check a table of that name can have; `features` stands for any feature."""
    if table in _SUITES:
        return {check.name: check for check in _SUITES[table]().checks}
    return features.names()
