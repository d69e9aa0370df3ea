"""What `mediateca doctor` asks a Prefect server that the environment names."""

import os
import re
from collections.abc import Collection
from typing import Any

from tasks.prepare import stored_as


def server_check() -> dict[str, Any]:
    """Whether builds have a server: the environment's must answer, a local one starts by itself."""
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return _row("ok", "none set: `mediateca build` starts a local one while it runs", "")
    from prefect.client.orchestration import get_client

    shown = re.sub("//[^/]*@", "//", url)  # it may hold a password
    with get_client(sync_client=True) as client:
        wrong = client.api_healthcheck()
    if wrong is None:
        return _row("ok", f"{shown} answers", "")
    hint = "start that server or correct PREFECT_API_URL; without it builds start a local server of their own"
    return _row("fail", f"{shown} does not answer ({type(wrong).__name__})", hint)


def stored_keys(variables: Collection[str]) -> set[str]:
    """Those of the variables whose value lies in a Secret block of the environment's server; none is read."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    found: set[str] = set()
    with get_client(sync_client=True) as client:
        for variable in variables:
            try:
                client.read_block_document_by_name(stored_as(variable), "secret", include_secrets=False)
            except ObjectNotFound:
                continue
            found.add(variable)
    return found


def _row(state: str, found: str, hint: str) -> dict[str, Any]:
    return {"check": "prefect server", "state": state, "found": found, "hint": hint}
