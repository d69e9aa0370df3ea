"""What the connector tests share: real files, and reading a connector to its end."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Page, Record, Reject


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_data: needs the real files that MEDIATECA_REAL_DATA names")


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets, one folder each."""
    folder = os.environ.get("MEDIATECA_REAL_DATA")
    if not folder:
        pytest.skip("MEDIATECA_REAL_DATA does not name a folder of real data sets")
    return Path(folder)


@dataclass
class Content:
    """All that the pages of an entity gave."""

    pages: list[Page] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def payloads(self, entity: str) -> dict[str, Any]:
        return {record.source_id: record.payload for record in self.records if record.entity == entity}

    def refused(self) -> list[tuple[int, str]]:
        return [(reject.line, str(reject.reason)) for reject in self.rejects]


@pytest.fixture
def read() -> Callable[..., Content]:
    """Reads an entity to the end: `read(connector, "movie")`."""

    def collect(connector: Any, entity: str, **options: Any) -> Content:
        content = Content()
        for page in connector.pages(entity, **options):
            content.pages.append(page)
            content.records += page.records
            content.events += page.events.to_pylist()
            content.rejects += page.rejects
        return content

    return collect
