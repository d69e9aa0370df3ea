"""`mediateca sandbox`: worlds are made, served and stopped from the command line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import requests
from typer.testing import CliRunner

from deployments.cli import app

RUN = CliRunner()


def test_a_world_is_made_once_and_says_its_size(tmp_path: Path) -> None:
    said = RUN.invoke(app, ["sandbox", "world", str(tmp_path / "w"), "--tracks", "40", "--films", "20", "--users", "3"])
    again = RUN.invoke(
        app, ["sandbox", "world", str(tmp_path / "w"), "--tracks", "40", "--films", "20", "--users", "3"]
    )
    first, second = json.loads(said.output), json.loads(again.output)
    assert (first["written"], second["written"]) == (True, False)
    assert (first["rows"]["truth_tracks"], first["rows"]["truth_films"], first["rows"]["fans"]) == (40, 20, 3)
    assert first["rows"] == second["rows"]


def test_it_serves_until_it_is_told_to_stop(small_world: Path, tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    asked = ["sandbox", "serve", "--world", str(small_world), "--faults", "development", "--log", str(log)]
    code = "from deployments.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *asked], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."}
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "}\n")
        said = json.loads("".join(lines) + "}")
        answered = requests.get(
            f"{said['SANDBOX_TMDB_API']}configuration", {"api_key": said["TMDB_API_KEY"]}, timeout=9
        )
        authority = Path(said["SANDBOX_CA_FILE"]).read_text(encoding="ascii")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert answered.status_code == 200
    assert "BEGIN CERTIFICATE" in authority
    assert not Path(said["SANDBOX_CA_FILE"]).exists()
    assert json.loads(log.read_text(encoding="utf-8"))["endpoint"] == "configuration"


def test_endpoints_can_be_read_by_a_shell(small_world: Path) -> None:
    from deployments.sandbox.serve import serve, told

    with serve(small_world) as sandbox:
        lines = told(sandbox, exports=True).splitlines()
        url = sandbox.url
    assert all(line.startswith("export ") and "=" in line for line in lines)
    assert f"export SANDBOX_SPOTIFY_API={url}/spotify/v1/" in lines


def test_a_folder_without_a_world_is_refused_with_what_to_do(tmp_path: Path) -> None:
    said = RUN.invoke(app, ["sandbox", "serve", "--world", str(tmp_path)])
    assert isinstance(said.exception, ValueError)
    assert "make one with `mediateca sandbox world`" in str(said.exception)
