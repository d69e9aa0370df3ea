"""Bars with an estimate of the time left on a terminal; lines elsewhere. Standard error only."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType
from typing import ClassVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from tasks.stage import StageResult

_LINE_EVERY_S, _AT_FIRST_S = 30.0, 600.0
_AT_FIRST_EVERY_S = 1.8
"""Somebody watches the first minutes, and takes two seconds of silence for a fault; a log of a night is read later."""
_START_S = 0.8
"""A command was silent for so long before it could say anything: its imports (measured 2026-11)."""
_LOOK_S = 0.2


class _Counted(MofNCompleteColumn):
    """Nothing where it is not known yet how much there is to do."""

    def render(self, task: Task) -> Text:
        """`3/10`."""
        return Text() if task.total is None else super().render(task)


class Bars:
    """Tells how far each stage is; while it is open, a thread of its own tells that something is being done at all.

    One is open at a time: the next one ends the one before it, as two cannot draw on one terminal.
    """

    _open: ClassVar["Bars | None"] = None

    def __init__(self, *, quiet: bool = False, after_s: float = 0.0) -> None:
        """`quiet` says nothing at all; bars are drawn once `after_s` have passed, as what is quick needs none."""
        console = Console(stderr=True, quiet=quiet)
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(),
            _Counted(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._console = console
        self._bars = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
        self._stage, self._keys, self._done = "", 0, 0
        self._began = self._told = self._opened = time.monotonic()
        self._draw_at = self._opened + after_s
        self._told -= _START_S
        self._bar: TaskID | None = None
        self._over = threading.Event()
        self._teller = threading.Thread(target=self._keep_telling, name="progress", daemon=True)

    def __enter__(self) -> "Bars":
        """Start drawing."""
        if Bars._open is not None:
            Bars._open.close()
        Bars._open = self
        self._draw()
        if not self._console.quiet:
            self._teller.start()
        return self

    def _draw(self) -> None:
        if not self._bars.live.is_started and time.monotonic() >= self._draw_at:
            self._bars.start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self.close()

    def close(self) -> None:
        """Stop drawing, if it has not been stopped."""
        self._over.set()
        if self._teller.is_alive():
            self._teller.join()
        self._bars.stop()
        if Bars._open is self:
            Bars._open = None

    def look(self, what: str) -> None:
        """Something is begun of which it is not known yet how much there is to do."""
        self._start(what, None)

    def begin(self, stage: str, keys: int) -> None:
        """A stage has `keys` to do."""
        self._start(stage, keys)

    def _start(self, what: str, keys: int | None) -> None:
        if what != self._stage:
            self._began = time.monotonic()
        self.drop()
        self._stage, self._keys, self._done = what, keys or 0, 0
        self._bar = self._bars.add_task(what, total=keys)
        self._draw()

    def more(self, keys: int) -> None:
        """The stage has so many more to do."""
        self._keys += keys
        if self._bar is not None:
            self._bars.update(self._bar, total=self._keys)

    def advance(self, keys: int) -> None:
        """So many more are done."""
        self._done += keys
        if self._bar is not None:
            self._bars.advance(self._bar, keys)
        self._draw()

    def drop(self) -> None:
        """The bar goes, without a word."""
        if self._bar is not None:
            self._bars.remove_task(self._bar)
        self._bar = None

    def end(self, result: StageResult) -> None:
        """The stage is over."""
        self.drop()
        parts = [f"{result.stage:<12} {result.done:,} done"]
        parts += [f"{result.skipped:,} up to date"] if result.skipped else []
        parts += [f"{result.removed:,} removed"] if result.removed else []
        parts += [f"{count:,} {reason}" for reason, count in sorted(result.reasons.items())]
        self._say(f"{', '.join(parts)} in {result.seconds:.1f} s")

    def note(self, line: str) -> None:
        """Something to know beside how far it is."""
        self._say(f"note: {line}")

    def _say(self, line: str) -> None:
        self._told = time.monotonic()
        self._console.print(line, highlight=False)

    def _keep_telling(self) -> None:
        while not self._over.wait(_LOOK_S):
            if time.monotonic() >= self._draw_at:
                self._draw() if self._console.is_terminal else self._tell_again()

    def _tell_again(self) -> None:
        """A line, where no bar can be drawn and none has come for a while."""
        now = time.monotonic()
        pause_s = _AT_FIRST_EVERY_S if now - self._opened < _AT_FIRST_S else _LINE_EVERY_S
        if now - self._told >= pause_s and self._stage:
            how_far = f"{self._done:,} of {self._keys:,}, " if self._keys else ""
            self._say(f"{self._stage:<12} {how_far}{now - self._began:.0f} s ...")


@contextmanager
def waiting(what: str, *, quiet: bool = False) -> Generator[None]:
    """Tell what takes its time, once it does."""
    with Bars(quiet=quiet, after_s=0.5) as bars:
        bars.look(what)
        yield
