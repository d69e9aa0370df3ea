"""What `mediateca recommend` answers: the champion's list for a user or a history, and what answers in its place.

Where the champion is served from an index, that index is asked, as services ask it; else the model itself.
"""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.lazy import np
from storage.models import champions
from storage.releases import Release
from storage.store import Store
from storage.vector_index import VectorIndex
from tasks.publish_champion import published_model
from tasks.recommend_who import Asked, Shelf, history_of, profile_of
from tasks.serving import Stored, stored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from storage.opened_bundle import OpenedBundle
    from training.data import Queries

MOST = 1_000
_REASONS = 50  # items of a history that may be the reason


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A list, and what made it."""

    rows: list[dict[str, Any]]  # item_id, title, score, why; the best first
    history: list[str]  # titles, oldest first
    by: str  # model, country, everybody: the step of the fallback chain that answered
    model_id: str
    release_id: str
    index: str | None  # the bundle that answered; None where the model itself did, or popularity
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "by": self.by,
            "model": self.model_id,
            "release": self.release_id,
            "index": self.index,
            "history": self.history,
            "notes": list(self.notes),
            "recommendations": self.rows,
        }


class NothingServed(ValueError):
    """No model is served yet."""


def recommend(store: Store, release: Release, slot: str, asked: Asked, *, k: int = 10) -> Answer:
    """The `k` best items for who asks.

    Never an error where something is unknown: items that the model does not know are left out of the history, a
    country that it does not know is none; without a history the most popular items of the country answer, else those
    of everybody.

    Raises:
        NothingServed: The slot has no champion.
        ValueError: `k` is out of range.
        StoreError: The files of the model, or of the index that serves it, are not whole.
    """
    if not 1 <= k <= MOST:
        raise ValueError(f"-k {k}: expected 1 to {MOST:,}")
    served = champions(store)
    if slot not in served:
        known = f"served: {', '.join(sorted(served))}" if served else "nothing is served yet"
        raise NothingServed(
            f"release {release.release_id}: no model is served for '{slot}'; {known}; `mediateca train`"
        )
    with stored(store, served[slot]) as held:
        indexed = published_model(store, slot) == held.row.model_id
        bundle = VectorIndex(store.url, slot).current() if indexed else None
        shelf = Shelf(held=held, titles=titles_of(store, release, held), bundle=bundle)
        profile, notes = profile_of(store, release, asked)
        history, lost = history_of(store, release, shelf, asked)
        if lost:
            notes.append(f"left out, as the model does not know them: {', '.join(lost[:5])}")
        return answer_of(shelf, release, history, profile, notes, k)


def titles_of(store: Store, release: Release, held: Stored) -> list[str | None]:
    """(V,): titles of the release; None of what it does not hold, taken down or removed since."""
    con = store.database(release.tables, only=("items",))
    found = dict(con.sql("select item_id, coalesce(title, '') from items").fetchall())
    return [found.get(name) for name in held.item_ids]


def answer_of(
    shelf: Shelf, release: Release, history: list[int], profile: tuple[str, str], notes: list[str], k: int
) -> Answer:
    """What `recommend` says to a history, in the model's numbers, and a (country, gender) in lower case."""
    held, (country, gender) = shelf.held, profile
    if country and country not in held.countries:
        notes.append(f"the model does not know the country '{country}'")
    if history:
        by, rows = "model", _by_model(shelf, history, (country, gender), k)
    else:
        by = "country" if country and country in held.popular else "everybody"
        rows = _by_popularity(shelf, country if by == "country" else "", k)
        notes.append("there is no history to go by")
    return Answer(
        rows=rows,
        history=[shelf.named(n) for n in history],
        by=by,
        model_id=held.row.model_id,
        release_id=release.release_id,
        index=shelf.bundle.manifest["bundle"] if shelf.bundle and by == "model" else None,
        notes=tuple(notes),
    )


def _by_model(shelf: Shelf, history: list[int], profile: tuple[str, str], k: int) -> list[dict[str, Any]]:
    if shelf.bundle is None:
        found = _from_model(shelf, history, profile, k)
    else:
        found = _from_index(shelf, shelf.bundle, history, profile, k)
    known = [shelf.number[name] for name in found if name in shelf.number]
    whys = dict(zip(known, _because(shelf, history, np.array(known, np.int32)), strict=True))
    return [_row(shelf, name, score, whys.get(shelf.number.get(name, -1))) for name, score in found.items()]


def _from_model(shelf: Shelf, history: list[int], profile: tuple[str, str], k: int) -> dict[str, float]:
    """Items and scores, the best first."""
    from training.metrics import masked, top_k

    query = query_of(shelf.held, history, profile)
    scores = shelf.held.model.score(query)
    seen = query.history if shelf.held.row.facts["filter_seen"] else None
    best = top_k(masked(scores, shelf.there, seen, of=shelf.held.row.model_id), k)[0]
    return {shelf.held.item_ids[n]: float(scores[0, n]) for n in best[best >= 0].tolist()}


def _from_index(
    shelf: Shelf, bundle: OpenedBundle, history: list[int], profile: tuple[str, str], k: int
) -> dict[str, float]:
    """The same from the bundle, with what was added to it since; what the release holds no more is no answer."""
    ids, (country, gender) = shelf.held.item_ids, profile
    met = [ids[n] for n in history]
    gone = {ids[n] for n in np.flatnonzero(~shelf.there)} | set(met if shelf.held.row.facts["filter_seen"] else ())
    found = bundle.search(bundle.query(met, gender, country), k, [gone])
    pairs = zip(found.ids[0].tolist(), found.scores[0].tolist(), strict=True)
    return {name: score for name, score in pairs if name}


def query_of(held: Stored, history: list[int], profile: tuple[str, str]) -> Queries:
    """One query of a history, in the model's numbers, and a (country, gender) in lower case."""
    from dataclasses import replace

    from training.data import Queries

    country, gender = profile
    codes = [names.index(n) if n in names else 0 for names, n in ((held.genders, gender), (held.countries, country))]
    return replace(Queries.of([history]), profile=np.array([codes], np.int32))


def _because(shelf: Shelf, history: list[int], best: NDArray[np.int32]) -> list[str]:
    """Why each item: that it was met before, or which recent one alone would have brought it up highest."""
    from training.data import Queries

    recent = list(dict.fromkeys(reversed(history)))[:_REASONS]
    alone = shelf.held.model.score(Queries.of([[n] for n in recent]))[:, best].argmax(axis=0)
    met = [history.count(n) for n in best.tolist()]
    return [
        f"met {_times(count)} before" if count else f"because of {shelf.named(recent[at])}"
        for count, at in zip(met, alone.tolist(), strict=True)
    ]


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _by_popularity(shelf: Shelf, country: str, k: int) -> list[dict[str, Any]]:
    why = f"popular in {country}" if country else "popular"
    there = [n for n in shelf.held.popular[country] if shelf.titles[n] is not None][:k]
    return [_row(shelf, shelf.held.item_ids[n], 1.0 / place, why) for place, n in enumerate(there, 1)]


def _row(shelf: Shelf, name: str, score: float, why: str | None) -> dict[str, Any]:
    if name in shelf.number:
        title = shelf.named(shelf.number[name])
    else:
        title = (shelf.bundle and shelf.bundle.titles([name])[0]) or name
    return {
        "item_id": name,
        "title": title,
        "score": round(score, 6),
        "why": why or "added since the model was trained",
    }
