"""The champion's items in a vector index, and all that a service needs beside it, switched in one step."""

from typing import Any

from prefect import flow

from tasks.run_training import publish


@flow(name="publish-index")
def publish_index(catalogue: str = "demo", of: str | None = None) -> list[dict[str, Any]]:
    """Publish the champion's bundle of a slot, or of each, unless it is the one that services answer from.

    Args:
        catalogue: Name of a shipped catalogue, or path of a YAML file.
        of: What the champion recommends: track, film, ...; without it every slot.

    Returns:
        Of each slot the bundle, its model, whether it is new, and why not where it cannot be.
    """
    return publish(catalogue, of)
