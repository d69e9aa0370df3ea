"""Whether two sources speak of the same track or film: normalised names."""

import re
import unicodedata
from collections.abc import Sequence

# "(feat. X)", "[ft. X]", "(with X)" and a trailing " feat. X": who else sings is written in ten ways, or not at all.
_GUESTS = re.compile(
    r"\s*[(\[](?:feat\.?|ft\.?|featuring|with)\s[^)\]]*[)\]]|\s+(?:feat\.?|ft\.?|featuring)\s.*$", re.IGNORECASE
)
_THE = re.compile(r"^(?:the|a|an)\s+")


def normalise(name: str) -> str:
    """The name in lower case without accents, punctuation and double spaces; any script's letters stay.

    >>> normalise("Beyoncé  & JAY-Z")
    'beyonce and jay z'
    """
    plain = unicodedata.normalize("NFKD", name).replace("&", " and ")
    kept = (c for c in plain if not unicodedata.combining(c))
    # Composed again, so that scripts whose letters NFKD takes apart (Hangul) come back whole.
    spaced = "".join(c if c.isalnum() else " " for c in unicodedata.normalize("NFC", "".join(kept)).casefold())
    return " ".join(spaced.replace("'", "").split())


def title_key(title: str) -> str:
    """A title without guests; version words (live, remix, remaster) stay: another version is another recording."""
    return normalise(_GUESTS.sub("", title)) or normalise(title)


def match_key(creators: Sequence[str], title: str | None) -> str | None:
    """`first creator|title`, normalised; None where it would not identify anything."""
    if not creators or not title:
        return None
    creator, name = _THE.sub("", normalise(_GUESTS.sub("", creators[0]))), title_key(title)
    return f"{creator}|{name}" if creator and name else None
