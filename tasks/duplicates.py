"""Items that are one recording, or one work: looked up by their fingerprints, connected into components.

A look-up compares an item with those that share keys with it, never with all; what was found names the fingerprint that
was compared, so that an item that changed is looked up again, and those it was found by are not.
"""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from featurizers import acoustic, audio_fingerprint, image_fingerprint
from featurizers.duplicates import MOST_CANDIDATES, limits
from storage.hashing import digest_of, hash_rows
from storage.lazy import np, pa
from storage.store import Store
from tasks.fingerprints import AUDIO, IMAGE, TITLE
from tasks.settings import Catalogue
from tasks.stage import Stage, rows_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = "1"
RELATIONS = ("same_recording", "same_work")
_BUCKET = 50  # items that a key leads to, the first by item_id: of what thousands share these stand for the others
_PAIRED = 8  # items that share words are paired with each other up to so many; with the first of them beyond
_TITLES = 3  # different titles that may share a text; of more it is boilerplate
_BATCH = 256  # pairs of fingerprints in memory
Row = dict[str, Any]


# --- look-ups


def lookalikes_stage() -> Stage:
    """`fingerprints` of sound and pictures to `lookalikes`."""
    code = [VERSION, acoustic.VERSION, audio_fingerprint.VERSION, image_fingerprint.VERSION, *limits()]
    return Stage(
        name="lookalikes",
        version=f"{VERSION}-{digest_of(code)}",
        reads=("fingerprints",),
        writes="lookalikes",
        inputs="select item_id, kind, value_hash as input_hash from fingerprints "
        f"where kind in ('{AUDIO}', '{IMAGE}') and reason is null",
        compute=look_up,
        chunk_keys=2_000,
        seconds_per_key=0.01,
    )


def look_up(rows: pa.Table, store: Store) -> pa.Table:
    """One row per fingerprint: the others that are near enough, without those that find it themselves."""
    con = store.database(only=("fingerprints",))
    con.register("mine", rows.select(["item_id", "kind"]))
    con.sql("create temp table met as " + _MET, params={"bucket": _BUCKET, "most": MOST_CANDIDATES})
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for batch in con.sql(_COMPARED).to_arrow_reader(_BATCH):
        for pair in batch.to_pylist():
            if (scores := compare(pair)) is not None:
                named = {"item": pair["other"], "hash": pair["other_hash"]}
                found[pair["item_id"], pair["kind"]].append(named | scores)
    keys = zip(rows.column("item_id").to_pylist(), rows.column("kind").to_pylist(), strict=True)
    told = [
        {"item_id": item, "kind": kind, "found": json.dumps(sorted(found[item, kind], key=lambda one: one["item"]))}
        for item, kind in keys
    ]
    return rows_table("lookalikes", told)


_MET = f"""
    with known as not materialized (
                   select item_id, kind, unnest(keys) as key from fingerprints
                   where reason is null and kind in ('{AUDIO}', '{IMAGE}')),
    asked as (from known semi join mine using (item_id, kind)),
    bucket as (from known semi join (select distinct kind, key from asked) using (kind, key)
               qualify row_number() over (partition by kind, key order by item_id) <= $bucket)
    select a.item_id, a.kind, b.item_id as other, count(*) as shared
    from asked a join bucket b using (kind, key) where a.item_id <> b.item_id group by a.item_id, a.kind, b.item_id
    qualify row_number() over (partition by a.item_id, a.kind order by count(*) desc, b.item_id) <= $most"""
# Of two that look each other up one compares.
_COMPARED = """
    select m.item_id, m.kind, m.other, o.value_hash as other_hash, i.value, o.value as other_value, i.tones,
           o.tones as other_tones
    from met m join fingerprints i using (item_id, kind)
    join fingerprints o on o.item_id = m.other and o.kind = m.kind
    where m.item_id < m.other
       or not exists (from met n where n.item_id = m.other and n.other = m.item_id and n.kind = m.kind)"""


def compare(pair: Row) -> Row | None:
    """How alike two fingerprints are (`score`, and `tones` of sound); None where they are not near enough."""
    if pair["kind"] == IMAGE:
        side = (image_fingerprint.SIDE, image_fingerprint.SIDE)
        mine, theirs = (np.frombuffer(pair[name], np.uint8).reshape(side) for name in ("value", "other_value"))
        score = image_fingerprint.image_similarity(mine, theirs)
        return {"score": round(score, 4)} if score >= limits().picture else None
    rate = audio_fingerprint.bit_error_rate(pair["value"], pair["other_value"])
    tones = acoustic.similarity(*(_frames(pair[name]) for name in ("tones", "other_tones")))
    if rate is None or tones is None or (rate[0] > limits().recording and tones[0] < limits().tones):
        return None
    return {"score": round(rate[0], 4), "tones": round(tones[0], 4)}


def _frames(tones: bytes) -> NDArray[np.float32]:
    return np.frombuffer(tones, np.int8).reshape(-1, 12).astype(np.float32) / np.float32(127)


# --- pairs and components


def duplicates_stage(catalogue: Catalogue) -> Stage:
    """`lookalikes`, equal words and people's decisions to `duplicates`: a row per pair."""
    return Stage(
        name="duplicates",
        version=VERSION,
        reads=("lookalikes", "fingerprints", "items", "decisions"),
        writes="duplicates",
        inputs=partial(pairs, review_above=catalogue.duplicates.review_above),
        compute=_as_they_are,
        outside=lambda: str(catalogue.duplicates.review_above),
        chunk_keys=50_000,
    )


def _as_they_are(rows: pa.Table, store: Store) -> pa.Table:
    return rows_table("duplicates", rows.to_pylist())


def pairs(store: Store, *, review_above: int) -> pa.Table:
    """Every pair with its component and state; the components are those of all pairs that nobody rejected.

    A component of more than `review_above` items is in `review`, but for the pairs that somebody accepted.
    """
    con = store.database(only=("lookalikes", "fingerprints", "items", "decisions"))
    found = claimed(con).to_arrow_table()
    relation = np.array(found.column("relation").to_pylist(), object)
    said = np.array(found.column("said").to_pylist(), object)
    ends = [np.array(found.column(name).to_pylist(), object) for name in ("item_a", "item_b")]
    first, size = np.empty(len(said), object), np.ones(len(said), np.int64)
    for name in RELATIONS:
        joins = (said != "rejected") & ((relation == name) | (name == "same_work"))
        labels, sizes = components(ends[0][joins], ends[1][joins])
        for at in np.flatnonzero(relation == name):
            first[at] = labels.get(ends[0][at], ends[0][at])
            size[at] = sizes.get(first[at], 1)
    state = [word or ("review" if n > review_above else "accepted") for word, n in zip(said, size, strict=True)]
    more = {"component": pa.array(first, pa.string()), "component_size": pa.array(size), "state": pa.array(state)}
    out = found.drop_columns(["said"])
    for name, column in more.items():
        out = out.append_column(name, column)
    return out.append_column("input_hash", pa.array(hash_rows(out, out.column_names), pa.int64()))


def claimed(con: Any) -> Any:
    """The pairs that anything speaks for, and what people said of them (`said`), as a relation of DuckDB.

    `con` has the views `lookalikes`, `fingerprints`, `items` and `decisions`.
    """
    given = {"recording": limits().recording, "tones": limits().tones, "paired": _PAIRED, "titles": _TITLES}
    return con.sql(_PAIRS, params=given)


def components(one: Any, other: Any) -> tuple[dict[str, str], dict[str, int]]:
    """Of pairs of item_ids: each item's component, named by its first item_id, and the components' sizes."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, at = np.unique(np.concatenate([one, other]).astype(str), return_inverse=True)
    if not len(names):
        return {}, {}
    edges = (np.ones(len(one), np.int8), (at[: len(one)], at[len(one) :]))
    _, labels = connected_components(coo_array(edges, shape=(len(names), len(names))), directed=False)
    _, first, counts = np.unique(labels, return_index=True, return_counts=True)  # names are sorted
    named = {str(name): str(names[first[label]]) for name, label in zip(names, labels, strict=True)}
    return named, {str(names[at]): int(n) for at, n in zip(first, counts, strict=True)}


_FOUND = '[{"item": "VARCHAR", "hash": "BIGINT", "score": "DOUBLE", "tones": "DOUBLE"}]'
_PAIRS = f"""
with prints as (select item_id, kind, value_hash, keys from fingerprints where reason is null),
named as (select item_id, keys[1] as title_key from prints where kind = '{TITLE}'),
seen as (
    select l.item_id, l.kind, unnest(from_json(l.found, '{_FOUND}')) as one
    from lookalikes l join prints p using (item_id, kind) where l.reason is null and l.input_hash = p.value_hash),
near as (
    select least(s.item_id, s.one.item) as item_a, greatest(s.item_id, s.one.item) as item_b, s.kind,
           any_value(s.one.score) as score, any_value(s.one.tones) as tones
    from seen s join prints o on o.item_id = s.one.item and o.kind = s.kind and o.value_hash = s.one.hash group by all),
words as (
    select p.kind, unnest(case p.kind when '{TITLE}' then p.keys[2:] else p.keys end) as key, p.item_id, n.title_key
    from prints p left join named n using (item_id) where p.kind not in ('{AUDIO}', '{IMAGE}')),
sharing as (
    select w.*, g.first_item, g.n from words w join (
        select kind, key, min(item_id) as first_item, count(*) as n from words group by kind, key
        having n > 1 and (kind = '{TITLE}' or count(distinct title_key) <= $titles)) g using (kind, key)),
equal as (
    select distinct a.item_id as item_a, b.item_id as item_b, a.kind,
           a.title_key = b.title_key and coalesce(abs(i.year - j.year) <= 1, true) as same
    from sharing a join sharing b on a.kind = b.kind and a.key = b.key and a.item_id < b.item_id
         and (a.n <= $paired or a.item_id = a.first_item)
    join items i on i.item_id = a.item_id join items j on j.item_id = b.item_id),
claims as (
    select item_a, item_b, 'same_recording' as relation, 'audio' as method, score as number, 1 - 2 * score as sure
    from near where kind = '{AUDIO}' and score <= $recording
    union all select item_a, item_b, 'same_work', 'tones', tones, tones from near
    where kind = '{AUDIO}' and score > $recording and tones >= $tones
    union all select item_a, item_b, 'same_recording', 'image', score, score from near where kind = '{IMAGE}'
    union all select item_a, item_b, case when same and kind = 'overview' then 'same_recording' else 'same_work' end,
              case kind when 'overview' then 'text' when '{TITLE}' then 'title_creator' else kind end, 1.0, 1.0
    from equal),
told as (
    select least(item_id, source_id) as item_a, greatest(item_id, source_id) as item_b, source as relation,
           arg_max(state, computed_at) as said from decisions where source in {RELATIONS} group by all),
judged as (
    select c.item_a, c.item_b, c.relation, list_sort(list(distinct c.method)) as methods,
           least(1.0, greatest(0.0, max(c.sure))) as score,
           string_agg(distinct format('{{}} {{:.3f}}', c.method, c.number), ', ' order by
                      format('{{}} {{:.3f}}', c.method, c.number)) as evidence
    from claims c group by all)
select j.*, nullif(t.said, 'undone') as said from judged j left join told t using (item_a, item_b, relation)
-- What is one recording is one work, unless somebody said that it is no recording.
where not (j.relation = 'same_work' and exists (
    from judged r left join told s using (item_a, item_b, relation)
    where r.item_a = j.item_a and r.item_b = j.item_b and r.relation = 'same_recording'
      and s.said is distinct from 'rejected'))
order by item_a, item_b, relation"""
