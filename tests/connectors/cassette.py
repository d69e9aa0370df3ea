"""The cassettes of these tests, by their names."""

from pathlib import Path
from typing import Self

from connectors.cassette import SECRET, Judge, Unrecorded
from connectors.cassette import Cassette as Played

__all__ = ["FOLDER", "SECRET", "Cassette", "Unrecorded"]

FOLDER = Path(__file__).with_name("cassettes")


class Cassette(Played):
    """A cassette of the folder beside this file."""

    @classmethod
    def of(cls, name: str, judge: Judge | None = None) -> Self:
        """The cassette of that name, as "spotify/playlist"."""
        return cls.read(name.partition("/")[0], FOLDER / f"{name}.json", judge)
