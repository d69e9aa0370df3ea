"""The page around the report's sections: head, style, script, and a policy that lets it fetch nothing."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from re import findall

from tasks.report_html import number, text

_HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stands above the sections."""

    catalogue: str
    about: str
    release_id: str  # the next one
    drawn_at: datetime
    facts: Mapping[str, str]  # code version, digest of the catalogue ...
    counts: Mapping[str, int]
    before: Mapping[str, int]  # the same of the former release; empty before the first
    former: str | None
    state: str  # good, warned, bad
    verdict: str  # one word or two
    why: str  # and a sentence


def page(head: Head, sections: Sequence[str], data: str) -> bytes:
    """The whole page, in UTF-8.

    Args:
        head: What stands above.
        sections: HTML of `report_html.section`; empty ones are left out.
        data: JSON for the script, safe to stand in a script element.
    """
    there = [section for section in sections if section]
    style, script = (_HERE / "report.css").read_text("utf-8"), (_HERE / "report.js").read_text("utf-8")
    title = text(f"{head.catalogue} {head.release_id}: release report")
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">',
        f'<meta name="generator" content="mediateca"><title>{title}</title><link rel="icon" href="data:,">',
        f'<style>{style}</style></head><body><div class="page">{_nav(there)}<main>{_header(head)}',
        *there,
        _footer(head),
        f'</main></div><script type="application/json" id="points">{data}</script>',
        f"<script>{script}</script></body></html>\n",
    ]
    return "".join(parts).encode()


def _policy(script: str) -> str:
    """Nothing is fetched, and of scripts only ours runs, whatever a title holds."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _nav(sections: Sequence[str]) -> str:
    names = [findall(r'^<section id="([^"]+)"><h2>(.*?)</h2>', section)[0] for section in sections]
    items = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in names)
    return f'<nav aria-label="Sections"><ul>{items}</ul></nav>'


def _header(head: Head) -> str:
    about = f'<p class="about">{text(head.about)}</p>' if head.about else ""
    return (
        '<header><p class="kicker">mediateca release report</p>'
        f"<h1>{text(head.catalogue)} <small>{text(head.release_id)}</small></h1>{about}"
        f'<p class="state {head.state}">{text(head.verdict)} <span>{text(head.why)}</span></p>'
        f'<dl class="glance">{"".join(_count(head, name) for name, n in head.counts.items() if n)}</dl>'
        f'<dl class="facts">{_facts(head)}</dl></header>'
    )


def _count(head: Head, name: str) -> str:
    n, change = head.counts[name], ""
    if head.before:
        grown = n - head.before.get(name, 0)
        change = f"{grown:+,} since {head.former}" if grown else f"as in {head.former}"
    small = f"<small>{text(change)}</small>" if change else ""
    return f'<div><dt>{text(name)}</dt><dd data-count="{text(name)}">{number(n)}{small}</dd></div>'


def _facts(head: Head) -> str:
    facts = {"drawn": f"{head.drawn_at:%Y-%m-%d %H:%M} UTC", "compared with": head.former or "nothing before it"}
    both = {**facts, **head.facts}.items()
    return "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in both)


def _footer(head: Head) -> str:
    return (
        f"<footer><p>Drawn by mediateca before {text(head.release_id)} was published or refused. Pictures, sounds and "
        "texts belong to those who made them; the licences of the sources hold for them here, too.</p></footer>"
    )
