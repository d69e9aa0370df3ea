"""The features alone, on another machine than the rest: one with GPUs."""

from typing import Any

from prefect import flow

from storage.releases import current_release
from tasks.plan import features
from tasks.run import open_build, run, summary


@flow(name="embed-features")
def embed_features(catalogue: str = "demo", wait_s: float = 600.0, quiet: bool = False) -> dict[str, Any]:
    """Bring the features of a catalogue up to date with the tables they read; the next build releases them.

    Args:
        catalogue: Name of a shipped catalogue, or path of a YAML file.
        wait_s: Seconds to wait while another build holds the store.
        quiet: Show no progress.

    Returns:
        The current release's name, and what each stage did.
    """
    with open_build(catalogue, wait_s=wait_s, quiet=quiet) as build:
        run(build, features)
        return summary(build, current_release(build.store))
