"""The pipeline's stages in order, and what each would do; free of Prefect, so that a plan answers at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from connectors.registry import LIVE
from storage import clock
from storage.releases import newest_release
from storage.schemas import LOGS, TABLES, table_of
from storage.store import Store
from tasks.acoustic import acoustic_stage, compared_sources
from tasks.details import details_stage
from tasks.duplicates import duplicates_stage, lookalikes_stage
from tasks.entities import entities_stage
from tasks.features import feature_stages
from tasks.fingerprints import fingerprint_stages
from tasks.histories import history_stage
from tasks.index import index_stage
from tasks.ingest import ingest_stage
from tasks.items import items_stage, users_stage
from tasks.links import links_stage
from tasks.listings import listing_stage
from tasks.lyrics import lyrics_stages
from tasks.matches import match_stage, matched_links_stage
from tasks.media import media_stages
from tasks.pending import count_pending, fingerprint, is_up_to_date, last_runs, scan
from tasks.report import report_stage
from tasks.settings import Catalogue
from tasks.stage import Stage
from tasks.texts import texts_stage
from tasks.validate import validate_stage

Row = dict[str, Any]
Step = Callable[[Catalogue, Store], Sequence[Stage]]


def ingest(catalogue: Catalogue, store: Store) -> Sequence[Stage]:
    """Bulk files, listeners' histories, playlists and charts into raw records and interactions."""
    stages = [ingest_stage(catalogue)]
    for name, source in catalogue.sources.items():
        stages += [history_stage(catalogue, name)] if source.live.users else []
        stages += [listing_stage(catalogue, name)] if source.live.playlists or source.live.charts else []
    return stages


def items_and_links(catalogue: Catalogue, store: Store) -> Sequence[Stage]:
    """One row per item, linked to its sources, and its listeners or viewers.

    Live sources are asked one after the other, as what one says of an item helps to find it at the next. The stages
    come twice where there are any: then what the last one said has reached all of them, and the next night finds
    nothing to do; a stage without work costs a scan of its keys.
    """
    joined = [entities_stage(catalogue), links_stage(catalogue)]
    asked: list[Stage] = []
    for name, source in catalogue.sources.items():
        if source.is_searched:
            asked += [match_stage(catalogue, name), matched_links_stage(catalogue, name)]
        if source.is_live and LIVE[source.connector].details:
            asked += [details_stage(catalogue, name)]
        if source.is_live:
            asked += joined
    twice = [*joined, *asked] * 2 if asked else joined
    return [*twice, items_stage(catalogue), users_stage(catalogue)]


def texts(catalogue: Catalogue, store: Store) -> Sequence[Stage]:
    """Overviews, documents and lyrics."""
    return [texts_stage(catalogue), *lyrics_stages(catalogue)]


def features(catalogue: Catalogue, store: Store) -> Sequence[Stage]:
    """The catalogue's featurizers."""
    return feature_stages(catalogue, store)


def media(catalogue: Catalogue, store: Store) -> Sequence[Stage]:
    """Windows of recordings, and pictures.

    A link that sounds wrong gives way to the next candidate, which is fetched and heard in turn; a third one waits for
    the next build.
    """
    stages = media_stages(catalogue)
    sound = [stage for stage in stages if stage.name == "audio"]
    heard: list[Stage] = []
    for name in compared_sources(catalogue):
        heard += [acoustic_stage(catalogue, name), matched_links_stage(catalogue, name)]
    return [*stages, *([*heard, *sound] * 2 if heard else [])]


def duplicates(catalogue: Catalogue, store: Store) -> Sequence[Stage]:
    """Items that are one recording or one work."""
    return [*fingerprint_stages(catalogue), lookalikes_stage(), duplicates_stage(catalogue)]


def index(catalogue: Catalogue, store: Store) -> Sequence[Stage]:
    """Nearest neighbours by the catalogue's features."""
    return [index_stage(catalogue)]


def validate(catalogue: Catalogue, store: Store) -> Sequence[Stage]:
    """What the tables hold against what is expected of them."""
    return [validate_stage(catalogue, store)]


def report(catalogue: Catalogue, store: Store) -> Sequence[Stage]:
    """The page that shows what the release will hold."""
    drawn = [n for n in (*TABLES, *_features_of(catalogue)) if n not in (*LOGS, "reports")]
    return [report_stage(catalogue, store, drawn, is_released=lambda: is_released(catalogue, store))]


STEPS: tuple[Step, ...] = (ingest, items_and_links, texts, media, features, duplicates, index, validate, report)
"""The order in which `build-features` runs them."""


def stages_of(step: Step, catalogue: Catalogue, store: Store) -> list[Stage]:
    """The stages of one step, with the catalogue's chunk size."""
    most = catalogue.chunk_keys
    stages = step(catalogue, store)
    return [replace(s, chunk_keys=min(most, s.chunk_keys)) if most else s for s in stages]


def all_stages(catalogue: Catalogue, store: Store) -> list[Stage]:
    """Every stage of the catalogue, in order."""
    return [stage for step in STEPS for stage in stages_of(step, catalogue, store)]


def reads_sources(stage: Stage) -> bool:
    """Whether the stage reads what lies outside the store, which a replay leaves as it is: rows of `raw`, media."""
    return stage.name in ("ingest", "audio", "images") or stage.name.startswith(("history.", "lists."))


def make_plan(catalogue: Catalogue, store: Store) -> list[dict[str, Any]]:
    """What each stage, and the release after them, would do; reads key columns only, and nothing of what is up to date.

    A stage that is fed by one with work to do is not up to date either; its counts are those of now, and `follows`
    names the stages it waits for. `note` is what there is to know of it. `version_change` says what a feature's other
    version costs: items, seconds as in an earlier run (None: never measured), bytes.
    """
    store = _Still(store.url)
    now, last, rates = clock.now(), last_runs(store), _rates(store)
    rows: list[dict[str, Any]] = []
    moving: dict[str, str] = {}
    for stage in {stage.name: stage for stage in all_stages(catalogue, store)}.values():
        row = _plan_stage(store, stage, last.get(stage.name), rates.get(stage.name), now)
        row["follows"] = sorted({moving[name] for name in stage.reads if name in moving})
        row["up_to_date"] = row["up_to_date"] and not row["follows"]
        row["note"] = stage.note
        if not row["up_to_date"]:
            moving |= dict.fromkeys((stage.writes, *stage.beside), stage.name)
        rows.append(row)
    pending = bool(moving) or not is_released(catalogue, store)
    return [*rows, _row("release", up_to_date=not pending, new=int(pending), follows=sorted(set(moving.values())))]


class _Still(Store):
    """The store at one moment: what the plan asks of many stages is looked up once."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._versions: dict[str, int] = {}
        self._there: list[str] | None = None

    def tables(self) -> list[str]:
        """Names of the tables there are."""
        if self._there is None:
            self._there = super().tables()
        return self._there

    def data_version(self, name: str) -> int:
        """The newest version that changed a row."""
        if name not in self._versions:
            self._versions[name] = super().data_version(name)
        return self._versions[name]


def tables_to_release(catalogue: Catalogue, store: Store) -> list[str]:
    """What a release holds: all but logs, and of the features those that the catalogue names."""
    built = _features_of(catalogue)
    named = [n for n in store.tables() if n not in LOGS]
    return [name for name in named if not name.startswith("features/") or name in built]


def is_released(catalogue: Catalogue, store: Store) -> bool:
    """Whether the newest release holds everything the tables hold, and was made from this very catalogue."""
    newest = newest_release(store)
    tables = tables_to_release(catalogue, store)
    if newest is None or newest.catalogue_hash != catalogue.digest or set(tables) != set(newest.tables):
        return False
    # Checking or drawing the same tables anew, with the same catalogue, makes no new release.
    told = ("validations", "reports")
    return all(store.data_version(name) <= newest.tables[name] for name in tables if name not in told)


def _features_of(catalogue: Catalogue) -> list[str]:
    """The feature tables that the catalogue builds."""
    return [f"features/{name}" for name in catalogue.featurizers.chosen]


class Rate(NamedTuple):
    """Seconds per key in an earlier run, and the version that ran."""

    seconds: float
    version: str


def _plan_stage(store: Store, stage: Stage, last: dict[str, Any] | None, rate: Rate | None, now: datetime) -> Row:
    if stage.prepare is None and is_up_to_date(stage, fingerprint(store, stage), last, now):
        return _row(stage.name, up_to_date=True)
    counts = count_pending(scan(store, stage, now), stage)
    counts.pop("inputs")
    guess = counts.pop("seconds")
    todo = counts["new"] + counts["changed"] + counts["retry"]
    seconds = round(guess if rate is None else todo * rate.seconds, 1)
    change = _version_change(store, stage, (last or {}).get("version"), todo, rate)
    return _row(stage.name, **counts, seconds_estimate=seconds, version_change=change)


def _version_change(store: Store, stage: Stage, ran: str | None, items: int, rate: Rate | None) -> Row | None:
    """What another version of a feature costs, whose generation is built beside the one that is served."""
    if stage.writes not in store.tables() or not table_of(stage.writes).has_generations:
        return None
    former = store.generation(stage.writes) or ran
    if former is None or former == stage.version:
        return None
    _, rows = store.size(stage.writes)
    each = stage.bytes_per_key or (store.size_bytes(stage.writes) / rows if rows else None)
    return {
        "from": former,
        "to": stage.version,
        "items": items,
        "seconds": None if rate is None else round(items * rate.seconds, 1),  # null: never measured
        "measured_with": None if rate is None else rate.version,
        "bytes": None if each is None else round(items * each),
    }


def _rates(store: Store) -> dict[str, Rate]:
    """By stage, of the newest run that did enough to tell."""
    if "runs" not in store.tables():
        return {}
    rows = store.database(only=("runs",)).sql(
        "select stage, seconds / (done + failed), version from runs where done + failed >= 100 "
        "qualify row_number() over (partition by stage order by computed_at desc) = 1"
    )
    return {stage: Rate(seconds, version) for stage, seconds, version in rows.fetchall()}


def _row(stage: str, **found: Any) -> dict[str, Any]:
    empty: Row = {"stage": stage, "up_to_date": False, "new": 0, "changed": 0, "retry": 0, "removed": 0, "note": ""}
    return empty | {"seconds_estimate": 0.0, "requests_estimate": 0, "follows": [], "version_change": None} | found
