"""The report's charts: small inline SVG, without a library; colours come from the page's style sheet.

All are drawn 360 units wide and set in a grid whose columns are about as wide, so that their text is as large as the
page's on a telephone and on a desk.
"""

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
    TOP,
    WIDTH,
    baseline,
    line,
    nice_top,
    rect,
    svg,
    words,
    x_axis,
    y_axis,
)
from tasks.report_html import SERIES, compact, number, text


class Bins(NamedTuple):
    """Counts over equal steps of a number."""

    start: float  # of the first bin
    step: float
    counts: Mapping[str, Sequence[int]]  # by series, each as long as there are bins
    labels: Sequence[str] = ()  # of the bins, where their bounds do not say it
    ticks: Sequence[tuple[float, str]] = ()  # of the axis, likewise


class Part(NamedTuple):
    """A part of a stacked bar."""

    label: str
    n: int
    colour: str  # a class of the style sheet: c0 ... c6, co, none


def colour(i: int) -> str:
    """The class of the i-th series."""
    return f"c{i}" if i < SERIES else "co"


def figure(title: str, drawing: str, note: str = "", *, wide: bool = False) -> str:
    """A drawing with its title above and what there is to know below."""
    below = f'<p class="note">{note}</p>' if note else ""
    return f"<figure{' class=wide' if wide else ''}><figcaption>{text(title)}</figcaption>{drawing}{below}</figure>"


def legend(names: Sequence[str], first: int = 0) -> str:
    """What the colours mean, from the first one on; nothing for one series."""
    items = "".join(f'<li><i class="{colour(i)}"></i>{text(name)}</li>' for i, name in enumerate(names, first))
    return f'<ul class="legend">{items}</ul>' if len(names) > 1 else ""


def histogram(bins: Bins, *, x: str, y: str, years: bool = False) -> str:
    """Bars over a number, series stacked."""
    n = max(len(counts) for counts in bins.counts.values())
    totals = [sum(counts[i] for counts in bins.counts.values()) for i in range(n)]
    top = nice_top(max(totals))
    width = PLOT_W / n
    parts = [y_axis(top, y)]
    for at, total in enumerate(totals):
        label = _bin_label(bins, at, years=years)
        rects, base = [], 0
        for i, counts in enumerate(bins.counts.values()):
            if counts[at]:
                high = counts[at] / top * PLOT_H
                low_y = HEIGHT - BOTTOM - base / top * PLOT_H
                rects.append(rect(LEFT + at * width, low_y - high, width, high, colour(i)))
                base += counts[at]
        if rects:
            parts.append(f"<g><title>{text(label)}: {number(total)}</title>{''.join(rects)}</g>")
    parts.append(x_axis(bins.start, bins.start + n * bins.step, x, bins.ticks, years=years))
    most = totals.index(max(totals))
    said = f"{y} by {x}: {sum(totals):,} in {n} bars, most at {_bin_label(bins, most, years=years)} ({totals[most]:,})"
    return svg("".join(parts), said) + legend(list(bins.counts))


def columns(labels: Sequence[str], counts: Sequence[int], *, x: str, y: str) -> str:
    """A bar per label."""
    top, width = nice_top(max(counts)), PLOT_W / len(labels)
    every = math.ceil(len(labels) * max(map(len, labels)) * 6.5 / PLOT_W)
    parts = [y_axis(top, y)]
    for i, (label, count) in enumerate(zip(labels, counts, strict=True)):
        high = count / top * PLOT_H
        bar = rect(LEFT + i * width + width * 0.08, HEIGHT - BOTTOM - high, width * 0.84, high, "c0")
        parts.append(f"<g><title>{text(label)}: {number(count)}</title>{bar}</g>")
        if i % every == 0:
            parts.append(words(LEFT + (i + 0.5) * width, HEIGHT - BOTTOM + 14, label, "middle"))
    parts.append(baseline(x))
    said = f"{y} by {x}: " + ", ".join(f"{label} {count:,}" for label, count in zip(labels, counts, strict=True))
    return svg("".join(parts), said)


def curves(lines: Mapping[str, Sequence[tuple[float, float]]], *, x: str, y: str) -> str:
    """Lines of (x, y), both at least 1, on logarithmic axes."""
    far = max(px for points in lines.values() for px, _ in points)
    high = max(py for points in lines.values() for _, py in points)
    decades_x, decades_y = max(math.log10(far), 1), max(math.log10(high), 1)

    def place(px: float, py: float) -> tuple[float, float]:
        return (
            LEFT + math.log10(max(px, 1)) / decades_x * PLOT_W,
            HEIGHT - BOTTOM - math.log10(max(py, 1)) / decades_y * PLOT_H,
        )

    parts = [words(0, 12, y, "start")]
    for power in range(math.floor(decades_y) + 1):
        _, at = place(1, 10**power)
        parts.append(line(LEFT, at, WIDTH - RIGHT, at, "grid") + words(LEFT - 6, at + 4, compact(10**power), "end"))
    for power in range(math.floor(decades_x) + 1):
        at, _ = place(10**power, 1)
        parts.append(line(at, TOP, at, HEIGHT - BOTTOM, "grid"))
        parts.append(words(at, HEIGHT - BOTTOM + 14, compact(10**power), "middle"))
    for i, points in enumerate(lines.values()):
        path = " ".join("{:.1f},{:.1f}".format(*place(px, py)) for px, py in points)
        parts.append(f'<polyline class="curve {colour(i)}" points="{path}"/>')
    parts.append(baseline(x))
    said = f"{y} by {x}, both axes logarithmic: " + "; ".join(
        f"{name} from {number(points[0][1])} down to {number(points[-1][1])}" for name, points in lines.items()
    )
    return svg("".join(parts), said) + legend(list(lines))


def stacked(parts: Sequence[Part], whole: int) -> str:
    """One horizontal bar over the whole width, 100 units long however many it stands for."""
    at, rects = 0.0, []
    for part in parts:
        width = 100 * part.n / whole
        rects.append(
            f'<rect class="{part.colour}" x="{at:.3f}" width="{width:.3f}" height="10">'
            f"<title>{text(part.label)}: {number(part.n)}</title></rect>"
        )
        at += width
    said = ", ".join(f"{part.label} {part.n:,}" for part in parts)
    return (
        f'<svg class="stack" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{text(said)}">'
        f"{''.join(rects)}</svg>"
    )


def meter(value: float) -> str:
    """A bar for a value of 0 to 1."""
    return (
        '<svg class="stack" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="rest" width="100" height="10"/>'
        f'<rect class="c0" width="{100 * min(max(value, 0), 1):.2f}" height="10"/></svg>'
    )


def scatter(groups: Mapping[str, Sequence[tuple[float, float]]], colours: Mapping[str, str], *, said: str) -> str:
    """A square map of points in [0, 1]; a path per group, so that thousands of points stay small.

    A point is a line of no length with a round end. The page's script finds the nearest one to the pointer.
    """
    side = WIDTH
    paths = []
    for name, points in groups.items():
        dots = "".join(f"M{8 + px * (side - 16):.1f} {8 + (1 - py) * (side - 16):.1f}h0" for px, py in points)
        paths.append(f'<path class="dots {colours[name]}" data-group="{text(name)}" d="{dots}"/>')
    return (
        f'<svg class="map" viewBox="0 0 {side} {side}" role="img" aria-label="{text(said)}">{"".join(paths)}'
        '<circle class="mark" r="6" cx="-20" cy="-20"/></svg>'
    )


def _bin_label(bins: Bins, i: int, *, years: bool) -> str:
    if bins.labels:
        return bins.labels[i]
    low, high = bins.start + i * bins.step, bins.start + (i + 1) * bins.step
    if years:
        return f"{low:.0f}" if bins.step == 1 else f"{low:.0f} to {high - 1:.0f}"
    return f"{low:,.6g} to {high:,.6g}"
