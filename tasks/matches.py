"""Which entity of a live source an item is: asked by ids and names, scored, then believed, reviewed or rejected."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any

from connectors.base import Request, Wanted
from connectors.candidates import Candidate
from connectors.errors import NotFound
from connectors.film_scoring import score_film
from connectors.registry import LIVE
from storage.hashing import digest_of, entity_id
from storage.lazy import pa
from storage.reasons import Reason
from storage.store import Store
from tasks.acoustic import heard
from tasks.ask import Asker, ask_each, connect_live
from tasks.entities import namespace_of
from tasks.items import Members
from tasks.settings import Catalogue, SourceSettings
from tasks.stage import Stage, per_item, rows_table

VERSION = "3"
KEPT = 20  # candidates that are remembered for each item
SHOWN = 5  # of them, what the source says of each is kept too, for people to look at
CERTAIN = 1e-4  # nothing is so certain that sound could not cast doubt on it
Row = dict[str, Any]


def match_stage(catalogue: Catalogue, source: str) -> Stage:
    """Items to `matches`: each searched for at one source, by what the sources before it in the catalogue say."""
    from connectors.evidence import EVIDENCE  # here: rapidfuzz takes 0.1 s, for catalogues without live sources too
    from connectors.scoring import coefficients

    settings, members = catalogue.sources[source], Members(catalogue, before=source)
    finds = LIVE[settings.connector].finds
    # What decides beside the members: the scores, and the probability at which no further question is asked.
    decides = digest_of([EVIDENCE, coefficients(), settings.connector, thresholds(settings)[0]])
    return Stage(
        name=f"match.{source}",
        version=f"{VERSION}-{decides}-{members.version}",
        reads=("links", "entities"),
        writes="matches",
        scope=f"source = '{source}'",
        inputs=f"select item_id, '{source}' as source, input_hash from ({members.names}) where kind = '{finds}'",
        load=f"select item_id, '{source}' as source, members, ids from ({members.rows}) join ({members.ids}) "
        "using (item_id)",
        compute=partial(search_items, source=source, settings=settings, members=members),
        chunk_keys=200,
        beside=("raw",),
        runs_in="workers",
        seconds_per_key=0.3,
    )


def search_items(rows: pa.Table, store: Store, *, source: str, settings: SourceSettings, members: Members) -> pa.Table:
    """One row per item: the candidates and their probabilities, or why there are none."""
    found = rows.to_pylist()
    wanted = {row["item_id"]: wanted_of(members.merge(row["members"]), row["ids"]) for row in found}
    with closing(connect_live(settings)) as connector:
        questions = {item: connector.questions(what) for item, what in wanted.items()}
    asker = Asker(store, source, settings, (q for asked in questions.values() for q in asked))

    def one(row: Row) -> Row:
        item = row["item_id"]
        return _searched(asker, wanted[item], questions[item], settings)

    out = ask_each(asker, rows, ("item_id", "source"), one, settings)
    for row in out:  # where there is no candidate, too: by its evidence a take-down finds what was asked
        row.setdefault("evidence", json.dumps({"asked": [_name(question) for question in questions[row["item_id"]]]}))
    return rows_table("matches", out)


def _name(question: Request) -> str:
    return f"{question.entity}:{question.key}"


def thresholds(settings: SourceSettings) -> tuple[float, float]:
    """Least probabilities of a link that is believed, and of one that a person should look at."""
    from connectors.scoring import thresholds_of

    fitted = thresholds_of(settings.connector)
    accept = fitted.accept if settings.live.accept is None else settings.live.accept
    return accept, min(accept, fitted.review if settings.live.review is None else settings.live.review)


def wanted_of(merged: Row, ids: Sequence[str] | None) -> Wanted:
    """What an item is searched by."""
    named = dict(reversed([name.split(":", 1) for name in ids or () if ":" in name]))
    return Wanted(
        title=merged["title"] or "",
        creators=tuple(merged["creators"] or ()),
        album=merged["album"],
        year=merged["year"],
        duration_ms=merged["duration_ms"],
        isrc=merged["isrc"],
        ids=named,
    )


def _searched(asker: Asker, wanted: Wanted, questions: Sequence[Request], settings: SourceSettings) -> Row:
    """The cascade: each question in turn until one brings a candidate that is believed."""
    if not questions:
        return {"reason": Reason.MISSING_INPUT, "detail": "nothing to search it by"}
    accept, _ = thresholds(settings)
    best: dict[str, tuple[float, Candidate, str]] = {}
    asked: list[str] = []
    for question in questions:
        asked.append(_name(question))
        try:
            offered = asker.connector.candidates(question.entity, asker.ask(question))
        except NotFound:
            continue
        method, scores = _scores(wanted, question, offered, settings)
        for candidate in offered:
            probability = scores[candidate.id]
            if candidate.id not in best or probability > best[candidate.id][0]:
                best[candidate.id] = (probability, candidate, method)
        if best and max(p for p, _, _ in best.values()) >= accept:
            break
    # sorted() is stable: the source's own order decides between equals, as in the scorer.
    ranked = sorted(best.values(), key=lambda found: -round(found[0], 3))[:KEPT]
    if not ranked:
        raise NotFound("no search brought a candidate", source=settings.connector)
    return {
        "method": ranked[0][2],
        "candidates": [one.id for _, one, _ in ranked],
        "probabilities": [p for p, _, _ in ranked],
        "evidence": json.dumps({"asked": asked, "offered": [_described(one) for _, one, _ in ranked[:SHOWN]]}),
    }


def _described(candidate: Candidate) -> Row:
    """What the source says of a candidate, as `Candidate.of` reads it."""
    names = ("id", "title", "artists", "album", "channel", "duration_ms", "year", "isrc", "kind", "url")
    said = {name: getattr(candidate, name) for name in names}
    return {name: value for name, value in said.items() if value not in (None, ())}


def _scores(
    wanted: Wanted, question: Request, offered: Sequence[Candidate], settings: SourceSettings
) -> tuple[str, dict[str, float]]:
    """How the candidates were found, and the probability of each."""
    for kind, known in wanted.ids.items():
        # What an id names is the item, whatever the source calls it: a film in another language, a trailer.
        if question.key == known and question.entity != "search" and len(offered) == 1:
            return kind, dict.fromkeys((candidate.id for candidate in offered), 1.0)
    if LIVE[settings.connector].finds == "film":
        return "search", {candidate.id: score_film(wanted, candidate) for candidate in offered}
    from connectors.scoring import score

    return "search", {one.id: one.probability for one in score(wanted, offered, source=settings.connector)}


def matched_links_stage(catalogue: Catalogue, source: str) -> Stage:
    """`matches` to `links`, by the catalogue's thresholds and people's decisions: a row per candidate."""
    settings = catalogue.sources[source]
    namespace, said = namespace_of(source, settings.connector), heard(catalogue, source)
    return Stage(
        name=f"links.{source}",
        version=f"{VERSION}-{digest_of([*thresholds(settings), namespace, said])}",
        reads=("matches", "decisions", "acoustics", "takedowns"),
        writes="links",
        scope=f"source = '{source}'",
        inputs=_claims(source, settings, said),
        load="select * exclude (input_hash) from wanted",
        compute=partial(claim, namespace=namespace),
        chunk_keys=100_000,
        seconds_per_key=0.00002,
    )


def _claims(source: str, settings: SourceSettings, heard: str) -> str:
    """SQL: every candidate of every match with its state; an item without any has an empty source_id.

    The best that nobody rejected is accepted or up for review by its probability; one that somebody accepted, last if
    it was several, is accepted whatever its probability and even if no search offered it, and the others rejected.
    What was `heard` (see `tasks.acoustic`) has been added to the probability.
    """
    accept, review = thresholds(settings)
    return f"""
        with decided as ({_decided(source)}),
        heard as ({heard}),
        settled as (select distinct item_id from decided where decided = 'accepted'),
        read as (
            select item_id, method, reason,
                   unnest(if(reason is null, candidates, [''])) as source_id,
                   unnest(if(reason is null, probabilities, [null::float])) as probability,
                   unnest(if(reason is null, json_extract(evidence, '$.offered[*]'), [null::json]))::varchar as evidence
            from matches where source = '{source}'),
        offered as (
            select r.* exclude (probability, evidence),
                   if(h.shift is null, r.probability, 1 / (1 + exp(-(ln(p / (1 - p)) + h.shift)))) as probability,
                   if(h.shift is null, r.evidence,
                      json_merge_patch(r.evidence, json_object('chroma', h.similarity))) as evidence
            from (select *, greatest({CERTAIN}, least(1 - {CERTAIN}, probability)) as p from read) r
            left join heard h using (item_id, source_id)),
        wanted_anyway as (
            select m.item_id, d.source_id from decided d join matches m on m.item_id = d.item_id
            where m.source = '{source}' and d.decided = 'accepted'
              and not list_contains(coalesce(m.candidates, []), d.source_id)),
        ranked as (
            select o.*, d.decided,
                   row_number() over (partition by o.item_id order by d.decided is not distinct from 'accepted' desc,
                       case when d.decided = 'accepted' then d.at end desc nulls last,
                       d.decided is not distinct from 'rejected', o.probability desc, o.source_id) as place
            from (from offered where source_id <> '' or item_id not in (from settled)
                  union all by name from wanted_anyway) o left join decided d using (item_id, source_id))
        select item_id, '{source}' as source, source_id, probability::double as probability,
               if(decided is null, method, 'decided') as method, evidence,
               case when source_id = '' then null
                    when decided = 'accepted' and place = 1 then 'accepted'
                    when decided = 'rejected' or place > 1 then 'rejected'
                    when probability >= {accept} then 'accepted'
                    when probability >= {review} then 'review'
                    else 'rejected' end as state,
               reason as why,
               (md5_number_lower(concat_ws('|', state, probability, method, evidence, why))::hugeint
                % 9223372036854775807)::bigint as input_hash
        from ranked"""


def _decided(source: str) -> str:
    """SQL: what people decided last of each candidate; of an item that was merged away, for the one it became."""
    became = "select entity_id, min(item_id) as item_id from links where state = 'accepted' group by entity_id"
    return f"""
        select coalesce(b.item_id, d.item_id) as item_id, d.source_id, arg_max(d.state, d.computed_at) as decided,
               max(d.computed_at) as at
        from decisions d left join ({became}) b on b.entity_id = d.item_id
        where d.source = '{source}' group by all having decided in ('accepted', 'rejected')"""


def claim(rows: pa.Table, store: Store, *, namespace: str) -> pa.Table:
    """The claims with the entity that each names; where there is no candidate, the reason."""
    taken = {name for (name,) in store.database(only=("takedowns",)).sql("select entity_id from takedowns").fetchall()}

    def one(row: Row) -> Row:
        said = {name: row[name] for name in ("probability", "method", "evidence", "state")}
        entity = entity_id(namespace, row["source_id"]) if row["source_id"] else None
        if entity in taken:
            said |= {"state": "rejected", "method": "taken_down"}
        return said | {"entity_id": entity, "reason": row["why"]}

    return rows_table("links", per_item(rows, ("item_id", "source", "source_id"), one))
