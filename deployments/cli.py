"""The `mediateca` command. Nothing heavy is imported before it is needed: an answer should not wait for torch."""

from collections.abc import Generator
from contextlib import contextmanager

import typer

from deployments.cli_build import build, plan
from deployments.cli_common import BLOCKED, FAILED, USAGE, stop
from deployments.cli_data import export, neighbors, report, sql, takedown
from deployments.cli_index import index_app
from deployments.cli_links import links_app
from deployments.cli_models import models_app
from deployments.cli_new import new_app
from deployments.cli_release import release_app
from deployments.cli_sandbox import sandbox_app
from deployments.cli_start import doctor, init
from deployments.cli_status import status
from deployments.cli_train import evaluate, promote, recommend, train

_INTERRUPTED = "stopped; run the same command again: it goes on where it stopped"

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Build, version and release multimodal recommendation datasets.\n\n"
    "A catalogue (`demo`, `demo-files`, `films`, `music`, or your own YAML file) says what to build.\n\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partial (a quota was used up), 4 not fit to be released.",
)
# As `--help` shows them: in the order in which somebody new meets them.
COMMANDS = {
    "Build": (init, doctor, plan, build, status),
    "Look, and take away": (sql, neighbors, report, export, takedown),
    "Recommend": (train, evaluate, promote, recommend),
}
GROUPS = {
    "Look, and take away": {"release": release_app},
    "Recommend": {"index": index_app},
    "Extend": {"models": models_app, "new": new_app, "links": links_app, "sandbox": sandbox_app},
}
for _panel, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
for _panel, _groups in GROUPS.items():
    for _name, _group in _groups.items():
        app.add_typer(_group, name=_name, rich_help_panel=_panel)


def main() -> None:
    """Run the command line; errors that people can mend are one message, without a traceback."""
    with _mendable():
        app()


@contextmanager
def _mendable() -> Generator[None]:
    try:
        yield
    except KeyboardInterrupt:
        stop(_INTERRUPTED, 130)
    except SystemExit as end:  # Typer's for Ctrl-C: it keeps the KeyboardInterrupt to itself
        if end.code == 130:
            stop(_INTERRUPTED, 130)
        raise
    except Exception as exc:
        code = _code_of(exc)
        if code is None:
            raise
        stop(str(exc), code)


def _code_of(exc: Exception) -> int | None:
    """Exit code of an error whose message says all there is to say; None for the others."""
    # Names, not classes: importing every module that can fail would cost what the lazy imports save.
    names = {cls.__name__ for cls in type(exc).__mro__}
    if "ReleaseBlocked" in names:
        return BLOCKED
    if names & {"NoSuchRelease", "NoPlace"}:
        return USAGE
    if names & {"StoreError", "ConnectorError", "ServerError"}:
        return FAILED
    if (
        type(exc).__module__.startswith(("tasks.", "connectors.", "storage.", "deployments.", "featurizers."))
        or type(exc) is ValueError
    ):
        return USAGE
    return None


if __name__ == "__main__":
    main()
