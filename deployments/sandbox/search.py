"""Search of the sandbox's services: by words that occur, rare ones counting more, popular things first among equals."""

import re
import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from math import log

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+")


def words_of(text: str) -> list[str]:
    """Words without accents and case; letters of Chinese and Japanese one by one, as they have no spaces."""
    plain = unicodedata.normalize(
        "NFKD", text.casefold().replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "")
    )
    bare = "".join(c for c in plain if not unicodedata.combining(c) or "\u3099" <= c <= "\u309a")
    return _WORD.findall(unicodedata.normalize("NFC", bare))


class Index:
    """Texts that can be searched."""

    def __init__(self, texts: Iterable[str], weights: Iterable[float]) -> None:
        """Weights, 0 to 1, decide among texts that match alike."""
        self._weights = array("d", weights)
        self._sizes = array("i")
        self._places: dict[str, array[int]] = {}
        for place, text in enumerate(texts):
            words = set(words_of(text))
            self._sizes.append(len(words))
            for word in words:
                self._places.setdefault(word, array("i")).append(place)

    def __len__(self) -> int:
        return len(self._sizes)

    def find(self, query: str, *, least: float = 0.0) -> list[int]:
        """Places of the texts that hold at least the share `least` of what the query's words weigh, best first."""
        asked = {word: self._weight(word) for word in dict.fromkeys(words_of(query))}
        total = sum(asked.values())
        if not total:
            return []
        scores: dict[int, float] = {}
        for word, weight in asked.items():
            for place in self._places.get(word, ()):
                scores[place] = scores.get(place, 0.0) + weight
        found = [(score / total, place) for place, score in scores.items() if score / total >= least and score > 0]
        return [place for _, place in sorted((-self._rank(score, place, len(asked)), place) for score, place in found)]

    def _weight(self, word: str) -> float:
        return log(1 + len(self) / (1 + len(self._places.get(word, ()))))

    def _rank(self, score: float, place: int, asked: int) -> float:
        # What a text says beside the query counts a little against it; fame decides among equals.
        return score - 0.02 * max(0, self._sizes[place] - asked) + 0.1 * self._weights[place]


def in_all(found: Sequence[Sequence[int]]) -> list[int]:
    """Places that all lists hold, in the order of the first."""
    if not found:
        return []
    others = [set(places) for places in found[1:]]
    return [place for place in found[0] if all(place in other for other in others)]
