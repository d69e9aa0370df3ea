"""The tree keeps its shape: packages are ours, entrypoints load, flows read as a table of contents."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("flows", "tasks", "connectors", "featurizers", "training", "storage", "expectations", "deployments")


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_is_the_one_in_this_checkout(name: str) -> None:
    found = importlib.import_module(name).__file__
    assert found is not None
    assert Path(found).resolve().parent == ROOT / name


def test_every_package_is_in_the_distribution() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert tuple(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == PACKAGES


def entrypoints() -> list[str]:
    deployments = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    return sorted({d["entrypoint"] for d in deployments})


@pytest.mark.parametrize("entrypoint", entrypoints())
def test_entrypoints_of_prefect_yaml_load_as_a_worker_loads_them(entrypoint: str) -> None:
    code = (
        "from prefect.flows import load_flow_from_entrypoint as load\n"
        f"print('flow:', load({entrypoint!r}, use_placeholder_flow=False).name)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout.startswith("flow:"), ran.stderr


def test_no_flow_file_is_named_like_a_package_or_a_dependency() -> None:
    # Prefect puts the folder of a flow first on sys.path: a file of that name would be imported in its place.
    installed = {name.split(".")[0] for name in sys.stdlib_module_names} | set(PACKAGES)
    for path in (ROOT / "flows").glob("[!_]*.py"):
        assert path.stem not in installed
        assert importlib.util.find_spec(path.stem) is None or "flows" in str(importlib.util.find_spec(path.stem))


def test_flows_are_short() -> None:
    for path in (ROOT / "flows").glob("[!_]*.py"):
        tree = ast.parse(path.read_text())
        for node in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            assert body[-1].end_lineno is not None
            assert body[-1].end_lineno - body[0].lineno < 25, path.name


def test_the_flow_runs_the_steps_that_a_plan_shows_in_the_same_order() -> None:
    from tasks.plan import STEPS

    tree = ast.parse((ROOT / "flows" / "build_features.py").read_text())
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "run"]
    ran = [arg.id for call in calls for arg in call.args[1:] if isinstance(arg, ast.Name)]
    assert ran == [step.__name__ for step in STEPS]


def test_the_lock_holds_no_local_path() -> None:
    lock = (ROOT / "uv.lock").read_text()
    assert "file:" not in lock
    assert "+cpu" not in lock
    assert 'path = "/' not in lock
