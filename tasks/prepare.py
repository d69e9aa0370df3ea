"""What must lie on disk before a catalogue's files can be read: the generated world of the demo."""

from importlib import import_module
from pathlib import Path

from tasks.settings import Catalogue

# By name: the sandbox is a deployment, and the layers below must not import it.
_GENERATOR = "deployments.sandbox.world"


def ensure_world(catalogue: Catalogue) -> None:
    """Generate the catalogue's world if it has one and it is not there; quick when it is.

    Raises:
        ValueError: The folder exists and is not a world of ours.
    """
    if (world := catalogue.world) is not None:
        import_module(_GENERATOR).generate(
            Path(world.path), seed=world.seed, films=world.films, tracks=world.tracks, listeners=world.listeners
        )
