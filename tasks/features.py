"""Stages that run featurizers over texts, pictures, sound and items into `features/<name>`."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Literal

from pydantic import BaseModel

from featurizers.base import MelBatch, NoWeights
from featurizers.encoders import Encoder, by_model, known, usual_precision
from featurizers.registry import featurizer
from featurizers.weights import Weights, weights_folder
from storage import clock
from storage.hashing import digest_of
from storage.lazy import pa, pc
from storage.media import MediaFiles
from storage.reasons import Reason
from storage.store import Store
from tasks.settings import Catalogue, CatalogueError
from tasks.settings_base import nearest
from tasks.settings_encoders import DEVICE, EncoderSettings
from tasks.settings_stages import TabularSettings
from tasks.stage import Stage
from tasks.vectors import mels_table, reasons_table, vectors_table

UNFITTED = "unfitted"
# Kind of media, and files per commit.
_OF_MEDIA = {
    "image_descriptors": ("image", 1_000),
    "mel": ("audio_window", 500),
    "audio_descriptors": ("audio_window", 200),
}
# Guesses for the first plan, measured on two cores; those of known encoders stand beside them.
_SECONDS = {"image_descriptors": 0.01, "mel": 0.05, "audio_descriptors": 0.15}
_OF_FAMILY = {"text": 0.3, "image": 0.1, "audio": 1.0}


def feature_stages(catalogue: Catalogue, store: Store) -> list[Stage]:
    """The stages of the catalogue's featurizers."""
    native = catalogue.audio.keep_native_window
    return [
        feature_stage(name, settings, store, native=native) for name, settings in catalogue.featurizers.chosen.items()
    ]


def feature_stage(name: str, settings: BaseModel, store: Store, *, native: bool = False) -> Stage:
    """The stage of one featurizer, by what it reads; `native`: the windows are kept at the recordings' own rates."""
    if isinstance(settings, TabularSettings):
        return tabular_stage(settings, store)
    stage = _feature_stage(name, settings, native=native)
    return _without_weights(stage, settings, store) if isinstance(settings, EncoderSettings) else stage


def _feature_stage(name: str, settings: BaseModel, *, native: bool) -> Stage:
    if isinstance(settings, EncoderSettings) and settings.family == "text":
        return text_stage(name, settings)
    if isinstance(settings, EncoderSettings) and settings.family == "audio":
        kind, half_a_minute = "audio_native" if native else "audio_window", round(30 / _seconds(name, settings))
        said = _said(settings, bandlimited=not native)
        return media_stage(name, settings, kind, max(10, min(200, half_a_minute)), said)
    return media_stage(name, settings, *_OF_MEDIA.get(name, ("image", 500)))


def _without_weights(stage: Stage, settings: EncoderSettings, store: Store) -> Stage:
    """Where the weights are gone, the stage at the served version if that is of the same code, settings and revision.

    The vectors of before are still good: what is new alone gets `no_weights`, and is tried again by the next build. A
    folder's name is no part of a version, so that it can be moved: one that is misspelt comes here too, and the note
    is what tells.
    """
    try:
        weights_folder(Weights(settings.model, settings.revision))
    except NoWeights as exc:
        said, why = stage.version.rpartition("-")[0], str(exc)
    else:
        return stage
    served = store.generation(stage.writes) or "" if stage.writes in store.tables() else ""
    if served.rpartition("-")[0] != said or served == stage.version:
        return replace(stage, note=f"no vectors, as {why}")
    compute: Any = stage.compute
    compute = partial(compute, version=served)
    return replace(stage, version=served, compute=compute, note=f"the vectors of before stay and none is new, as {why}")


def _seconds(name: str, settings: BaseModel) -> float:
    if not isinstance(settings, EncoderSettings):
        return _SECONDS[name]
    encoder = _known(name, settings)
    return encoder.seconds if encoder else _OF_FAMILY[settings.family]


def _bytes(name: str, settings: BaseModel) -> float | None:
    """What a vector of a known encoder takes: float32 hardly compress."""
    encoder = _known(name, settings)
    return 4.0 * encoder.dimension if encoder else None


def _known(name: str, settings: BaseModel) -> Encoder | None:
    if not isinstance(settings, EncoderSettings):
        return None
    named = known().get(name)
    return named if named and named.model == settings.model else by_model(settings.model)


def _encoder(name: str, settings: str) -> Any:
    """The process's encoder: weights are loaded once, and anew when those on disk are others."""
    return _loaded(name, settings, featurizer(name, **json.loads(settings)).version)


def _encoded(name: str, settings: str, version: str, batch: list[Any]) -> Any:
    """The encoder's arrays, of the weights that the stage began with.

    Raises:
        NoWeights: They are not here, or others lie in their place: two kinds of vectors would share a version.
    """
    encode = _encoder(name, settings)
    encode([])  # where there are none it says so
    if encode.version == version:
        found = encode(batch)
        if encode.version == version:  # still: it is the run that loads them
            return found
    _loaded.cache_clear()  # what was loaded meanwhile may lie there under the version of what was to be loaded
    raise NoWeights(f"the weights were replaced while the build ran, now {encode.version}; build again")


def _no_weights(table: str, rows: pa.Table, version: str, why: str) -> pa.Table:
    """The reason for every row; where vectors of that version are served, to be tried again at once."""
    found = reasons_table(table, rows, Reason.NO_WEIGHTS, why)
    if version.endswith(Reason.NO_WEIGHTS):
        return found
    place, field = found.column_names.index("retry_at"), found.schema.field("retry_at")
    return found.set_column(place, field, pa.array([clock.now()] * rows.num_rows, field.type))


@lru_cache(maxsize=8)
def _loaded(name: str, settings: str, version: str) -> Any:
    return featurizer(name, **json.loads(settings))


def _said(settings: BaseModel, **more: Any) -> str:
    """The featurizer's arguments as JSON, which goes to worker processes."""
    if not isinstance(settings, EncoderSettings):
        return settings.model_dump_json()
    if (device := _device(settings)) != settings.device:
        # Part of the version: that of the catalogue on its own device, or two machines would not share their vectors.
        more |= {"device": device, "precision": settings.precision or usual_precision(settings.device)}
        more |= {"compile": settings.compile and device.startswith("cuda")}
    return json.dumps(settings.arguments | more)


def _device(settings: EncoderSettings) -> str:
    """Where an encoder runs: what this machine says of all of them, or else the catalogue.

    Raises:
        CatalogueError: MEDIATECA_DEVICE is no device.
    """
    said = os.environ.get("MEDIATECA_DEVICE")
    if said and not re.fullmatch(DEVICE, said):
        raise CatalogueError(f"MEDIATECA_DEVICE: '{said}'; expected cpu, mps, cuda (every GPU) or cuda:N (that one)")
    return settings.device if settings.precision == "int8" else said or settings.device  # int8 is of CPUs


def _place(settings: BaseModel) -> Literal["pool", "driver", "gpus"]:
    """A model takes all cores, so that a copy per process would share them and double the memory; or one GPU each."""
    if not isinstance(settings, EncoderSettings):
        return "pool"
    return "gpus" if _device(settings) == "cuda" else "driver"


# --- text


def text_stage(name: str, settings: BaseModel) -> Stage:
    """Documents to `features/<name>`."""
    said = _said(settings)
    version = _encoder(name, said).version
    return Stage(
        name=name,
        version=version,
        reads=("texts",),
        writes=f"features/{name}",
        inputs="select item_id, value_hash as input_hash from texts where kind = 'document' and reason is null",
        load="select item_id, value from texts where kind = 'document' and reason is null",
        compute=partial(encode_texts, name=name, settings=said, version=version),
        # About half a minute of work.
        chunk_keys=max(50, min(1_000, round(30 / _seconds(name, settings)))),
        runs_in=_place(settings),
        seconds_per_key=_seconds(name, settings),
        bytes_per_key=_bytes(name, settings),
    )


def encode_texts(rows: pa.Table, store: Store, *, name: str, settings: str, version: str) -> pa.Table:
    """One vector per text; `no_weights` for all of them where the weights of that version are not installed."""
    try:
        batch = _encoded(name, settings, version, rows.column("value").to_pylist())
    except NoWeights as exc:
        return _no_weights(f"features/{name}", rows, version, str(exc))
    return vectors_table(f"features/{name}", rows, batch)


# --- pictures and sound


def media_stage(name: str, settings: BaseModel, kind: str, chunk_keys: int, said: str = "") -> Stage:
    """Files of one kind of `media` to `features/<name>`; an encoder with weights runs in the driver, as for texts.

    `said` are the featurizer's arguments as JSON where its settings alone do not say them.
    """
    said = said or _said(settings)
    files = f"from media where kind = '{kind}' and reason is null"
    version = _encoder(name, said).version
    return Stage(
        name=name,
        version=version,
        reads=("media",),
        writes=f"features/{name}",
        # By content: where the file came from, or what else the row says, changes no array.
        inputs=f"select item_id, ('0x' || sha256[:15])::bigint as input_hash {files}",
        load=f"select item_id, sha256, format, size_bytes {files}",
        compute=partial(encode_files, name=name, settings=said, version=version),
        chunk_keys=chunk_keys,
        chunk_bytes=128 << 20,  # the files of a chunk are in memory together
        runs_in=_place(settings),
        seconds_per_key=_seconds(name, settings),
        bytes_per_key=_bytes(name, settings),
    )


def encode_files(rows: pa.Table, store: Store, *, name: str, settings: str, version: str) -> pa.Table:
    """One array per file of the media files; `no_weights` as for texts."""
    media, table = MediaFiles(store.url), f"features/{name}"
    encode = partial(_encoded, name, settings, version)
    try:
        encode([])  # without weights no file need be read
        files = [read_file(media, row) for row in rows.select(["sha256", "format"]).to_pylist()]
        batch = encode([data for data in files if data is not None])
    except NoWeights as exc:
        return _no_weights(table, rows, version, str(exc))
    there = pa.array([data is not None for data in files], pa.bool_())
    kept = rows.filter(there)
    found = mels_table(table, kept, batch) if isinstance(batch, MelBatch) else vectors_table(table, kept, batch)
    lost = rows.filter(pc.invert(there))
    return pa.concat_tables([found, reasons_table(table, lost, Reason.INTERNAL_ERROR, "its media file is gone")])


def read_file(media: MediaFiles, row: dict[str, Any]) -> bytes | None:
    """The bytes that a row of `media` names; None where they are gone."""
    try:
        return media.read(row["sha256"], row["format"])
    except FileNotFoundError:
        return None


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
