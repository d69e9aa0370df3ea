"""What a promotion from the command line leads to: a Prefect server is told, or a line says what to run next."""

import os
import re
import shlex
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from deployments.cli_common import tell

if TYPE_CHECKING:
    from storage.models import Model
    from storage.store import Store
    from tasks.settings import Catalogue


@contextmanager
def promoting(catalogue: str, chosen: "Catalogue", store: "Store", *, quiet: bool = False) -> Generator[None]:
    """Whatever is promoted inside is told to the server that PREFECT_API_URL names, also where a later recipe fails.

    Of what no server was told, and no index serves, the last line says how it is published.
    """
    from storage.models import champions
    from tasks.publish_champion import newly_served, unpublished

    before = champions(store)
    try:
        yield
    finally:
        new = newly_served(store, before)
        told = bool(new and os.environ.get("PREFECT_API_URL")) and _told(chosen, store, new)
        for model in unpublished(store):
            if not told or model not in new:
                of = f" --of {shlex.quote(model.slot)}" if len(champions(store)) > 1 else ""
                command = f"mediateca index publish {shlex.quote(catalogue)}{of}"
                typer.echo(f"next: {command}   # serves {model.model_id} from an index", err=quiet)


def _told(chosen: "Catalogue", store: "Store", new: Sequence["Model"]) -> bool:
    """Whether the server has taken the event of each model, which publish-index/champion waits for."""
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.events import Event

    from tasks.run_training import promotion

    url = re.sub("//[^/]*@", "//", os.environ["PREFECT_API_URL"])  # it may hold a password
    events = [Event.model_validate(promotion(chosen, store, model)).model_dump(mode="json") for model in new]
    try:
        # Asked and answered; `emit_event` has a thread, which would lose it without a word where nobody answers.
        with get_client(sync_client=True) as client:
            client.request("POST", "/events", json=events)
    except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as exc:
        tell(f"note: the Prefect API at {url} could not be told of the promotion ({type(exc).__name__})")
        return False
    tell(f"told {url} of the promotion: publish-index/champion follows where it is deployed")
    return True
