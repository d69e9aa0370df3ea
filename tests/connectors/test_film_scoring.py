"""Films of a search: title and year, and the director where both sides know one."""

import pytest

from connectors.base import Wanted
from connectors.candidates import Candidate
from connectors.film_scoring import score_film

HEAT = Candidate(id="949", title="Heat", year=1995, artists=("Michael Mann",))


@pytest.mark.parametrize(
    ("wanted", "accepted"),
    [
        (Wanted(title="Heat", year=1995), True),
        (Wanted(title="HEAT!", year=1996), True),
        (Wanted(title="Heat", year=1986), False),
        (Wanted(title="Heat"), False),
        (Wanted(title="The Heat", year=1995), False),
        (Wanted(title="Heat", year=1995, creators=("Somebody Else",)), False),
        (Wanted(title="Heat", year=1996, creators=("michael mann",)), True),
    ],
)
def test_only_title_and_year_together_are_believed(wanted: Wanted, accepted: bool) -> None:
    assert (score_film(wanted, HEAT) >= 0.9) == accepted
