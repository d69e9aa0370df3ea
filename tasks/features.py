"""Stages that run featurizers over texts and items into `features/<name>`."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from featurizers.base import FeatureBatch, NoWeights
from featurizers.registry import featurizer
from storage.hashing import digest_of
from storage.lazy import np, pa
from storage.reasons import Reason
from storage.schemas import table_of
from storage.store import Store
from tasks.settings import Catalogue, CatalogueError, MinilmSettings, TabularSettings, nearest
from tasks.stage import Stage

UNFITTED = "unfitted"


def feature_stages(catalogue: Catalogue, store: Store) -> list[Stage]:
    """The stages of the catalogue's featurizers."""
    chosen = catalogue.featurizers
    stages = [minilm_stage(chosen.minilm)] if chosen.minilm else []
    return stages + ([tabular_stage(chosen.tabular, store)] if chosen.tabular else [])


# --- text


def minilm_stage(settings: MinilmSettings) -> Stage:
    """Documents to `features/minilm`."""
    return Stage(
        name="minilm",
        version=_encoder("minilm", settings.model_dump_json()).version,
        reads=("texts",),
        writes="features/minilm",
        inputs="select item_id, value_hash as input_hash from texts where kind = 'document' and reason is null",
        load="select item_id, value from texts where kind = 'document' and reason is null",
        compute=partial(encode_texts, name="minilm", settings=settings.model_dump_json()),
        chunk_keys=1_000,
        runs_in="driver",  # one model on all cores; a copy per process would share them and double the memory
        seconds_per_key=0.03,
    )


@lru_cache(maxsize=8)
def _encoder(name: str, settings: str) -> Any:
    """One encoder per process: its weights are loaded once."""
    return featurizer(name, **json.loads(settings))


def encode_texts(rows: pa.Table, store: Store, *, name: str, settings: str) -> pa.Table:
    """One vector per text; `no_weights` for all of them where the weights are not installed."""
    try:
        batch = _encoder(name, settings)(rows.column("value").to_pylist())
    except NoWeights as exc:
        return reasons_table(f"features/{name}", rows, Reason.NO_WEIGHTS, str(exc))
    return vectors_table(f"features/{name}", rows, batch)


# --- numbers


def tabular_stage(settings: TabularSettings, store: Store) -> Stage:
    """Items to `features/tabular`, by the frozen fit; the first build makes the fit once the items are there."""
    fit = load_fit(store, settings)
    numbers = "item_id, year, duration_ms, attributes, genres"
    stage = Stage(
        name="tabular",
        version=UNFITTED if fit is None else featurizer("tabular", fit=fit).version,
        reads=("items",),
        writes="features/tabular",
        inputs="select item_id, value_hash as input_hash from items where reason is null",
        load=f"select {numbers} from items where reason is null",
        compute=partial(encode_items, fit=fit.to_json() if fit else ""),
        chunk_keys=20_000,
        prepare=None if fit else partial(_fitted, settings),
        refit=partial(_fitted, settings, anew=True),
        seconds_per_key=0.0001,
    )
    return stage


def _fitted(settings: TabularSettings, store: Store, *, anew: bool = False) -> Stage:
    if (anew or load_fit(store, settings) is None) and store.count_live("items"):
        save_fit(store, settings)  # never over nothing: it would stay so
    return tabular_stage(settings, store)


def load_fit(store: Store, settings: TabularSettings) -> Any:
    """The newest fit for these settings; None before the first."""
    if "models" not in store.tables():
        return None
    from featurizers.tabular import TabularFit

    rows = store.database(only=("models",)).execute(
        "select parameters from models where kind = 'fit' and name = 'tabular' and config = ? "
        "order by computed_at desc",
        [settings.model_dump_json()],
    )
    found = rows.fetchone()
    return TabularFit.from_json(found[0]) if found else None


def save_fit(store: Store, settings: TabularSettings) -> None:
    """Fit over all items of now, and store it in `models`; also what `build --refit tabular` does."""
    fit, config = fit_items(store, settings), settings.model_dump_json()
    store.log(
        "models",
        model_id=f"tabular-{digest_of([config, fit.digest, datetime.now(UTC)])}",
        kind="fit",
        name="tabular",
        config=config,
        parameters=fit.to_json(),
    )


def _check_numbers(con: Any, settings: TabularSettings) -> None:
    """A misspelt name would be a column of nothing, frozen in the fit; a number that may come later is none."""
    there = "select distinct k from items, unnest(map_keys(attributes)) u(k) where reason is null"
    known = {"year", "duration_ms", *(name for (name,) in con.sql(there).fetchall())}
    for name in settings.numeric:
        if name not in known and (meant := nearest(name, known)):
            raise CatalogueError(
                f"featurizers.tabular.numeric: no item has the number '{name}'; {meant}"
                f"known: {', '.join(sorted(known))}"
            )


def fit_items(store: Store, settings: TabularSettings) -> Any:
    """Mean and deviation of each number over the items that have it, and every genre that two items or more have."""
    from featurizers.tabular import TabularFit

    con = store.database(only=("items",))
    _check_numbers(con, settings)
    moments = [
        con.sql(
            f"select avg(x), stddev_pop(x) from (select ({_number(name)})::double as x from items where reason is null)"
        )
        for name in settings.numeric
    ]
    # 12 digits: sums over threads differ in the last bits, and the digest of the fit is part of a version.
    mean, std = zip(*([float(f"{v or 0.0:.12g}") for v in row.fetchall()[0]] for row in moments), strict=True)
    genres = "select g from items, unnest(genres) u(g) where reason is null group by g having count(*) > 1 order by g"
    return TabularFit(
        numeric=settings.numeric,
        mean=mean,
        std=tuple(value or 1.0 for value in std),
        genres=tuple(g for (g,) in con.sql(genres).fetchall()) if settings.genres else (),
    )


def _number(name: str) -> str:
    return name if name in ("year", "duration_ms") else "attributes['" + name.replace("'", "''") + "']"


def encode_items(rows: pa.Table, store: Store, *, fit: str) -> pa.Table:
    """One vector and mask per item."""
    from featurizers.tabular import TabularFit

    return vectors_table(
        "features/tabular", rows, featurizer("tabular", fit=TabularFit.from_json(fit))(rows.to_pylist())
    )


# --- arrays to rows


def vectors_table(name: str, rows: pa.Table, batch: FeatureBatch) -> pa.Table:
    """A featurizer's answer as rows of its table."""
    n, width = batch.values.shape
    missing = np.array([error is not None for error in batch.errors], bool)
    mask = None if batch.mask is None else _lists(batch.mask.reshape(-1), n, width, missing, pa.bool_())
    return _feature_rows(
        name,
        rows,
        _lists(batch.values.astype(np.float32).reshape(-1), n, width, missing, pa.float32()),
        mask,
        list(batch.errors),
    )


def reasons_table(name: str, rows: pa.Table, reason: Reason, detail: str) -> pa.Table:
    """The same reason for every row."""
    n, schema = rows.num_rows, table_of(name).schema
    value = pa.nulls(n, schema.field("value").type)
    return _feature_rows(name, rows, value, None, [reason.value] * n, detail)


def _lists(flat: Any, n: int, width: int, missing: Any, type_: pa.DataType) -> pa.Array:
    # By mask, not by null offsets: a list before a null one would take that one's cells as its own.
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, pa.array(flat, type_), mask=pa.array(missing))


def _feature_rows(
    name: str,
    rows: pa.Table,
    value: pa.Array,
    mask: pa.Array | None,
    reasons: list[str | None],
    detail: str | None = None,
) -> pa.Table:
    schema, n = table_of(name).schema, rows.num_rows
    return pa.table(
        {
            "item_id": rows.column("item_id"),
            "value": value,
            "mask": pa.nulls(n, schema.field("mask").type) if mask is None else mask,
            "reason": pa.array(reasons, pa.string()),
            "detail": pa.array([detail] * n, pa.string()),
            "retry_at": pa.nulls(n, pa.timestamp("us", tz="UTC")),
        }
    )
