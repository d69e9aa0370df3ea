"""The sandbox over one world: its servers, and where each of them is reached."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployments.sandbox.faults import Faults
from deployments.sandbox.genius_service import GeniusService
from deployments.sandbox.lastfm_service import LastfmService
from deployments.sandbox.media_service import MediaService
from deployments.sandbox.protocol import Service
from deployments.sandbox.server import HOST, Sandbox
from deployments.sandbox.sounds import Sounds
from deployments.sandbox.spotify_service import SpotifyService
from deployments.sandbox.tables import FOLDER
from deployments.sandbox.tmdb_service import TmdbService
from deployments.sandbox.youtube_service import YoutubeService

_EXTRACTORS = "deployments.sandbox.youtube_extractor"
KEY = "sandbox"  # any key will do, but for those that say `invalid`


def make_services(world: Path) -> dict[str, Service]:
    """All services of a world, by name; they can be asked without HTTP too."""
    sounds = Sounds(world)
    services: list[Service] = [
        LastfmService(world),
        SpotifyService(world),
        GeniusService(world),
        TmdbService(world),
        YoutubeService(world, sounds),
        MediaService(world, sounds),
    ]
    return {service.name: service for service in services}


def serve(world: Path, faults: Faults | None = None, *, port: int = 0, log: Path | None = None) -> Sandbox:
    """Serve a world on the loopback address until `close`.

    Args:
        world: Folder that `deployments.sandbox.world.generate` or the importer wrote.
        faults: What goes wrong on purpose; None for nothing.
        port: Of HTTP, the next one is of HTTPS; 0 for any two that are free.
        log: File that gets a line of JSON for each request, without secrets.

    Raises:
        ValueError: The folder is no world, or a table of it is broken.
        OSError: The port is taken.
    """
    if not (world / FOLDER).is_dir():
        raise ValueError(
            f"sandbox: '{world}' is no world (no folder '{FOLDER}' inside); make one with `mediateca sandbox world`"
        )
    return Sandbox(make_services(world), faults or Faults(), port=port, log=log)


def endpoints(sandbox: Sandbox) -> dict[str, str]:
    """Where each service is reached, by the name of the environment variable that says so.

    pylast insists on TLS, so Last.fm's is the host and port alone, and its certificate is signed by `SANDBOX_CA_FILE`.
    """
    root = sandbox.url
    return {
        "SANDBOX_URL": root,
        "SANDBOX_CA_FILE": str(sandbox.ca_file),
        "SANDBOX_LASTFM_HOST": sandbox.secure_url.removeprefix("https://"),
        "SANDBOX_LASTFM_PATH": "/lastfm/2.0/",
        "SANDBOX_SPOTIFY_API": f"{root}/spotify/v1/",
        "SANDBOX_SPOTIFY_TOKEN": f"{root}/spotify/accounts/api/token",
        "SANDBOX_GENIUS_API": f"{root}/genius/api/",
        "SANDBOX_GENIUS_PUBLIC_API": f"{root}/genius/web/api/",
        "SANDBOX_GENIUS_WEB": f"{root}/genius/web/",
        "SANDBOX_TMDB_API": f"{root}/tmdb/3/",
        "SANDBOX_YOUTUBE": f"{root}/youtube/",
    }


def keys() -> dict[str, str]:
    """Keys that the sandbox takes, by the names that the connectors read; they are no secrets."""
    names = "LASTFM_API_KEY SPOTIFY_CLIENT_ID SPOTIFY_CLIENT_SECRET GENIUS_ACCESS_TOKEN TMDB_API_KEY".split()
    return dict.fromkeys(names, KEY)


def settings_of(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """Settings by which each connector asks that sandbox: endpoints, keys that are no secrets, and its quota."""
    root = sandbox.url

    def policy(service: str, **others: Any) -> Mapping[str, Any]:
        limits = sandbox.faults.of(service)
        said: dict[str, Any] = {"requests_per_second": limits.per_second, "hosts": [HOST], **others}
        if limits.per_day is not None:
            said |= {"requests_per_day": limits.per_day, "day_s": sandbox.faults.day_s}
        if limits.timeout:  # the client gives up first, as it does with a real source that hangs
            said["timeout_s"] = max(0.5, sandbox.faults.timeout_s * 2 / 3)
        return said

    youtube = {
        "endpoint": f"{root}/youtube/",
        "extractors": [f"{_EXTRACTORS}:{name}" for name in ("SandboxYoutubeSearchIE", "SandboxYoutubeIE")],
        "pause_s": 0.0,
        "policy": policy("youtube"),
    }
    return {
        "lastfm": {
            "endpoint": f"{sandbox.secure_url}/lastfm/2.0/",
            "api_key": KEY,
            "policy": policy("lastfm", ca_file=str(sandbox.ca_file)),
        },
        "spotify": {
            "endpoint": f"{root}/spotify/v1/",
            "token_url": f"{root}/spotify/accounts/api/token",
            "client_id": KEY,
            "client_secret": KEY,
            "policy": policy("spotify"),
        },
        "genius": {
            "api_root": f"{root}/genius/api/",
            "public_api_root": f"{root}/genius/web/api/",
            "web_root": f"{root}/genius/web/",
            "access_token": KEY,
            "policy": policy("genius"),
        },
        "tmdb": {"api_root": f"{root}/tmdb/3/", "api_key": KEY, "policy": policy("tmdb")},
        "trailers": youtube,
        "youtube": youtube,
    }


def told(sandbox: Sandbox, *, exports: bool) -> str:
    """Endpoints, keys and the connectors' settings as JSON, or as lines for a shell to read.

    A build that has `MEDIATECA_SANDBOX` in its environment asks this sandbox.
    """
    said = {**endpoints(sandbox), **keys(), "MEDIATECA_SANDBOX": json.dumps(settings_of(sandbox))}
    lines = (f"export {name}={shlex.quote(value)}" for name, value in said.items())
    return "\n".join(lines) if exports else json.dumps(said, indent=2)
