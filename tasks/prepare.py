"""What must be there before a catalogue's sources can be read: keys, or a generated world and who serves it."""

import json
import os
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path

from pydantic import SecretStr

from connectors.registry import LIVE
from storage.clock import SANDBOX
from storage.errors import make_folder, told
from tasks.ask import REPLAY, replaying, stood_in_for
from tasks.settings import Catalogue

# By name: the sandbox is a deployment, and the layers below must not import it.
_GENERATOR = "deployments.sandbox.world"
_STAND_IN = "deployments.sandbox.stand_in"
_WHAT = "generated world"


def ensure_world(catalogue: Catalogue) -> None:
    """Generate the catalogue's world if it has one and it is not there; quick when it is.

    Raises:
        ValueError: The folder exists and is not a world of ours.
        StoreError: It is not there and cannot be written.
    """
    if (world := catalogue.world) is not None:
        folder = Path(world.path)
        if not folder.exists():
            make_folder(folder.parent, _WHAT)
        with told(world.path, _WHAT):
            import_module(_GENERATOR).generate(
                folder, seed=world.seed, films=world.films, tracks=world.tracks, listeners=world.listeners
            )


@contextmanager
def standing_in(catalogue: Catalogue) -> Generator[None]:
    """Serve the catalogue's world to its live sources while a build runs, unless a sandbox is running already."""
    if catalogue.world is None or not any(s.is_live for s in catalogue.sources.values()) or SANDBOX in os.environ:
        yield
        return
    with import_module(_STAND_IN).running(Path(catalogue.world.path)) as settings, _set(SANDBOX, json.dumps(settings)):
        yield


@contextmanager
def with_keys(catalogue: Catalogue, stored: Callable[[str], SecretStr | None]) -> Generator[list[str]]:
    """Let the live sources find the keys that the environment lacks, in this process and in its workers.

    Args:
        catalogue: Its sources say which keys they take.
        stored: Looks a key up by the name under which a deployment stores it (`lastfm-api-key`).

    Yields:
        The variables that neither has.
    """
    asked = {s.connector for s in catalogue.sources.values() if s.is_live} - stood_in_for().keys()
    names = () if replaying() else (name for connector in sorted(asked) for name in LIVE[connector].keys)
    missing = dict.fromkeys(name for name in names if not os.environ.get(name))
    with ExitStack() as found:
        for name in missing:
            if secret := stored(stored_as(name)):
                found.enter_context(_set(name, secret.get_secret_value()))
        yield [name for name in missing if not os.environ.get(name)]


def stored_as(variable: str) -> str:
    """Under which name a deployment stores what else stands in that variable: `lastfm-api-key`."""
    return variable.lower().replace("_", "-")


@contextmanager
def asking_nobody() -> Generator[None]:
    """Let no live source be asked: what lies in `raw` is all there is."""
    with _set(REPLAY, "1"):
        yield


@contextmanager
def _set(name: str, value: str) -> Generator[None]:
    """An environment variable, for the workers that start meanwhile too."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
