"""What `mediateca recommend` answers: the champion's list for a user or a history, and what answers in its place."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.lazy import np
from storage.models import champions
from storage.releases import Release
from storage.store import Store
from tasks.serving import Stored, stored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.data import Queries

MOST = 1_000
_REASONS = 50  # items of a history that may be the reason


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Who is recommended to: a user of the release, or a history; what the user's row says counts unless told else."""

    user: str | None = None
    items: tuple[str, ...] = ()  # item_ids or titles, oldest first
    country: str | None = None
    gender: str | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A list, and what made it."""

    rows: list[dict[str, Any]]  # item_id, title, score, why; the best first
    history: list[str]  # titles, oldest first
    by: str  # model, country, everybody: the step of the fallback chain that answered
    model_id: str
    release_id: str
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "by": self.by,
            "model": self.model_id,
            "release": self.release_id,
            "history": self.history,
            "notes": list(self.notes),
            "recommendations": self.rows,
        }


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """A model, and the titles that the release has of its items; an item without one is in it no more."""

    held: Stored
    titles: Sequence[str | None]  # V

    @property
    def there(self) -> NDArray[np.bool_]:
        """(V,): what can be recommended."""
        return np.array([title is not None for title in self.titles])

    def named(self, number: int) -> str:
        """The title of an item, or its id."""
        return self.titles[number] or self.held.item_ids[number]


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
        StoreError: The model's files are not there.
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
        shelf = Shelf(held=held, titles=titles_of(store, release, held))
        profile, notes = _profile(store, release, asked)
        history, lost = _history(store, release, shelf, asked)
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
        by = "country" if country in held.popular else "everybody"
        rows = _by_popularity(shelf, country if by == "country" else "", k)
        notes.append("there is no history to go by")
    return Answer(
        rows=rows,
        history=[shelf.named(n) for n in history],
        by=by,
        model_id=held.row.model_id,
        release_id=release.release_id,
        notes=tuple(notes),
    )


def _by_model(shelf: Shelf, history: list[int], profile: tuple[str, str], k: int) -> list[dict[str, Any]]:
    from training.metrics import masked, top_k

    held = shelf.held
    query = query_of(held, history, profile)
    scores = held.model.score(query)
    seen = query.history if held.row.facts["filter_seen"] else None
    best = top_k(masked(scores, shelf.there, seen, of=held.row.model_id), k)[0]
    best = best[best >= 0]
    whys = _because(shelf, history, best)
    return [_row(shelf, n, float(scores[0, n]), why) for n, why in zip(best.tolist(), whys, strict=True)]


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
    return [_row(shelf, n, 1.0 / place, why) for place, n in enumerate(there, 1)]


def _row(shelf: Shelf, number: int, score: float, why: str) -> dict[str, Any]:
    return {
        "item_id": shelf.held.item_ids[number],
        "title": shelf.named(number),
        "score": round(score, 6),
        "why": why,
    }


# --- who asks


def _profile(store: Store, release: Release, asked: Asked) -> tuple[tuple[str, str], list[str]]:
    """(country, gender) and what is to be told; a user whom the release does not know is nobody."""
    country, gender, notes = asked.country, asked.gender, list[str]()
    if asked.user is not None:
        con = store.database(release.tables, only=("users",))
        rows = con.execute("select country, gender from users where user_id = ?", [asked.user]).fetchall()
        if not rows:
            notes.append(f"release {release.release_id} has no user '{asked.user}'")
        known = rows[0] if rows else (None, None)
        country, gender = country or known[0], gender or known[1]
    return ((country or "").strip().lower(), (gender or "").strip().lower()), notes  # as training reads them


def _history(store: Store, release: Release, shelf: Shelf, asked: Asked) -> tuple[list[int], list[str]]:
    """The model's numbers of what the user met and of what was named, oldest first; and what it does not know."""
    number = {name: n for n, name in enumerate(shelf.held.item_ids)}
    met = _met(store, release, shelf.held, asked.user) if asked.user else []
    titles = _by_title(shelf.titles)
    found: list[int] = [number[item] for item in met if item in number]
    lost: list[str] = []
    for name in asked.items:
        if (n := number.get(name, titles.get(name.casefold()))) is None:
            lost.append(name)
        else:
            found.append(n)
    return found, lost


def _by_title(titles: Sequence[str | None]) -> dict[str, int]:
    """The first item of each title, whatever its case."""
    found: dict[str, int] = {}
    for n, title in enumerate(titles):
        if title:
            found.setdefault(title.casefold(), n)
    return found


def _met(store: Store, release: Release, held: Stored, user: str) -> list[str]:
    """The item_ids of a user's events of the kind that the model learnt from, oldest first."""
    con = store.database(release.tables, only=("interactions", "links"))
    rows = con.execute(
        "select item_id from interactions where user_id = ? and kind = ? order by time, file, line",
        [user, held.row.recipe["events"]],
    )
    return [item for (item,) in rows.fetchall()]
