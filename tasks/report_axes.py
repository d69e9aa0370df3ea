"""Axes of the report's charts, and the SVG that they are made of."""

import math
from collections.abc import Sequence

from tasks.report_html import compact, text

WIDTH, HEIGHT = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 24, 40
PLOT_W, PLOT_H = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM


def nice_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that divides the span into at most so many steps."""
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    return next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))


def even_steps(start: float, end: float, most: int, *, least: float = 0) -> list[float]:
    """Round numbers from start to end, about so many at most and at least `least` apart."""
    step = max(nice_step(end - start, most), least)
    first = math.ceil(start / step - 1e-9) * step
    return [round(first + i * step, 9) for i in range(int((end - first) / step + 1e-9) + 1)]


def nice_top(largest: float) -> float:
    """Where an axis of counts ends."""
    step = max(nice_step(max(largest, 1), 4), 1)
    return math.ceil(max(largest, 1) / step) * step


def y_axis(top: float, name: str, *, start: float = 0.0, least: float = 1) -> str:
    """Grid lines from `start` to `top`, at least so far apart, with their numbers to the left."""
    parts = [words(0, 12, name, "start")]
    for value in even_steps(start, top, 4, least=least):
        at = HEIGHT - BOTTOM - (value - start) / (top - start) * PLOT_H
        parts.append(line(LEFT, at, WIDTH - RIGHT, at, "grid") + words(LEFT - 6, at + 4, compact(value), "end"))
    return "".join(parts)


def x_axis(start: float, end: float, name: str, ticks: Sequence[tuple[float, str]] = (), *, years: bool = False) -> str:
    """The line below with its numbers, or with these at their values."""
    parts = [baseline(name)]
    for value, label in ticks or _ticks(start, end, years=years):
        at = LEFT + (value - start) / (end - start) * PLOT_W
        parts.append(line(at, HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 3, "axis"))
        parts.append(words(at, HEIGHT - BOTTOM + 14, label, "middle"))
    return "".join(parts)


def _ticks(start: float, end: float, *, years: bool) -> list[tuple[float, str]]:
    values = even_steps(start, end, 6, least=1 if years else 0)
    return [(value, f"{value:.0f}" if years else compact(value)) for value in values]


def baseline(name: str) -> str:
    """The line below, and what is counted along it."""
    low = HEIGHT - BOTTOM
    return line(LEFT, low, WIDTH - RIGHT, low, "axis") + words(WIDTH - RIGHT, HEIGHT - 6, name, "end")


def svg(inner: str, said: str, height: float = HEIGHT) -> str:
    """A chart; `said` is it in words."""
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{text(said)}">{inner}</svg>'


def rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A bar, apart from its neighbours where it is wide enough."""
    gap = 0.5 if width > 3 else 0
    return (
        f'<rect class="{kind}" x="{x + gap:.1f}" y="{y:.1f}" width="{max(width - 2 * gap, 0.5):.1f}" '
        f'height="{max(height, 0.5):.1f}"/>'
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def words(x: float, y: float, value: str, anchor: str) -> str:
    """A text that starts, ends or has its middle there."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text(value)}</text>'
