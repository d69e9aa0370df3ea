"""What is quick is told without bars."""

import time

import pytest

from tasks import progress
from tasks.progress import Bars, waiting


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


def test_where_no_bar_can_be_drawn_lines_say_how_far_a_stage_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_AT_FIRST_EVERY_S", 0.1)
    monkeypatch.setattr(progress, "_LOOK_S", 0.02)
    with Bars() as bars:
        bars.look("audio")
        time.sleep(0.25)
        bars.begin("audio", 1_000)
        bars.advance(400)
        time.sleep(0.25)
    told = capsys.readouterr().err.splitlines()
    assert "audio        0 s ..." in told
    assert "audio        400 of 1,000, 0 s ..." in told
    with waiting("world"):
        pass
    with Bars(quiet=True) as bars:
        bars.look("audio")
        time.sleep(0.25)
    assert capsys.readouterr().err == ""


def test_after_the_first_minutes_the_lines_are_few(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_AT_FIRST_EVERY_S", 0.02)
    monkeypatch.setattr(progress, "_LOOK_S", 0.01)
    monkeypatch.setattr(progress, "_AT_FIRST_S", 0.0)
    with Bars() as bars:
        bars.begin("audio", 5)
        time.sleep(0.2)
    assert capsys.readouterr().err == ""
