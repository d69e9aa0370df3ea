"""Files of the Hugging Face hub, at a commit: the one place that asks the network."""

import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from featurizers.base import NoWeights

_ANSWER_S = 2.5
_OTHERWISE = (
    "connect and run it again, copy the hub's cache of a machine that has them and point HF_HOME at it, "
    "or name a folder with them: `model: ./folder`"
)


def fetch(model: str, revision: str, patterns: Sequence[str]) -> Path:
    """Fetch what of a model's files fits the patterns into the hub's cache; their folder.

    Raises:
        NoWeights: The hub cannot be reached (or HF_HUB_OFFLINE is set) and they are not here, or it refuses.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    away = _out_of_reach()
    try:
        folder = snapshot_download(
            model, revision=revision, allow_patterns=list(patterns), local_files_only=away is not None
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as exc:
        said = f"{type(exc).__name__}: {exc}"[:400] if away is None else f"{away}; {_OTHERWISE}"
        raise NoWeights(f"{model} at {revision}: {said}") from exc
    return Path(folder)


def _out_of_reach() -> str | None:
    """Why the hub gives no answer; None where it gives one, be it an error of HTTP or TLS.

    Asked first, and once: the hub's library tries six times, over 24 s, before it says so.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=_ANSWER_S).close()
    except urllib.error.HTTPError:
        return None
    except OSError as exc:
        why = getattr(exc, "reason", exc)
        return None if isinstance(why, ssl.SSLError) else f"{constants.ENDPOINT} cannot be reached ({why})"
    return None
