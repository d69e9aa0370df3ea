"""`mediateca new connector`: what it writes passes as it is, in a copy of the tree and as a plug-in."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import deployments.skeleton
from connectors import registry
from deployments.cli import app
from deployments.skeleton import with_line, write_connector

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("connectors", "storage", "deployments", "tests/conftest.py", "tests/connectors")
LONG = "a_source_with_the_longest_name"  # 30 characters


def python(folder: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Python in that folder, whose packages come before those that are installed."""
    said = {**os.environ, "PYTHONPATH": str(folder), **env}
    done = subprocess.run([sys.executable, *args], cwd=folder, env=said, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree, as far as connectors need it, with a new live source and a new source of files."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "tests").mkdir()
    skipped = shutil.ignore_patterns("__pycache__", "test_*.py", "sandbox")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=skipped)
        else:
            shutil.copy(ROOT / name, folder / name)
    (folder / "deployments" / "sandbox").mkdir()
    for name in ("pyproject.toml", "tests/connectors/test_contract.py", "tests/connectors/test_live_contract.py"):
        shutil.copy(ROOT / name, folder / name)
    made = "from deployments.skeleton import write_connector as w; w('zebra', 'live'); " + f"w('{LONG}', 'bulk')"
    python(folder, "-c", made)
    return folder


def test_what_is_written_passes_its_own_test_and_the_shared_contract(tree: Path) -> None:
    tests = [f"tests/connectors/{name}.py" for name in ("test_zebra", f"test_{LONG}")]
    contract = ["tests/connectors/test_contract.py", "tests/connectors/test_live_contract.py"]
    chosen = f"zebra or {LONG} or every_connector"  # the contract takes them from the registry
    done = python(tree, "-m", "pytest", "-p", "no:xdist", *tests, *contract, "-k", chosen)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) > 30, done.stdout
    assert "skipped" not in done.stdout


def test_what_is_written_is_linted_formatted_and_typed(tree: Path) -> None:
    code = [str(tree / "connectors" / f"{name}.py") for name in ("zebra", LONG, "registry")]
    tests = [str(tree / "tests" / "connectors" / f"test_{name}.py") for name in ("zebra", LONG)]
    python(tree, "-m", "ruff", "check", "--no-cache", *code, *tests)
    python(tree, "-m", "ruff", "format", "--no-cache", "--check", *code, *tests)
    python(tree, "-m", "pyright", "--project", str(tree), "--pythonpath", sys.executable, *code)


def test_a_plug_in_is_known_while_the_variable_names_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    said = CliRunner().invoke(app, ["new", "connector", "zebra", "--into", str(folder)])
    assert said.exit_code == 0, said.output
    assert f"export MEDIATECA_PLUGINS={folder}" in said.output
    assert sorted(path.name for path in folder.rglob("*.*")) == [
        "registry.json",
        "test_zebra.py",
        "tracks.json",
        "zebra.py",
    ]
    done = python(
        tmp_path, "-m", "pytest", "-p", "no:xdist", str(folder), PYTHONPATH=str(ROOT), MEDIATECA_PLUGINS=str(folder)
    )
    assert "5 passed" in done.stdout or done.stdout.startswith("....."), done.stdout
    assert not (tmp_path / ".mediateca").exists()
    (live,) = registry.plugins(str(folder)).values()
    assert (live.made_by, live.details, live.keys) == ("connectors.zebra:connect", ("track",), ("ZEBRA_API_KEY",))
    with pytest.raises(ValueError, match="has one already"):
        write_connector("zebra", "live", into=folder)
    write_connector("okapi", "live", into=folder)
    assert list(registry.plugins(str(folder))) == ["zebra", "okapi"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("My-Source", "'My-Source' cannot be a name; expected small letters"),
        ("class", "no word of Python"),
        ("9lives", "cannot be a name"),
        ("a" * 31, "at most 30 characters"),
        ("../x", "cannot be a name"),
        ("", "cannot be a name"),
        ("spotify", "there is a connector 'spotify' already"),
        ("movielens", "there is a connector 'movielens' already"),
        ("http", "connectors/http.py is a file of mediateca"),
    ],
)
def test_a_name_that_is_none_or_is_taken_is_refused(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        write_connector(name, "live", into=tmp_path / "plug-ins")
    assert not (tmp_path / "plug-ins").exists()


def test_what_is_in_the_way_is_kept_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "zebra.py").write_text("mine")
    with pytest.raises(ValueError, match=r"zebra\.py exists; remove it"):
        write_connector("zebra", "live", into=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["zebra.py"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        write_connector("zebra", "live", into=tmp_path / "file" / "below")


def test_without_a_tree_files_go_where_the_variable_says_and_a_bulk_source_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments.skeleton, "ROOT", tmp_path / "site-packages")
    monkeypatch.setenv("MEDIATECA_PLUGINS", str(tmp_path / "mine"))
    assert write_connector("zebra", "live").connector == tmp_path / "mine" / "zebra.py"
    with pytest.raises(ValueError, match="written into a checkout of mediateca"):
        write_connector("okapi", "bulk")


def test_a_line_goes_in_its_table_in_alphabetical_order() -> None:
    text = 'A: dict[str, str] = {\n    "b": "1",\n    "d": "1",\n}\nB: dict[str, str] = {\n}\n'
    assert with_line(text, "A", "c", '    "c": "2",\n').splitlines()[1:4] == [
        '    "b": "1",',
        '    "c": "2",',
        '    "d": "1",',
    ]
    assert with_line(text, "A", "e", "E\n").splitlines()[3] == "E"
    assert with_line(text, "B", "a", "A\n").splitlines()[5] == "A"
    with pytest.raises(ValueError, match="no table `C`"):
        with_line(text, "C", "a", "A\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "expected {name"),
        ('{"zebra": {"made_by": "x:y", "find": "track"}}', "unexpected keyword argument 'find'"),
        ('{"spotify": {"made_by": "x:y"}}', "mediateca has a connector 'spotify' itself"),
    ],
)
def test_a_registry_of_plug_ins_that_cannot_be_used_says_what_to_mend(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        registry.plugins(str(tmp_path))


def test_scripts_read_json_and_the_help_teaches(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["new", "connector", "zebra", "--into", str(tmp_path), "--json"])
    found = json.loads(said.stdout)
    assert all(Path(path).is_file() for path in (found["connector"], found["registry"], *found["tests"]))
    told = CliRunner().invoke(app, ["new", "connector", "--help"], env={"COLUMNS": "200"}).stdout
    assert "mediateca new connector" in told
    assert "docs/connectors.md" in told
