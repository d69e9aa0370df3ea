"""What is quick is told without bars."""

import time

import pytest

from tasks.progress import Bars


def drawn(bars: Bars) -> bool:
    return bars._bars.live.is_started


@pytest.mark.parametrize("quiet", [False, True])
def test_bars_are_drawn_once_their_time_has_come(quiet: bool) -> None:
    with Bars(quiet=quiet, after_s=0.2) as bars:
        bars.begin("items", 10)
        bars.advance(5)
        assert not drawn(bars)
        time.sleep(0.25)
        bars.advance(5)
        assert drawn(bars) is not bars._bars.disable
        bars.drop()
        assert not bars._bars.tasks
    assert not drawn(bars)
    with Bars(quiet=True) as bars:
        bars.begin("items", 1)
        bars.drop()
