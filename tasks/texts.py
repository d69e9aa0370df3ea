"""Texts of an item: its overview, and the document that the text encoders read."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from functools import partial
from typing import Any

from storage.lazy import pa
from storage.reasons import Reason
from storage.store import Store
from tasks.items import Members
from tasks.settings import Catalogue
from tasks.stage import Stage, per_item, rows_table

VERSION = "2"
TOP_ACTORS = 3  # seeds S2
Row = dict[str, Any]


def texts_stage(catalogue: Catalogue) -> Stage:
    """`links` and `entities` to `texts`: an `overview` and a `document` per item."""
    members = Members(catalogue)
    kinds = "(values ('overview'), ('document')) kinds(kind)"
    return Stage(
        name="texts",
        version=f"{VERSION}-{members.version}",
        reads=("links", "entities"),
        writes="texts",
        scope="kind in ('overview', 'document')",
        inputs=f"select item_id, kind, input_hash from ({members.hashes}), {kinds}",
        load=f"select item_id, kind, members from ({members.rows}), {kinds}",
        compute=partial(compose_texts, members=members),
        chunk_keys=20_000,
        seconds_per_key=0.00005,
    )


def compose_texts(rows: pa.Table, store: Store, *, members: Members) -> pa.Table:
    """One text per row of `members` and `kind`."""

    def one(row: Row) -> Row:
        merged = members.merge(row["members"])
        if row["kind"] == "document":
            return {"value": document(merged), "language": "en"}
        if merged["overview"] is None:
            return {"reason": Reason.NOT_FOUND, "detail": "no source gives an overview"}
        # Of the text, not of the film: TMDb's files hold the English overviews of films in any language.
        return {"value": merged["overview"], "language": "en"}

    return rows_table("texts", per_item(rows, ("item_id", "kind"), one))


def document(item: Row) -> str:
    """What is known of an item as a text of `Name: value` lines; what is not known has no line.

    Source: seeds S2 for films (title, year, genres, director, top-3 actors, adult flag, keywords, overview); tracks
    name artists and album in place of director, actors and overview.
    """
    people = "Director" if item["kind"] == "film" else "Artists"
    adult = {True: "yes", False: "no"}.get(item["adult"])
    lines = {
        "Title": item["title"],
        "Year": item["year"],
        "Genres": _joined(item["genres"]),
        people: _joined(item["creators"]),
        "Album": item["album"],
        "Actors": _joined((item["actors"] or [])[:TOP_ACTORS]),
        "Adult": adult,
        "Keywords": _joined(item["keywords"]),
        "Overview": item["overview"],
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items() if value)


def _joined(values: list[str] | None) -> str:
    return ", ".join(values or ())
