"""Settings of live connectors, as catalogues give them."""

import pytest

from connectors.live import settled
from connectors.tmdb import TmdbSettings
from tests.connectors.recorded import Recorded


def test_a_catalogues_policy_changes_its_limits_and_keeps_the_services_others() -> None:
    settings, policy = settled(TmdbSettings, {"requests_per_day": 100}, {"language": "de-DE"})
    assert policy is None
    assert (settings.policy.requests_per_day, settings.language) == (100, "de-DE")
    assert settings.policy.hosts == TmdbSettings().policy.hosts != ()


def test_a_policy_object_is_handed_on() -> None:
    given = Recorded("tmdb")
    settings, policy = settled(TmdbSettings, given, {})
    assert policy is given
    assert settings.policy == TmdbSettings().policy


@pytest.mark.parametrize(("policy", "more"), [({"speed": 9}, {}), (None, {"langage": "de"})])
def test_an_unknown_setting_is_refused(policy: dict[str, int] | None, more: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        settled(TmdbSettings, policy, more)
