"""Fixtures of the deployments: one small world for all tests that only read it."""

from pathlib import Path

import pytest

from deployments.sandbox.world import generate


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world of 120 tracks and 60 films, without the files that only the bulk connectors read."""
    folder = tmp_path_factory.mktemp("sandbox") / "world"
    return generate(folder, tracks=120, films=60, listeners=12, viewers=8, playlists=12, clips=0, posters=0).folder
