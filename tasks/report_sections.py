"""The report's sections that count: checks, coverage, reasons, distributions, interactions."""

# Annotations stay text: duckdb has no types of its own.
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from expectations.gate import Found
from tasks import report_data as counts
from tasks.report_charts import Bins, Part, colour, columns, curves, figure, histogram, meter, stacked
from tasks.report_html import REASONS, Cell, number, plural, section, share, shortened, table, text

_EXAMPLE = 90  # characters of a cell of an example
_MONTHS = 180  # more of them are drawn as years
_UNTRIED = {"Facts": "not said", "Interactions": "never", "Features": "no input"}
_INTERACTIONS = {"rating": "ratings", "play": "plays", "playlist": "playlist places"}
_MINUTES = "duration_ms / 60000.0"


# --- checks


def checks(found: Sequence[Found]) -> str:
    """Every check: the failed ones with examples, the others in a table to unfold."""
    failed = sorted((f for f in found if not f.success), key=lambda f: (not f.blocks, f.name))
    passed = [f for f in found if f.success]
    lead = (
        "What the tables hold against what is expected of them. A check that blocks keeps the release back until it "
        "passes or the catalogue says otherwise; a warning does not."
    )
    rows = [(f.name, f.severity, f.saw, f.expected) for f in passed]
    listed = table(("check", "severity", "observed", "expected"), rows, caption="Checks that passed", kind="wide")
    fold = f"<details><summary>{plural(len(passed), 'check')} passed</summary>{listed}</details>"
    return section("checks", "Checks", lead, *(_failed(f) for f in failed), fold if passed else "")


def _failed(f: Found) -> str:
    kind, word = ("bad", "blocks") if f.blocks else ("warned", "warning")
    against = f" Compared with {text(f.compared_with)}." if f.compared_with else ""
    said = f"{text(f.about[:1].upper() + f.about[1:])}: {text(f.saw)}; expected {text(f.expected)}.{against}"
    return (
        f'<div class="check {kind}"><h3>{text(f.name)}<span class="{kind}">{word}</span></h3><p>{said}</p>'
        f"{_examples(f.examples)}</div>"
    )


def _examples(examples: Sequence[Mapping[str, Any]]) -> str:
    if not examples:
        return ""
    names = [name for name in examples[0] if any(row.get(name) is not None for row in examples)]
    rows = [[_brief(row.get(name)) for name in names] for row in examples]
    return table(names, rows, caption="Examples of offending rows", kind="rows")


def _brief(value: Any) -> str:
    return "" if value is None else shortened(f"{value:.6g}" if isinstance(value, float) else str(value), _EXAMPLE)


# --- coverage


def coverage(con: Any, features: Iterable[str]) -> str:
    """A bar per thing that an item can have: values, reasons, and items that nobody has it for."""
    groups = counts.coverage(con, features)
    parts = [
        f'<div class="block"><h3>{text(name)}</h3><ul class="cover">'
        f"{''.join(_covered(c, _UNTRIED.get(name, 'no source has it')) for c in found)}</ul></div>"
        for name, found in groups.items()
    ]
    lead = (
        "How many of all items have what. A bar begins with values; then come the reasons why there is none, and last, "
        "pale, the items that nothing was known of to try."
    )
    return section("coverage", "Coverage", lead, *parts)


def _covered(c: counts.Covered, untried: str) -> str:
    reasons = [Part(reason, n, colour(i + 1)) for i, (reason, n) in enumerate(c.reasons.items())]
    rest = [Part(untried, c.untried, "none")] if c.untried else []
    parts = [Part("value", c.values, "c0"), *reasons, *rest]
    chips = "".join(f'<li><i class="{p.colour}"></i>{text(p.label)} {number(p.n)}</li>' for p in parts[1:])
    kinds = [f"{kind} {share(n, of)}" for kind, (n, of) in c.by_kind.items()]
    split = f'<li class="split">{text(" · ".join(kinds))}</li>' if len(kinds) > 1 and c.values else ""
    listed = f'<ul class="chips">{chips}{split}</ul>' if chips or split else ""
    return (
        f'<li data-covered="{text(c.name)}"><b>{text(c.name.replace("_", " "))}</b>'
        f'<span class="of"><strong>{share(c.values, c.items)}</strong> {number(c.values)} of {number(c.items)}</span>'
        f'<div class="bar">{stacked(parts, c.items)}{listed}</div></li>'
    )


def reasons(con: Any, views: Mapping[str, str]) -> str:
    """Why keys have no value and rows were refused, counted."""
    rows = [(row["table"], _reason(row), row["n"]) for row in counts.reasons(con, views)]
    heads = ("table", "reason", "rows")
    lead = "Nothing is dropped without a word: what has no value has a reason, from a closed list."
    return section("reasons", "Reasons", lead, table(heads, rows, caption="Reasons by table") if rows else "")


def _reason(row: Mapping[str, Any]) -> Cell:
    """The code, what it means, and an example."""
    example = f" For example: {shortened(row['example'], _EXAMPLE)}" if row["example"] else ""
    means = REASONS.get(row["reason"], "")
    said = text(f"{means[:1].upper()}{means[1:]}.{example}")
    return Cell(f'<code>{text(row["reason"])}</code><span class="note">{said}</span>')


# --- distributions


def distributions(con: Any) -> str:
    """Years, durations, genres, languages, sources and links of the items."""
    figures = [
        _histogram(con, "Year", "year", x="year", least=1, years=True),
        *(_duration(con, kind) for kind in counts.item_counts(con)),
        _sources(con),
        _bars("Genres", counts.top_genres(con), "an item can have several"),
        _bars("Languages", counts.top_languages(con)),
        _methods(con),
    ]
    charts = "".join(figures)
    grid = f'<div class="flow">{charts}</div>' if charts else ""
    return section("distributions", "Distributions", "What the items are like.", grid, _links(con))


def _histogram(
    con: Any, title: str, value: str, *, x: str, least: float, where: str = "true", years: bool = False
) -> str:
    found = counts.histogram(con, value, where=where, least=least)
    if found is None:
        return ""
    drawing = histogram(Bins(found.start, found.step, found.counts), x=x, y="items", years=years)
    return figure(title, drawing, f"{plural(found.outside, 'item')} beyond the axis" if found.outside else "")


def _duration(con: Any, kind: str) -> str:
    where = f"kind = '{kind}'" if kind in ("film", "track") else "false"
    return _histogram(con, f"Duration of {kind}s", _MINUTES, x="minutes", least=0.05, where=where)


def _sources(con: Any) -> str:
    found = counts.sources_per_item(con)
    if len(found) < 2:
        return ""
    labels, items = [str(n) for n, _ in found], [n for _, n in found]
    return figure("Sources per item", columns(labels, items, x="sources", y="items"))


def _methods(con: Any) -> str:
    found = counts.link_methods(con)
    return _bars("How entities were linked to items", found) if len(found) > 1 else ""


def _bars(title: str, rows: Sequence[tuple[str, int]], note: str = "") -> str:
    if not rows:
        return ""
    most = max(n for _, n in rows)
    lines = "".join(
        f'<tr><th scope="row">{text(name.replace("_", " "))}</th><td>{meter(n / most)}</td>'
        f'<td class="num">{n:,}</td></tr>'
        for name, n in rows
    )
    return figure(title, f'<table class="hbars" aria-label="{text(title)}">{lines}</table>', note)


def _links(con: Any) -> str:
    rows = [
        (row["source"], row["accepted"], row["review"], row["rejected"], row["without"])
        for row in counts.links_by_source(con)
    ]
    heads = ("source", "accepted", "review", "rejected", "none")
    inner = table(heads, rows, caption="Links by source") if rows else ""
    return f'<div class="block"><h3>Links by source</h3>{inner}</div>' if inner else ""


# --- interactions


def interactions(con: Any) -> str:
    """Who rated and played what, how often and when."""
    lines = {_of(kind): points for kind, points in counts.popularity(con).items()}
    if not lines:
        return ""
    figures = [
        figure("Popularity", curves(lines, x="rank of the item", y="interactions of the item"), _top_note(con)),
        _over_time({_of(kind): found for kind, found in counts.months(con).items()}),
        _activity(con),
        _ratings(con),
    ]
    lead = (
        "Ratings, plays and places in playlists. A straight falling line of popularity on these axes is a power law: "
        "few items with most of the interactions, and a long tail."
    )
    return section("interactions", "Interactions", lead, f'<div class="charts">{"".join(figures)}</div>')


def _of(kind: str) -> str:
    return _INTERACTIONS.get(kind, kind)


def _top_note(con: Any) -> str:
    shares = [f"{share(part, 1)} of the {text(_of(kind))}" for kind, part in counts.share_of_top(con).items()]
    return f"the most popular tenth of the items has {', '.join(shares)}"


def _over_time(months: Mapping[str, Mapping[int, int]]) -> str:
    if not months:
        return ""
    seen = [at for found in months.values() for at in found]
    first, last = min(seen), max(seen)
    size = 12 if last - first >= _MONTHS else 1
    start, bars = first // size, last // size - first // size + 1
    series = {kind: [0] * bars for kind in months}
    for kind, found in months.items():
        for at, n in found.items():
            series[kind][at // size - start] += n
    per = "year" if size == 12 else "month"
    labels = [_month((start + i) * size) if size == 1 else str(start + i) for i in range(bars)]
    bins = Bins(start, 1, series, labels, _month_ticks(start, bars, size))
    return figure(f"Interactions per {per}", histogram(bins, x=per, y="interactions"))


def _month(at: int) -> str:
    return f"{at // 12}-{at % 12 + 1:02d}"


def _month_ticks(start: int, bars: int, size: int) -> list[tuple[float, str]]:
    """Where years begin; in a short span some months."""
    if size == 1 and bars < 30:
        return [(start + i + 0.5, _month(start + i)) for i in range(0, bars, max(1, -(-bars // 5)))]
    years = [at for at in range(start, start + bars) if (at * size) % 12 == 0]
    every = max(1, -(-len(years) // 7))
    return [(float(at), str(at * size // 12)) for at in years if (at * size // 12) % every == 0]


def _activity(con: Any) -> str:
    found = counts.users_by_activity(con)
    labels = [_between(power) for power, _ in found]
    return figure("Users by activity", columns(labels, [n for _, n in found], x="interactions of the user", y="users"))


def _between(power: int) -> str:
    """From a power of two to below the next."""
    if power == 0:
        return "1"
    return f"{2**power}–{2 ** (power + 1) - 1}" if power < 10 else f"{2 ** (power - 10)} k+"


def _ratings(con: Any) -> str:
    found = counts.ratings(con)
    if not found:
        return ""
    return figure(
        "Ratings", columns([f"{value:g}" for value, _ in found], [n for _, n in found], x="rating", y="ratings")
    )
