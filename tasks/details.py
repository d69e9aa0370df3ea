"""What a live source says of the entities that items were linked to: songs, films, pages of lyrics."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any

from connectors.base import Request
from connectors.registry import LIVE, Live
from storage import clock
from storage.lazy import pa
from storage.store import Store
from tasks.ask import Asker, ask_each
from tasks.settings import Catalogue, SourceSettings
from tasks.stage import Stage, rows_table

VERSION = "2"


def details_stage(catalogue: Catalogue, source: str) -> Stage:
    """Accepted links to `raw`: each detail of each linked entity, asked for once, or again when it is old.

    The ledger is `inputs`: of what changes with time a row's `retry_at` says when it is asked for again.
    """
    settings = catalogue.sources[source]
    entities = ", ".join(f"('{name}')" for name in LIVE[settings.connector].details)
    return Stage(
        name=f"fetch.{source}",
        version=VERSION,
        reads=("links", "matches"),
        writes="inputs",
        scope=f"source = '{source}' and entity in ({entities})",
        inputs=f"""
            select distinct '{source}' as source, d.entity, l.source_id as part, 0::bigint as input_hash
            from links l, (values {entities}) d(entity)
            where l.source = '{source}' and l.state = 'accepted'""",
        load=f"""
            select w.source, w.entity, w.part, e.evidence from wanted w left join (
                select l.source_id as part, list(distinct m.evidence) as evidence
                from links l join matches m using (item_id, source)
                where l.source = '{source}' and l.state = 'accepted' and l.source_id in (select part from pending)
                group by l.source_id) e using (part)""",
        compute=partial(ask_details, source=source, settings=settings),
        chunk_keys=200,
        beside=("raw",),
        runs_in="workers",
        seconds_per_key=0.3,
    )


def ask_details(rows: pa.Table, store: Store, *, source: str, settings: SourceSettings) -> pa.Table:
    """One ledger row per entity and detail: how many answers lie in `raw`, or why there is none."""
    live = LIVE[settings.connector]
    leads = dict(live.by_way_of)
    found = [Request(entity=row["entity"], key=row["part"]) for row in rows.select(["entity", "part"]).to_pylist()]
    first = [Request(entity=leads[ask.entity], key=ask.key) for ask in found if ask.entity in leads]
    holding = [
        _holding(ask, evidence, live) for ask, evidence in zip(found, rows.column("evidence").to_pylist(), strict=True)
    ]
    asker = Asker(store, source, settings, (*found, *first, *chain(*holding)), changing=live.changing)
    left = [ask for ask, answers in zip(found, holding, strict=True) if not any(asker.take(ask, a) for a in answers)]
    for entity in live.batched:
        asker.ask_many(entity, [ask.key for ask in left if ask.entity == entity])
    again = clock.now() + timedelta(days=settings.live.refresh_days)

    def one(row: dict[str, Any]) -> dict[str, Any]:
        entity, part = row["entity"], row["part"]
        request = Request(entity=entity, key=part)
        if entity in leads:
            said = asker.ask(Request(entity=leads[entity], key=part))
            request = asker.connector.request_from(entity, said)
        asker.ask(request, under=part)
        return {"records": 1, "retry_at": again if entity in live.changing else None}

    return rows_table("inputs", ask_each(asker, rows, ("source", "entity", "part"), one, settings))


def _holding(ask: Request, evidence: Sequence[str | None] | None, live: Live) -> list[Request]:
    """The questions by which the entity was found, whose answers may hold the detail whole."""
    kinds = {question for detail, question in live.whole_in if detail == ask.entity}
    asked = [name.split(":", 1) for said in evidence or () if said for name in json.loads(said)["asked"]]
    return [Request(entity=entity, key=key) for entity, key in asked if entity in kinds]
