"""Whether two texts say the same words: case, accents, punctuation, spaces and HTML do not count."""

import html
import re
import unicodedata

from storage.hashing import digest

VERSION = "1"
"""Raise it whenever a key may change."""
LEAST_LETTERS = 40  # "A film about love." may be said of two films
_TAG = re.compile(r"<[^<>]{1,80}>")


def plain_words(text: str) -> str:
    """The text's letters and digits in lower case without accents, words parted by one space.

    >>> plain_words("“L’été”&nbsp;–  <b>Part</b> II…")
    'l ete part ii'
    """
    bare = unicodedata.normalize("NFKD", _TAG.sub(" ", html.unescape(text)).casefold())
    # Combining marks of class 230 and below the line are accents; vowel signs of Indic scripts have class 0.
    kept = "".join(c for c in bare if not unicodedata.combining(c))
    return " ".join("".join(c if c.isalnum() or unicodedata.category(c) == "Mc" else " " for c in kept).split())


def text_key(text: str) -> int | None:
    """A digest that equal texts share; None of a text of fewer than 40 letters, which may be equal by chance."""
    words = plain_words(text)
    return digest(words.encode()) if len(words) >= LEAST_LETTERS else None
