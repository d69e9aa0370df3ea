"""Catalogues over a sandbox's world for benchmarks, and keys by which a leak would be seen."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deployments.sandbox.serve import settings_of
from deployments.sandbox.server import Sandbox
from deployments.sandbox.world import generate
from tasks.settings import SHIPPED

_LATER_H = 24 * 365 * 10  # hours; a new period of histories is more to do, not the same done again


def write_catalogue(
    folder: Path, *, name: str, films: int, tracks: int, listeners: int, features: bool = True, **changes: Any
) -> Path:
    """The shipped catalogue `demo` over a world of that size, which lies in `folder` too.

    Args:
        folder: Where both are written.
        name: Of the catalogue; its file and its store are called the same.
        films: Of the world.
        tracks: Of the world.
        listeners: Of the world; their histories are read once.
        features: Whether its featurizers are kept.
        changes: Keys of the catalogue, such as `chunk_keys`.
    """
    world = folder / "world"
    generate(world, films=films, tracks=tracks, listeners=listeners)
    said: dict[str, Any] = yaml.safe_load((SHIPPED / "demo.yaml").read_text(encoding="utf-8"))
    said |= {"catalogue": name, **changes}
    said["world"] = {"path": str(world), "films": films, "tracks": tracks, "listeners": listeners}
    said["sources"]["movielens"]["path"] = str(world / "movielens")
    users = [f"user_{n:06d}" for n in range(1, listeners + 1)]
    said["sources"]["lastfm"]["live"] = {"users": users, "refresh_hours": _LATER_H}
    del said["validation"]  # its gold set is the demo's, and a small world is no measure of links
    if not features:
        del said["featurizers"]
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(said, sort_keys=False), encoding="utf-8")
    return path


def with_keys(sandbox: Sandbox, keys: Mapping[str, str]) -> str:
    """The connectors' settings for that sandbox, with keys of one's own, as `MEDIATECA_SANDBOX` holds them."""
    found = settings_of(sandbox)
    for settings in found.values():
        settings |= {name: keys[name] for name in settings.keys() & keys.keys()}
    return json.dumps(found)
