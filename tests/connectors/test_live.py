"""Settings of live connectors, as catalogues give them."""

import re
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import genius, tmdb, youtube
from connectors.candidates import Candidate
from connectors.errors import SchemaDrift
from connectors.live import offered, settled
from connectors.tmdb import TmdbSettings
from connectors.tmdb_answers import error_of, poster_of, trailer_of
from tests.connectors.recorded import Recorded

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "id title url hits result type song response primary_artist name stats album results movie_results "
                "credits crew release_date runtime entries duration artists channel upload_date videos key".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


def test_a_catalogues_policy_changes_its_limits_and_keeps_the_services_others() -> None:
    found, policy = settled(TmdbSettings, {"requests_per_day": 100}, {"language": "de-DE"})
    assert policy is None
    assert (found.policy.requests_per_day, found.language) == (100, "de-DE")
    assert found.policy.hosts == TmdbSettings().policy.hosts != ()


def test_a_policy_object_is_handed_on() -> None:
    given = Recorded("tmdb")
    found, policy = settled(TmdbSettings, given, {})
    assert policy is given
    assert found.policy == TmdbSettings().policy


@pytest.mark.parametrize(("policy", "more"), [({"speed": 9}, {}), (None, {"langage": "de"})])
def test_an_unknown_setting_is_refused(policy: dict[str, int] | None, more: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="tmdb: unknown option"):
        settled(TmdbSettings, policy, more)


def test_one_element_that_cannot_be_read_is_left_out_and_all_of_them_are_drift() -> None:
    def one(said: dict[str, str]) -> Candidate | None:
        return None if said["title"] == "a channel" else Candidate.of({"id": said["id"], "title": said["title"]})

    found = [{"title": "A", "id": "1"}, {"id": "2"}, {"title": "a channel"}]
    assert [candidate.id for candidate in offered("x", "search", found, one)] == ["1"]
    assert offered("x", "search", found[2:], one) == offered("x", "search", [], one) == []
    with pytest.raises(SchemaDrift, match=r"nothing of an answer to 'search' can be read \(KeyError: 'title'\)"):
        offered("x", "search", found[1:], one)
    with pytest.raises(SchemaDrift, match="without a list"):
        offered("x", "search", None, one)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(payload=st.dictionaries(st.sampled_from(["response", "hits", "results", "movie_results", "entries"]), JSON))
def test_an_answer_of_any_shape_is_candidates_or_drift(payload: dict[str, object]) -> None:
    sources = [module.connect(policy=Recorded("x")) for module in (genius, tmdb, youtube)]
    for source in sources:
        for entity in sorted(source.entities):
            with suppress(SchemaDrift):
                assert all(isinstance(one, Candidate) for one in source.candidates(entity, payload))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(film=st.dictionaries(st.sampled_from(["videos", "poster_path", "images", "status_code", "id"]), JSON))
def test_a_film_of_any_shape_has_a_trailer_and_a_poster_or_none(film: dict[str, object]) -> None:
    assert trailer_of(film) is None or isinstance(trailer_of(film), str)
    error_of(200, film)
    with suppress(SchemaDrift):
        assert poster_of(film, film) is None or isinstance(poster_of(film, film), str)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"result": 3}, "youtube: unknown option 'result'; did you mean 'results'? known: endpoint"),
        ({"policy": {"retry": 3}}, "youtube: unknown option 'policy.retry'; did you mean 'retries'? known: backoff_s"),
        ({"results": "many"}, "youtube: option 'results': Input should be a valid integer"),
    ],
)
def test_a_misspelt_setting_is_named_without_its_value(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        youtube.connect(**options)
    assert "many" not in str(error.value)
