"""Large invented inputs for benchmarks of scale: as many films as one likes, quickly, in MovieLens' format.

    python -m benchmarks.synthetic FOLDER --films 1000000 --ratings-per-film 20
"""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 500_000  # films written at a time: about 100 MB of memory without ratings
RATING_BLOCK = 5_000_000  # ratings written at a time
FIRST_YEAR, LAST_YEAR = 1920, 2023
FIRST_RATING, RATING_SPAN_S = 946_684_800, 24 * 365 * 86_400  # 2000 to about 2024, unix seconds
LARGEST_FILMS = 8_000_000  # TMDb and IMDb ids of more would not have their usual lengths

ADJECTIVES = tuple(
    "Amber Ancient Borrowed Broken Burning Careless Cobalt Crooked Distant Drowsy Electric Empty Endless Faithful "
    "Feral Forgotten Frozen Gilded Golden Hidden Hollow Hungry Invisible Iron Ivory Last Lonely Lost Midnight Nameless "
    "Northern Paper Patient Quiet Reckless Restless Savage Second Silent Silver Sleepless Sunken Tender Thirsty "
    "Uncharted Velvet Wandering Winter".split()
)
NOUNS = tuple(
    "Anchor Archive Balcony Battalion Bridge Caravan Castle Cellar Chorus Clockmaker Colony Compass Crown Daughter "
    "Engine Expedition Father Forest Garden Getaway Harbour Harvest Heist Horizon Island Kingdom Ladder Lantern Letter "
    "Lighthouse Lullaby Marsh Mirror Mountain Orchard Outlaw Portrait Prophecy Rider River Robot Sheriff Signal Stranger "
    "Telegram Tower Train Treasure Violin Witness".split()
)
PATTERNS = (
    ("{a} {b} of {c}, The", 2),
    ("{a} {b} and the {c}", 0),
    ("{c} of the {a} {b}", 1),
    ("{a} {b}: {c}", 0),
)
GENRES = tuple(
    "Action Adventure Animation|Children Comedy Comedy|Drama Comedy|Romance Crime|Drama Crime|Thriller Documentary Drama "
    "Drama|Romance Drama|War Fantasy Horror Horror|Thriller Musical Mystery|Thriller Romance Sci-Fi Sci-Fi|Thriller "
    "Thriller War Western".split()
)
