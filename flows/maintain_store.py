"""House-keeping: compaction, and the files that no kept release needs."""

from typing import Any

from prefect import flow

from tasks.maintain import compact, drop_old_releases, vacuum
from tasks.run import open_build


@flow(name="maintain-store")
def maintain_store(catalogue: str = "demo", wait_s: float = 600.0) -> dict[str, Any]:
    """Compact the tables of a catalogue, let go of releases beyond `keep_releases`, delete unneeded files.

    Args:
        catalogue: Name of a shipped catalogue, or path of a YAML file.
        wait_s: Seconds to wait while a build holds the store.

    Returns:
        Tables compacted, releases let go, files deleted.
    """
    with open_build(catalogue, wait_s=wait_s) as build:
        return {
            "compacted": compact(build.store),
            "retired": drop_old_releases(build.store, build.catalogue.keep_releases),
            "files_deleted": vacuum(build.store),
        }
