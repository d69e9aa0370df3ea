"""The page around the report's sections: head, style, script, and a policy that lets it fetch nothing."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import findall
from typing import NamedTuple

from tasks.report_html import text

RIGHTS = (
    "Pictures, sounds and texts belong to those who made them; the licences of the sources hold for them here, too."
)
_HERE = Path(__file__).parent


class Count(NamedTuple):
    """One of the large numbers on top."""

    shown: str
    note: str = ""  # a line below it


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stands above the sections."""

    kind: str  # release report, model report
    title: str
    name: str  # which one, after the title
    about: str
    state: str  # good, warned, bad
    verdict: str  # one word or two
    why: str  # and a sentence
    counts: Mapping[str, Count]
    facts: Mapping[str, str]  # when it was drawn, code version ...
    footer: str


def page(head: Head, sections: Sequence[str], data: str) -> bytes:
    """The whole page, in UTF-8.

    Args:
        head: What stands above.
        sections: HTML of `report_html.section`; empty ones are left out.
        data: JSON for the script, safe to stand in a script element.
    """
    there = [section for section in sections if section]
    style, script = (_HERE / "report.css").read_text("utf-8"), (_HERE / "report.js").read_text("utf-8")
    title = text(f"{head.title} {head.name}: {head.kind}")
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
        f'<header><p class="kicker">mediateca {text(head.kind)}</p>'
        f"<h1>{text(head.title)} <small>{text(head.name)}</small></h1>{about}"
        f'<p class="state {head.state}">{text(head.verdict)} <span>{text(head.why)}</span></p>'
        f'<dl class="glance">{"".join(_count(name, count) for name, count in head.counts.items())}</dl>'
        f'<dl class="facts">{_facts(head.facts)}</dl></header>'
    )


def _count(name: str, count: Count) -> str:
    small = f"<small>{text(count.note)}</small>" if count.note else ""
    return f'<div><dt>{text(name)}</dt><dd data-count="{text(name)}">{text(count.shown)}{small}</dd></div>'


def _facts(facts: Mapping[str, str]) -> str:
    return "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in facts.items())


def _footer(head: Head) -> str:
    return f"<footer><p>{text(head.footer)}</p></footer>"
