"""House-keeping: compaction, and the files that no kept release needs."""

from typing import Any

from prefect import flow

from tasks.maintain import compact, drop_generations, drop_old_releases, vacuum
from tasks.run import open_build


@flow(name="maintain-store")
def maintain_store(catalogue: str = "demo", wait_s: float = 600.0) -> dict[str, Any]:
    """Compact the tables of a catalogue, let go of releases beyond `keep_releases`, delete what none needs any more.

    Args:
        catalogue: Name of a shipped catalogue, or path of a YAML file.
        wait_s: Seconds to wait while a build holds the store.

    Returns:
        Tables compacted, releases let go, versions of features dropped, files deleted.
    """
    with open_build(catalogue, wait_s=wait_s) as build:
        return {
            "compacted": compact(build.store),
            "retired": drop_old_releases(build.store, build.catalogue.keep_releases),
            "generations_dropped": drop_generations(build.store),
            "files_deleted": vacuum(build.store),
        }
