"""The report's sections to look at and listen to: items, maps, neighbours, indexes, releases."""

# Annotations stay text: duckdb has no types of its own.
from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from storage.releases import Release
from storage.store import Store
from tasks import report_maps as maps
from tasks.report_axes import even_steps
from tasks.report_charts import colour, columns, figure, meter, scatter
from tasks.report_html import NARROW, Cell, number, plural, section, share, shortened, size, table, text
from tasks.report_items import Shown, Spectrogram

_TEXT, _TITLE = 320, 80  # characters shown
_LINES = 8  # of a text shown: two stanzas of lyrics


class Drawn(NamedTuple):
    """A section, and what the page's script needs for it."""

    html: str
    data: dict[str, Any]


# --- items


def gallery(items: Sequence[Shown]) -> str:
    """A card per item."""
    lead = (
        "Some of the best-known items that have the most to show. A spectrogram shows the stored window from left to "
        "right, low to high, loud is bright; the line below it marks the excerpt that the player has."
    )
    heard, seen = [i for i in items if i.excerpt], [i for i in items if not i.excerpt]
    return section("look", "Look at it", lead, _cards(heard, "items"), _cards(seen, "items small"))


def _cards(items: Sequence[Shown], kind: str) -> str:
    return f'<div class="{kind}">{"".join(_card(item) for item in items)}</div>' if items else ""


def _card(item: Shown) -> str:
    facts = [", ".join(item.creators), str(item.year or ""), ", ".join(item.genres[:3])]
    said = _beginning(item.text) if item.text else ""
    name = text(shortened(item.title, _TITLE))
    picture = f'<img src="{_inline(item.cover, "image/jpeg")}" alt="Picture of {name}">' if item.cover else ""
    return (
        f'<article class="item" id="item-{text(item.item_id)}"><div class="top">{picture}<div><h3>{name}</h3>'
        f'<p class="meta">{text(" · ".join(fact for fact in facts if fact) or item.kind)}</p>'
        f"{f'<p class=say>{text(said)}</p>' if said else ''}</div></div>{_sound(item, name)}</article>"
    )


def _beginning(value: str) -> str:
    """The first lines of a text; lyrics have many short ones."""
    lines = value.splitlines()
    head = "\n".join(lines[:_LINES]).rstrip()
    said = shortened(head, _TEXT)
    return f"{said}\u00a0…" if said == head and len(lines) > _LINES else said


def _sound(item: Shown, name: str) -> str:
    drawn = _spectrogram(item, item.spectrogram, name) if item.spectrogram else ""
    if item.excerpt is None:
        return drawn
    source = _inline(item.excerpt.mp3, "audio/mpeg")
    heard = f"{item.excerpt.seconds:.0f} seconds of {name}"
    return f'{drawn}<audio controls preload="metadata" aria-label="{heard}" src="{source}"></audio>'


def _spectrogram(item: Shown, drawn: Spectrogram, name: str) -> str:
    start, seconds = drawn.start_s, drawn.seconds
    ys = "".join(f'<span style="bottom:{100 * at:.1f}%">{label}</span>' for label, at in drawn.ticks)
    xs = "".join(
        f'<span style="left:{100 * (at - start) / seconds:.1f}%">{at:g}{NARROW}s</span>'
        for at in even_steps(start, start + seconds, 5)
    )
    cut = ""
    if item.excerpt:
        left = 100 * (item.excerpt.start_s - start) / seconds
        cut = f'<div class="cut" style="left:{left:.2f}%;width:{100 * item.excerpt.seconds / seconds:.2f}%"></div>'
    said = (
        f"Mel spectrogram of {name}, {start:.0f} to {start + seconds:.0f} s of the recording, "
        f"{drawn.db_lo:.0f} to {drawn.db_hi:.0f} dB"
    )
    return (
        f'<div class="spec"><div class="ys" aria-hidden="true">{ys}</div><div class="plot">'
        f'<img src="{_inline(drawn.png, "image/png")}" alt="{said}"><div class="needle"></div></div>'
        f'<div class="xs" aria-hidden="true">{cut}{xs}</div></div>'
    )


def _inline(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


# --- maps


class Coloured(NamedTuple):
    """By what the points of maps are coloured."""

    shown: Sequence[str]  # groups, in the order of their colours
    groups: Mapping[str, str]  # of each item; `report_maps.OTHER` is grey


def embeddings(con: Any, made: Sequence[maps.Map], by: Coloured | None = None, *, of: str = "") -> Drawn:
    """A map each; the script's data are the items by place, and their places by map and group.

    Args:
        con: The database; an item that its `items` do not hold is no point.
        made: The maps.
        by: The colours; genres or kinds by default.
        of: A sentence on whose vectors they are.
    """
    items = maps.describe(con, (i for m in made for i in m.item_ids))
    shown, groups = by or maps.colour_groups(items)
    colours = {name: colour(i) for i, name in enumerate(shown)} | {maps.OTHER: "co"}
    order = {item: i for i, item in enumerate(items)}
    boxes, data = [], dict[str, Any]()
    for m in made:
        by_group: dict[str, list[int]] = {name: [] for name in (maps.OTHER, *shown)}
        for i, item in enumerate(m.item_ids):
            if item in items:
                by_group[groups[item]].append(i)
        by_group = {name: rows for name, rows in by_group.items() if rows}
        boxes.append(_map_box(m, {name: [tuple(m.xy[i]) for i in rows] for name, rows in by_group.items()}, colours))
        data[m.feature] = {name: [order[m.item_ids[i]] for i in rows] for name, rows in by_group.items()}
    used = [name for name in (*shown, maps.OTHER) if any(name in places for places in data.values())]
    lead = (
        f"{of}Each point is an item; items with like vectors lie close together, as far as two of many dimensions can "
        "show it (principal components). Point at one for its title; choose a colour to see its items alone."
    )
    keys = "".join(
        f'<li><button type="button" aria-pressed="false" data-group="{text(name)}"><i class="{colours[name]}"></i>'
        f"{text(name)}</button></li>"
        for name in used
    )
    one = " one" if len(boxes) == 1 else ""
    parts = [f'<ul class="keys">{keys}</ul>', f'<div class="maps{one}">{"".join(boxes)}</div>'] if boxes else []
    told = [[i, shortened(row["title"] or i, _TITLE), row["year"], groups[i]] for i, row in items.items()]
    return Drawn(section("maps", "Maps", lead, *parts), {"items": told, "maps": data})


def _map_box(m: maps.Map, groups: dict[str, list[tuple[float, float]]], colours: dict[str, str]) -> str:
    n = len(m.item_ids)
    said = f"Map of {n:,} items by {m.feature}; like vectors lie close together"
    drawing = scatter(groups, colours, said=said).replace("<svg ", f'<svg data-map="{text(m.feature)}" ', 1)
    note = (
        f"{number(n)} of {plural(m.of, 'item')}, {m.dimension} numbers each; these two axes hold "
        f"{share(m.explained[0] + m.explained[1], 1)} of the variance"
    )
    return figure(m.feature, f'<div class="mapbox">{drawing}<div class="tip"></div></div>', note)


def script_data(data: dict[str, Any]) -> str:
    """JSON that can stand in a script element: no `<` that could end it."""
    made = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return made.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


# --- neighbours and indexes


def neighbours(store: Store, con: Any, indexes: Sequence[dict[str, Any]]) -> str:
    """What is nearest to some known items, feature by feature."""
    found = maps.neighbours(store, con, indexes)
    metric = {row["feature"]: row["metric"] for row in indexes}
    parts = [
        f'<div><p class="subject">{_named(near.item)}</p><div class="near">'
        f"{''.join(_nearest(name, metric[name], rows) for name, rows in near.by_feature.items())}</div></div>"
        for near in found
    ]
    lead = (
        "What each feature takes for alike. The number is the cosine, 1 for the same direction, or the distance with a "
        "minus sign; higher is nearer."
    )
    one = " one" if len(metric) == 1 else ""
    inner = f'<div class="subjects{one}">{"".join(parts)}</div>' if parts else ""
    return section("neighbours", "Nearest neighbours", lead, inner)


def _named(item: dict[str, Any]) -> str:
    year = f" <small>{item['year']}</small>" if item["year"] else ""
    return titled(item["item_id"], item["title"]) + year


def titled(item_id: str, title: str | None) -> str:
    """An item's title, or its id; the id stands beside it, so that a take-down finds the page."""
    return f'<span data-id="{text(item_id)}">{text(shortened(title or item_id, _TITLE))}</span>'


def _nearest(feature: str, metric: str, rows: list[dict[str, Any]] | str) -> str:
    if isinstance(rows, str):
        return listed(feature, metric, rows)
    return listed(feature, metric, [(_named(row), number(row["score"], 3)) for row in rows])


def listed(title: str, note: str, rows: Sequence[tuple[str, str]] | str) -> str:
    """A list under a title: HTML to the left, a figure to the right of each row; or why there is none."""
    if isinstance(rows, str):
        inner = f'<p class="note">{text(rows)}</p>'
    else:
        inner = f"<ol>{''.join(f'<li><span>{left}</span><span>{text(right)}</span></li>' for left, right in rows)}</ol>"
    return f'<div><h4>{text(title)} <span class="note">{text(note)}</span></h4>{inner}</div>'


def indexes(rows: Sequence[dict[str, Any]]) -> str:
    """How well each index finds what exact search finds."""
    lead = (
        "Recall@10: of the ten nearest that exact search finds, the share that the index finds too. A flat index is "
        "exact; HNSW is faster for many vectors and gives some of them up."
    )
    lines = [
        (
            row["feature"],
            row["kind"] or "none",
            row["metric"] or "",
            row["count"],
            row["dimension"],
            Cell("" if row["recall_at_10"] is None else number(row["recall_at_10"], 3) + meter(row["recall_at_10"])),
            Cell(f"{row['seconds'] or 0:.1f}{NARROW}s"),
            Cell(size(row["size_bytes"] or 0)),
            ": ".join(part for part in (row["reason"], row["detail"]) if part),
        )
        for row in rows
    ]
    heads = ("feature", "index", "metric", "vectors", "numbers each", "recall@10", "built in", "size", "note")
    drawn = table(heads, lines, caption="Vector indexes", kind="wide") if lines else ""
    return section("indexes", "Indexes", lead, drawn)


# --- releases


def history(known: Sequence[Release]) -> str:
    """The releases so far, the newest first."""
    if not known:
        return ""
    rows = [
        (
            r.release_id + (" (current)" if r.current else ""),
            r.state + (", partial" if r.partial else ""),
            f"{r.created_at:%Y-%m-%d %H:%M} UTC",
            r.counts.get("items", 0),
            r.counts.get("interactions", 0),
            r.code_version,
            r.note or "",
        )
        for r in reversed(known)
    ]
    heads = ("release", "state", "made", "items", "interactions", "code", "note")
    growth = ""
    if len(known) > 2:
        names, items = [r.release_id for r in known[-40:]], [r.counts.get("items", 0) for r in known[-40:]]
        drawn = figure("Items per release", columns(names, items, x="release", y="items"))
        growth = f'<div class="charts block">{drawn}</div>'
    lead = "The releases before this one. A release never changes; any of them can be made current again."
    return section("releases", "Releases", lead, table(heads, rows, caption="Releases", kind="wide"), growth)
