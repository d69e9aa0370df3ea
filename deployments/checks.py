"""What `mediateca doctor` looks at."""

import importlib.metadata
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from deployments.checks_live import KEYS, live_checks
from deployments.checks_server import server_check, stored_keys
from tasks.settings import home, shipped

_PACKAGES = ("deltalake", "duckdb", "polars", "prefect", "pyarrow", "torch", "transformers")
_LOW_DISK_BYTES = 5 << 30


def run_checks() -> list[dict[str, Any]]:
    """One row per check: what was found, and what to do where it is not enough."""
    server = server_check()
    keys = [variable for variables in KEYS.values() for variable in variables]
    stored = stored_keys(keys) if os.environ.get("PREFECT_API_URL") and server["state"] == "ok" else ()
    return [
        _python(),
        *map(_package, _PACKAGES),
        _fastapi(),
        _weights(),
        _home(),
        _disk(),
        _real_data(),
        server,
        _catalogues(),
        *live_checks(stored),
    ]


def _row(check: str, state: str, found: str, hint: str = "") -> dict[str, Any]:
    return {"check": check, "state": state, "found": found, "hint": hint}


def _python() -> dict[str, Any]:
    found = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    return _row("python", "ok" if ok else "fail", found, "" if ok else "mediateca needs Python 3.11 or newer")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package(name: str) -> dict[str, Any]:
    found = _version(name)
    return _row(
        name, "ok" if found else "fail", found or "not installed", "" if found else "run `make` in the checkout"
    )


def _fastapi() -> dict[str, Any]:
    found = _version("fastapi") or "0"
    ok = tuple(int(part) for part in found.split(".")[:2]) < (0, 150)
    return _row(
        "fastapi",
        "ok" if ok else "fail",
        found,
        "" if ok else "Prefect 3.8 needs fastapi<0.150: pip install 'fastapi<0.150'",
    )


def _weights() -> dict[str, Any]:
    from featurizers.base import NoWeights
    from featurizers.encoders import known
    from featurizers.weights import Weights, weights_folder

    here: list[str] = []
    for name, encoder in known().items():
        try:
            weights_folder(Weights(encoder.model))
        except NoWeights:
            continue
        here.append(name)
    if "minilm" in here:
        return _row("weights", "ok", f"{', '.join(here)} (of {len(known())} encoders; mediateca models list)")
    hint = Weights(known()["minilm"].model).hint
    return _row("weights", "warn", f"{', '.join(here) or 'none'}: rows of others get the reason no_weights", hint)


def _home() -> dict[str, Any]:
    place = home()
    there = next(p for p in (place, *place.parents) if p.exists())
    ok = there.is_dir() and os.access(there, os.W_OK)
    return _row(
        "MEDIATECA_HOME", "ok" if ok else "fail", str(place), "" if ok else "cannot be written; set MEDIATECA_HOME"
    )


def _disk() -> dict[str, Any]:
    place = home()
    free = shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists())).free
    ok = free > _LOW_DISK_BYTES
    return _row(
        "disk",
        "ok" if ok else "warn",
        f"{free / (1 << 30):.0f} GiB free",
        "" if ok else "builds of real data need more",
    )


def _real_data() -> dict[str, Any]:
    found = os.environ.get("MEDIATECA_REAL_DATA")
    if found and Path(found).is_dir():
        return _row("MEDIATECA_REAL_DATA", "ok", found)
    return _row(
        "MEDIATECA_REAL_DATA",
        "warn",
        found or "not set",
        "the catalogues films and music read their files there; demo needs none",
    )


def _catalogues() -> dict[str, Any]:
    return _row("catalogues", "ok", ", ".join(shipped()))
