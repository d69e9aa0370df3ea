"""The main flow: sources to a release."""

from typing import Any

from prefect import flow

from tasks.plan import duplicates, features, index, ingest, items_and_links, media, report, texts, validate
from tasks.run import open_build, release, run, summary


@flow(name="build-features")
def build_features(
    catalogue: str = "demo",
    wait_s: float = 0.0,
    quiet: bool = False,
    refit: tuple[str, ...] = (),
    replay: bool = False,
) -> dict[str, Any]:
    """Bring every table of a catalogue up to date and release it.

    Args:
        catalogue: Name of a shipped catalogue, or path of a YAML file.
        wait_s: Seconds to wait while another build holds the store.
        quiet: Show no progress.
        refit: Featurizers whose frozen fit is made anew.
        replay: Compute everything after `raw` anew, and ask no source.

    Returns:
        The release's name, whether it is partial, and what each stage did.
    """
    with open_build(catalogue, wait_s=wait_s, quiet=quiet, refit=refit, replay=replay) as build:
        run(build, ingest)
        run(build, items_and_links)
        run(build, texts)
        run(build, media)
        run(build, features)
        run(build, duplicates)
        run(build, index)
        run(build, validate)
        run(build, report)
        return summary(build, release(build))
