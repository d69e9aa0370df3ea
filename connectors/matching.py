"""Whether two sources speak of the same track or film: normalised names."""

import re
import unicodedata
from collections.abc import Sequence

# "(feat. X)", "[ft. X]", "(with X)" and a bare " feat. X": who else sings is written in ten ways, or not at all. A bare
# one ends where a version begins: " feat. X (Live)", " feat. X - Remix". "10 Ft. Ganja Plant" is a band.
_GUESTS = re.compile(
    r"\s*[(\[](?:feat\.?|ft\.?|featuring|with)\s[^)\]]*[)\]]"
    r"|(?<!\d)\s+(?:feat\.?|ft\.?|featuring)\s.*?(?=\s*[(\[]|\s+[-–—]\s|$)",
    re.IGNORECASE,
)
_THE = re.compile(r"^(?:the|a|an)\s+")
# Part no words: apostrophes (NFKD makes " \u0301" of one of them), fillers and variation selectors.
_SILENT = re.compile("['’‘ʼ`]| \u0301|[\u034f\u115f\u1160\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Combining classes that make another letter, not an accent: vowel signs, nukta, kana voicing, virama, Thai, Tibetan.
_LETTER_MARKS = frozenset({0, 7, 8, 9, *range(84, 133)})


def normalise(name: str) -> str:
    """The name in lower case without accents, punctuation and double spaces; any script's letters stay.

    >>> normalise("Beyoncé  & JAY-Z")
    'beyonce and jay z'
    """
    plain = _SILENT.sub("", unicodedata.normalize("NFKD", name)).replace("&", " and ")
    kept = "".join(c for c in plain if unicodedata.combining(c) in _LETTER_MARKS and unicodedata.category(c) != "Cf")
    # Composed again, so that scripts whose letters NFKD takes apart (Hangul) come back whole.
    words = "".join(c if _in_word(c) else " " for c in unicodedata.normalize("NFC", kept.casefold())).split()
    return " ".join(word for word in words if any(map(str.isalnum, word)))


def _in_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character) in ("Mn", "Mc")


def without_guests(name: str) -> str:
    """A title or an artist without who else sings; as it is where nothing would be left.

    >>> without_guests("Lanterns (feat. Ohm) [Live]"), without_guests("Vela Norte ft. Ohm")
    ('Lanterns [Live]', 'Vela Norte')
    """
    return _GUESTS.sub("", name).strip() or name


def title_key(title: str) -> str:
    """A title without guests; version words (live, remix, remaster) stay: another version is another recording.

    A question mark at the end stays, too: Coldplay's "Lost?" is another recording than "Lost!".
    """
    bare = _GUESTS.sub("", title).rstrip()
    key = normalise(bare) or normalise(title)
    return f"{key} ?" if key and bare.endswith(("?", "\uff1f")) else key


def match_key(creators: Sequence[str], title: str | None) -> str | None:
    """`first creator|title`, normalised; None where it would not identify anything."""
    if not creators or not title:
        return None
    creator, name = _THE.sub("", normalise(_GUESTS.sub("", creators[0]))), title_key(title)
    return f"{creator}|{name}" if creator and name else None
