"""How probably a film that a search offers is the wanted one: by title and year, and by director where both know one.

The figures are set by hand, not fitted: of MovieLens-small's 9,742 films TMDb's ids are known, so that only films
without one come here. Remakes share a title, so that a title alone is never believed.
"""

from collections.abc import Sequence
from math import prod

from connectors.base import Wanted
from connectors.candidates import Candidate
from connectors.matching import normalise, title_key

SAME_TITLE, NEAR_YEAR, OTHER_YEAR, NO_YEAR = 0.97, 0.93, 0.05, 0.6
SAME_DIRECTOR, OTHER_DIRECTOR = 1.02, 0.2


def score_film(wanted: Wanted, candidate: Candidate) -> float:
    """Probability in [0, 1] that the candidate is the film.

    >>> heat = Candidate(id="949", title="Heat", year=1995)
    >>> score_film(Wanted(title="Heat", year=1995), heat), score_film(Wanted(title="Heat", year=1986), heat)
    (0.97, 0.05)
    """
    if title_key(wanted.title) != title_key(candidate.title):
        return 0.0
    if wanted.year is None or candidate.year is None:
        told = NO_YEAR
    else:
        told = {0: SAME_TITLE, 1: NEAR_YEAR}.get(abs(wanted.year - candidate.year), OTHER_YEAR)
    return min(1.0, prod((told, _directors(wanted.creators, candidate.artists))))


def _directors(wanted: Sequence[str], offered: Sequence[str]) -> float:
    if not wanted or not offered:
        return 1.0
    return SAME_DIRECTOR if set(map(normalise, wanted)) & set(map(normalise, offered)) else OTHER_DIRECTOR
