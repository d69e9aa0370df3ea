"""The report of a model: some histories, what came next, and what the model answers, here and in another country."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.releases import Release
from tasks.recommend import answer_of, query_of
from tasks.recommend_who import Shelf
from tasks.report_gallery import listed, titled
from tasks.report_html import number, plural, section, text

ANSWERS = 5
_LAST = 5  # of a history
_WHO = {"play": "listener", "rating": "viewer", "playlist": "playlist"}


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A history in the model's numbers, and whose it is."""

    shelf: Shelf
    release: Release
    history: list[int]
    gender: str

    def answer(self, country: str) -> list[dict[str, Any]]:
        """The rows of `recommend`."""
        return answer_of(self.shelf, self.release, self.history, (country, self.gender), [], ANSWERS).rows


def cases(shelf: Shelf, release: Release, shown: Mapping[str, Any]) -> str:
    """Three histories of the test, at the quartiles of their length, and somebody without one."""
    who = _WHO[shelf.held.row.recipe["events"]]
    countries: Sequence[str] = shown["countries"]
    parts = [_case(shelf, release, case, who, countries) for case in shown["cases"]]
    nobody = _Asked(shelf=shelf, release=release, history=[], gender="")
    country = countries[0] if countries else ""
    new = listed("Recommended", "by popularity", [(row, "") for row, _ in _rows(nobody.answer(country))])
    parts.append(_subject(f"A new {who}{_from(country)}", "no history", [new]))
    lead = (
        f"Not the best ones: the last test case of the {who}s who stand at the quartiles of the length of their "
        "histories. Lists are made now, of items that the release has now; the place of what really came next is that "
        "of the evaluation, among all candidates."
    )
    return section("cases", "Case studies", lead, *parts)


def _case(shelf: Shelf, release: Release, case: Mapping[str, Any], who: str, countries: Sequence[str]) -> str:
    # What the release has no more is neither named nor asked with.
    history = [n for n in case["history"] if shelf.titles[n] is not None]
    asked = _Asked(shelf=shelf, release=release, history=history, gender=case["gender"])
    country, others = case["country"], [name for name in countries if name != case["country"]]
    met = [(titled(shelf.held.item_ids[n], shelf.titles[n]), "") for n in history[-_LAST:]]
    parts = [
        listed("Met last", "newest below", met or "the release has none of it any more"),
        listed("Came next", "place", _came(shelf, case)),
        listed("Recommended", "score", _rows(asked.answer(country))),
    ]
    if others and _differs(asked, country, others[0]):
        parts.append(listed(f"The same{_from(others[0])}", "score", _rows(asked.answer(others[0]))))
    # A reason may name any item of the history.
    ids = " ".join(shelf.held.item_ids[n] for n in dict.fromkeys(history))
    return _subject(f"A {who}{_from(country)}", f"{plural(case['events'], 'event')} before", parts, ids)


def _came(shelf: Shelf, case: Mapping[str, Any]) -> list[tuple[str, str]] | str:
    """The targets with the places that the model had put them at."""
    pairs = sorted(zip(case["places"], case["targets"], strict=True))[:_LAST]
    rows = [
        (titled(shelf.held.item_ids[n], shelf.titles[n]), number(place))
        for place, n in pairs
        if shelf.titles[n] is not None
    ]
    return rows or "the release has it no more"


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [
        (f'{titled(row["item_id"], row["title"])}<small class="note">{text(row["why"])}</small>', f"{row['score']:.3f}")
        for row in rows
    ]


def _differs(asked: _Asked, country: str, other: str) -> bool:
    """Whether the model scores anything differently there."""
    held = asked.shelf.held
    if not asked.history:
        return False
    here, there = (held.model.score(query_of(held, asked.history, (name, asked.gender))) for name in (country, other))
    return bool((here != there).any())


def _from(country: str) -> str:
    return f" from {country.title()}" if country else ""


def _subject(title: str, note: str, lists: Sequence[str], ids: str = "") -> str:
    head = f'<p class="subject">{text(title)} <small>{text(note)}</small></p>'
    return f'<div data-history="{text(ids)}">{head}<div class="near">{"".join(lists)}</div></div>'
