"""What an export says of itself: coverage, sources, columns, cells of vectors, where it comes from."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

from typing import Any, get_args

from featurizers.encoders import known
from featurizers.registry import FEATURIZERS, cells_of, featurizer, spec_of
from storage.lazy import pa
from storage.releases import Release
from storage.store import Store, rows_of
from tasks.settings_stages import FeaturizerSettings

_NO_ROW = "no input"  # nothing to compute it from, or, in a partial release, not attempted yet


def provenance(release: Release) -> dict[str, Any]:
    """Where the export comes from; no path of the machine that made it."""
    return {
        "catalogue": release.catalogue["catalogue"],
        "about": release.catalogue["about"],
        "release": release.release_id,
        "created_at": f"{release.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "partial": release.partial,
        "code_version": release.code_version,
        "catalogue_hash": release.catalogue_hash,
        "stages": release.stages,
        "libraries": release.libraries,
        "weights": release.weights,
    }


def coverage(con: Any, tables: list[str]) -> list[dict[str, Any]]:
    """Per modality: how many items have a value, and why the others have none."""
    asked = {"texts": "kind", "media": "kind"}
    items = con.sql("select count(*) from items").fetchall()[0][0] if "items" in tables else 0
    found: dict[str, dict[str, int]] = {}
    for table in tables:
        if table not in asked and not table.startswith("features/"):
            continue
        view, kind = table.replace("/", "_").replace("-", "_"), asked.get(table, "null")
        for part, reason, count in con.sql(f"select {kind}, reason, count(*) from {view} group by all").fetchall():
            found.setdefault(f"{table}/{part}" if part else table, {})[reason or ""] = count
    return [_covered(name, items, dict(sorted(counts.items()))) for name, counts in sorted(found.items())]


def about(release: Release, feature: str) -> str:
    """What a feature is, with the model where the catalogue names one of the hub; a folder is nobody else's."""
    field = FeaturizerSettings.model_fields.get(feature)
    kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)] if field else []
    said = (kinds[0].__doc__ or "").strip().rstrip(".") if kinds else ""
    said = known()[feature].about if feature in known() else said
    model = str(release.catalogue["featurizers"].get(feature, {}).get("model") or "")
    return said if not model or model[0] in "/.~" else f"{said} ({model})"


def _covered(name: str, items: int, counts: dict[str, int]) -> dict[str, Any]:
    values = counts.pop("", 0) + counts.get("empty", 0)  # an empty text is a value
    left = items - values - sum(counts.values()) + counts.get("empty", 0)
    reasons = counts | ({_NO_ROW: left} if left > 0 else {})
    share = round(values / items, 4) if items else 0.0
    return {"modality": name, "items": items, "values": values, "share": share, "reasons": reasons}


def sources(con: Any, release: Release) -> list[dict[str, Any]]:
    """Per source of the catalogue: its connector, and the items, interactions and files that come from it."""
    counted = {
        "items": ("links", "select source, count(distinct item_id) from links where state = 'accepted' group by 1"),
        "interactions": ("interactions", "select source, count(*) from interactions group by 1"),
        "media": ("media", "select source, count(*) from media where reason is null group by 1"),
    }
    counts = {n: dict(con.sql(sql).fetchall()) for n, (table, sql) in counted.items() if table in release.tables}
    return [
        {"source": name, "connector": said["connector"]} | {n: counts.get(n, {}).get(name, 0) for n in counted}
        for name, said in release.catalogue["sources"].items()
    ]


def examples(con: Any, count: int = 5) -> list[dict[str, Any]]:
    """The first items, to show what they look like."""
    return rows_of(con.sql(f"select item_id, kind, title, creators, year from items order by item_id limit {count}"))


def columns(schema: pa.Schema) -> list[dict[str, str]]:
    """Name, type and meaning of each exported column."""
    found = [(f.name, type_name(f.type), (f.metadata or {}).get(b"description", b"").decode()) for f in schema]
    return [{"column": name, "type": type_, "about": said} for name, type_, said in found]


def type_name(type_: pa.DataType) -> str:
    """A type as people write it: float32[384], string[], {bytes: binary, path: string}."""
    if pa.types.is_fixed_size_list(type_):
        return f"{type_name(type_.value_type)}[{type_.list_size}]"
    if pa.types.is_list(type_):
        return f"{type_name(type_.value_type)}[]"
    if pa.types.is_struct(type_):
        return "{" + ", ".join(f"{f.name}: {type_name(f.type)}" for f in type_) + "}"
    if pa.types.is_timestamp(type_):
        return f"timestamp, {type_.tz}"
    return {"halffloat": "float16", "float": "float32", "double": "float64"}.get(str(type_), str(type_))


def vector(store: Store, release: Release, name: str, width: int, version: str | None) -> dict[str, Any]:
    """What the numbers of a feature's vectors are: how many, unit, the name of each, the version that made them.

    `version` is that of the rows; without a value the release names one all the same.
    """
    version = version or release.stages.get(name, "")
    if name == "tabular":
        return {"dimension": width, "version": version} | _tabular(store, version, width)
    spec = spec_of(name)
    cells = cells_of(name) if _is_this_code(name, version) else ()
    unit = spec.unit if spec and not any(unit for _, unit in cells) else ""
    said: dict[str, Any] = {"dimension": width, "version": version, "unit": unit}
    return said | ({"cells": [{"name": n, "unit": u} for n, u in cells]} if len(cells) == width > 0 else {})


def _is_this_code(name: str, version: str) -> bool:
    """Whether this code's names are those of the release: another version may have had others."""
    return name in FEATURIZERS and bool(cells_of(name)) and featurizer(name).version == version


def _tabular(store: Store, version: str, width: int) -> dict[str, Any]:
    """The cells by the very fit that made the vectors, which need not be the newest."""
    from featurizers.tabular import Tabular, TabularFit

    con = store.database(only=("models",))
    rows = con.sql("select parameters from models where kind = 'fit' and name = 'tabular'").fetchall()
    fits = [TabularFit.from_json(parameters) for (parameters,) in rows]
    for fit in fits:
        if Tabular(fit=fit).version == version and len(fit.columns) == width:
            numbers = zip(fit.numeric, fit.mean, fit.std, strict=True)
            cells = [{"name": n, "unit": "z-score", "mean": mean, "std": std} for n, mean, std in numbers]
            return {"unit": "", "cells": cells + [{"name": f"genre:{g}", "unit": "0 or 1"} for g in fit.genres]}
    return {"unit": "z-score, or 0 or 1"}
