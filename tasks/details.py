"""What a live source says of the entities that items were linked to: songs, films, pages of lyrics."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from functools import partial
from typing import Any

from connectors.base import Request
from connectors.registry import LIVE
from storage.lazy import pa
from storage.store import Store
from tasks.ask import Asker, ask_each
from tasks.settings import Catalogue, SourceSettings
from tasks.stage import Stage, rows_table

VERSION = "1"


def details_stage(catalogue: Catalogue, source: str) -> Stage:
    """Accepted links to `raw`: each detail of each linked entity is asked for once; the ledger is `inputs`."""
    settings = catalogue.sources[source]
    entities = ", ".join(f"('{name}')" for name in LIVE[settings.connector].details)
    return Stage(
        name=f"fetch.{source}",
        version=VERSION,
        reads=("links",),
        writes="inputs",
        scope=f"source = '{source}' and entity in ({entities})",
        inputs=f"""
            select distinct '{source}' as source, d.entity, l.source_id as part, 0::bigint as input_hash
            from links l, (values {entities}) d(entity)
            where l.source = '{source}' and l.state = 'accepted'""",
        load="select * exclude (input_hash) from wanted",
        compute=partial(ask_details, source=source, settings=settings),
        chunk_keys=200,
        beside=("raw",),
        runs_in="workers",
        seconds_per_key=0.3,
    )


def ask_details(rows: pa.Table, store: Store, *, source: str, settings: SourceSettings) -> pa.Table:
    """One ledger row per entity and detail: how many answers lie in `raw`, or why there is none."""
    leads = dict(LIVE[settings.connector].by_way_of)
    found = [(row["entity"], row["part"]) for row in rows.to_pylist()]
    first = [(leads[entity], part) for entity, part in found if entity in leads]
    asker = Asker(store, source, settings, (Request(entity=e, key=part) for e, part in (*found, *first)))

    def one(row: dict[str, Any]) -> dict[str, Any]:
        entity, part = row["entity"], row["part"]
        request = Request(entity=entity, key=part)
        if entity in leads:
            said = asker.ask(Request(entity=leads[entity], key=part))
            request = asker.connector.request_from(entity, said)
        asker.ask(request, under=part)
        return {"records": 1}

    return rows_table("inputs", ask_each(asker, rows, ("source", "entity", "part"), one, settings))
