"""Who is recommended to: what the release says of a user, and what of it a model knows."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from storage.lazy import np
from storage.releases import Release
from storage.store import Store
from tasks.serving import Stored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from storage.opened_bundle import OpenedBundle


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Who is recommended to: a user of the release, or a history; what the user's row says counts unless told else."""

    user: str | None = None
    items: tuple[str, ...] = ()  # item_ids or titles, oldest first
    country: str | None = None
    gender: str | None = None


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """A model, and the titles that the release has of its items; an item without one is in it no more."""

    held: Stored
    titles: Sequence[str | None]  # V
    bundle: OpenedBundle | None = None  # the index that serves this model, if any

    @cached_property
    def number(self) -> dict[str, int]:
        """The model's number of each item."""
        return {name: n for n, name in enumerate(self.held.item_ids)}

    @property
    def there(self) -> NDArray[np.bool_]:
        """(V,): what can be recommended."""
        return np.array([title is not None for title in self.titles])

    def named(self, number: int) -> str:
        """The title of an item, or its id."""
        return self.titles[number] or self.held.item_ids[number]


def profile_of(store: Store, release: Release, asked: Asked) -> tuple[tuple[str, str], list[str]]:
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


def history_of(store: Store, release: Release, shelf: Shelf, asked: Asked) -> tuple[list[int], list[str]]:
    """The model's numbers of what the user met and of what was named, oldest first; and what it does not know."""
    number = shelf.number
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
