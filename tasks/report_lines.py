"""Charts of models: lines on plain axes, and figures with their intervals."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tasks.report_axes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    PLOT_H,
    PLOT_W,
    RIGHT,
    WIDTH,
    even_steps,
    line,
    nice_step,
    svg,
    words,
    x_axis,
    y_axis,
)
from tasks.report_charts import colour, legend
from tasks.report_html import compact, shortened, text

_ROW, _ABOVE, _LETTER = 22, 6, 6.2  # height of a row, and what is free above all; width of a letter of 11 px
_NAME = 22  # letters of a row's name


class Whisker(NamedTuple):
    """A figure and its interval."""

    name: str
    low: float
    value: float
    high: float
    colour: str  # a class of the style sheet


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x: str,
    y: str,
    ticks: Sequence[tuple[float, str]] = (),
    first: int = 0,
    zero: bool = False,
) -> str:
    """Lines of (x, y) with a dot at each point.

    Args:
        series: Points by name; each has one at least.
        x: What is along the axis below.
        y: What is along the left one.
        ticks: What stands at values of x; numbers by default.
        first: Colour of the first line; the following ones come after it.
        zero: The left axis begins at 0.
    """
    xs = [px for points in series.values() for px, _ in points]
    ys = [py for points in series.values() for _, py in points]
    left, right = min(xs), max(max(xs), min(xs) + 1)
    low, high = _range(0 if zero else min(ys), max(ys))
    parts = [y_axis(high, y, start=low, least=0), x_axis(left, right, x, ticks)]
    for i, (name, points) in enumerate(series.items()):
        at = [(_across(px, left, right), _up(py, low, high)) for px, py in points]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in at)
        parts.append(f'<polyline class="curve {colour(first + i)}" points="{path}"/>')
        for (px, py), (_, value) in zip(at, points, strict=True):
            said = f"<title>{text(name)}: {compact(value)}</title>"
            parts.append(f'<circle class="{colour(first + i)}" cx="{px:.1f}" cy="{py:.1f}" r="2.2">{said}</circle>')
    told = "; ".join(f"{name} from {compact(p[0][1])} to {compact(p[-1][1])}" for name, p in series.items())
    return svg("".join(parts), f"{y} by {x}: {told}") + legend(list(series), first)


def whiskers(rows: Sequence[Whisker], *, x: str) -> str:
    """A dot per row with its interval, on an axis that begins at 0 unless something lies below."""
    names = [shortened(row.name, _NAME) for row in rows]
    start = max(map(len, names)) * _LETTER + 10
    low, high = _range(min(0, *(row.low for row in rows)), max(row.high for row in rows))
    bottom = _ABOVE + len(rows) * _ROW
    width = WIDTH - RIGHT - start
    parts = [words(WIDTH - RIGHT, bottom + 34, x, "end")]
    for value in even_steps(low, high, 4):
        at = start + (value - low) / (high - low) * width
        parts.append(line(at, _ABOVE, at, bottom, "grid") + words(at, bottom + 14, compact(value), "middle"))
    for n, (name, row) in enumerate(zip(names, rows, strict=True)):
        at = _ABOVE + (n + 0.5) * _ROW
        x1, x2, x3 = (start + (value - low) / (high - low) * width for value in (row.low, row.value, row.high))
        said = f"<title>{text(row.name)}: {compact(row.value)} ({compact(row.low)} to {compact(row.high)})</title>"
        parts.append(
            f'{words(start - 8, at + 4, name, "end")}<g>{said}<line class="whisker {row.colour}" x1="{x1:.1f}" '
            f'y1="{at:g}" x2="{x3:.1f}" y2="{at:g}"/><circle class="{row.colour}" cx="{x2:.1f}" cy="{at:g}" r="4"/></g>'
        )
    told = ", ".join(f"{row.name} {compact(row.value)}" for row in rows)
    return svg("".join(parts), f"{x}: {told}", bottom + 40)


def _range(low: float, high: float) -> tuple[float, float]:
    """Round ends of an axis that holds both."""
    step = nice_step(max(high - low, abs(high) * 1e-3, 1e-9), 4)
    start = math.floor(low / step + 1e-9) * step
    return start, max(math.ceil(high / step - 1e-9) * step, start + step)


def _across(value: float, low: float, high: float) -> float:
    return LEFT + (value - low) / (high - low) * PLOT_W


def _up(value: float, low: float, high: float) -> float:
    return HEIGHT - BOTTOM - (value - low) / (high - low) * PLOT_H
