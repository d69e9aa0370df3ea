"""The last step: what the tables hold now becomes a release, in one commit, if it is fit to be one."""

import importlib.metadata
import subprocess
from pathlib import Path
from typing import Any

from expectations.docs import BLOCKED, write_site
from expectations.gate import Found, findings, refusal, summary
from featurizers.registry import featurizer
from storage.generations import served_versions
from storage.releases import Release, current_release, next_number, publish
from storage.store import Store
from tasks.plan import all_stages, is_released, tables_to_release
from tasks.settings import Catalogue

_LIBRARIES = (
    "deltalake",
    "duckdb",
    "faiss-cpu",
    "numpy",
    "prefect",
    "pyarrow",
    "torch",
    "transformers",
)


class ReleaseBlocked(Exception):
    """The tables are not fit to be released; the former release stays current."""

    def __init__(self, message: str, validation: dict[str, Any] | None = None) -> None:
        """`validation` is what `--json` prints under that name."""
        super().__init__(message)
        self.validation = validation or {}
        self.result: dict[str, Any] = {}  # what `mediateca build --json` prints


def publish_release(catalogue: Catalogue, store: Store, *, partial: bool) -> Release:
    """The release that holds what the tables hold: a new one, or the present one when nothing changed.

    Raises:
        ReleaseBlocked: There is no item, or a check failed that must pass.
        MixedVersions: A feature's vectors are of several versions.
    """
    if is_released(catalogue, store) and (current := current_release(store)):
        return current
    tables = tables_to_release(catalogue, store)
    counts = {name: store.count_live(name) for name in tables}
    _refuse_nothing(counts)
    found = findings(store, tables)
    _refuse_failed(store, found)
    served = served_versions(store, tables)
    # Before the commit: a release is never there without its pages; those of a killed one are written over.
    write_site(store, f"v{next_number(store)}", found)
    return publish(
        store,
        {name: store.version(name) for name in tables},
        partial=partial,
        counts=counts,
        # Of features the version that is served: another one may be on its way.
        stages={stage.name: stage.version for stage in all_stages(catalogue, store)} | served,
        code_version=code_version(),
        catalogue=catalogue.model_dump(mode="json"),
        catalogue_hash=catalogue.digest,
        libraries={name: importlib.metadata.version(name) for name in _LIBRARIES},
        weights=_weights(catalogue) | {name: served[name] for name in catalogue.featurizers.encoders if name in served},
    )


def validation_of(store: Store) -> dict[str, Any]:
    """What the checks found last, as `--json` prints it."""
    return summary(findings(store))


def _refuse_nothing(counts: dict[str, int]) -> None:
    if not counts["items"]:
        raise ReleaseBlocked(
            "no release: the table 'items' is empty; look at `select * from quarantine`, at the paths of the sources "
            "and, for live ones, at their keys (`mediateca doctor`)"
        )


def _refuse_failed(store: Store, found: list[Found]) -> None:
    if not any(f.blocks for f in found):
        return
    docs = write_site(store, BLOCKED, found)
    current = current_release(store)
    message = refusal(found, current=current.release_id if current else None, docs=docs)
    raise ReleaseBlocked(message, summary(found) | {"docs": docs})


def _weights(catalogue: Catalogue) -> dict[str, str]:
    chosen = catalogue.featurizers.encoders.items()
    return {name: featurizer(name, **settings.arguments).version for name, settings in chosen}


def code_version() -> str:
    """The distribution's version, and the commit when it runs from a checkout."""
    version = importlib.metadata.version("mediateca")
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return version
    git = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return f"{version}+{found.stdout.strip()}" if found.returncode == 0 else version
