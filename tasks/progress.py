"""Bars with an estimate of the time left on a terminal; one line per stage elsewhere. Standard error only."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tasks.stage import StageResult

_LINE_EVERY_S = 30.0


class Bars:
    """Tells how far each stage is."""

    def __init__(self, *, quiet: bool = False, after_s: float = 0.0) -> None:
        """`quiet` says nothing at all; bars are drawn once `after_s` have passed, as what is quick needs none."""
        console = Console(stderr=True, quiet=quiet)
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._console = console
        self._bars = Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)
        self._stage, self._keys, self._done, self._told = "", 0, 0, 0.0
        self._draw_at = time.monotonic() + after_s

    def __enter__(self) -> "Bars":
        """Start drawing."""
        self._draw()
        return self

    def _draw(self) -> None:
        if not self._bars.live.is_started and time.monotonic() >= self._draw_at:
            self._bars.start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self._bars.stop()

    def begin(self, stage: str, keys: int) -> None:
        """A stage has `keys` to do."""
        self._stage, self._keys, self._done, self._told = stage, keys, 0, time.monotonic()
        self._bar = self._bars.add_task(stage, total=keys)

    def advance(self, keys: int) -> None:
        """So many more are done."""
        self._done += keys
        self._bars.advance(self._bar, keys)
        self._draw()
        if not self._console.is_terminal and time.monotonic() - self._told > _LINE_EVERY_S:
            self._told = time.monotonic()
            self._console.print(f"{self._stage:<12} {self._done:,} of {self._keys:,}", highlight=False)

    def drop(self) -> None:
        """The bar goes, without a word."""
        self._bars.remove_task(self._bar)

    def end(self, result: StageResult) -> None:
        """The stage is over."""
        self.drop()
        parts = [f"{result.stage:<12} {result.done:,} done"]
        parts += [f"{result.skipped:,} up to date"] if result.skipped else []
        parts += [f"{result.removed:,} removed"] if result.removed else []
        parts += [f"{count:,} {reason}" for reason, count in sorted(result.reasons.items())]
        self._console.print(f"{', '.join(parts)} in {result.seconds:.1f} s", highlight=False)
