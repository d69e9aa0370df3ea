"""The files of a new connector: into the tree, or into a folder of plug-ins where there is no tree to write into."""

import json
import keyword
import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Literal

from connectors import PLUGINS
from connectors.registry import CONNECTORS, LIVE, REGISTRY_FILE, plugins

ROOT = Path(__file__).resolve().parents[1]
Kind = Literal["live", "bulk"]

_SKELETONS = Path(__file__).with_name("skeletons")
_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_LONGEST = 30  # characters; the skeletons' lines have room for no more
_TABLES: dict[Kind, str] = {"live": "LIVE", "bulk": "CONNECTORS"}
_BESIDE: dict[Kind, dict[str, str]] = {  # skeleton -> where it goes among the tests
    "live": {"live_test.py.txt": "test_{}.py", "live_cassette.json": "cassettes/{}/tracks.json"},
    "bulk": {"bulk_test.py.txt": "test_{}.py", "bulk_sample.csv": "samples/{}/tracks.csv"},
}


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written for a new connector, and where."""

    folder: Path  # of the tree, or of the plug-ins
    in_tree: bool
    connector: Path
    registry: Path  # a line of it is new
    tests: tuple[Path, ...]  # the test, then what it reads


def write_connector(name: str, kind: Kind, *, into: Path | None = None) -> Written:
    """Write connector, registry line and test; nothing is written where anything is in the way.

    Args:
        name: The connector's name in catalogues.
        kind: `live` is asked over the network, `bulk` reads files.
        into: A folder of plug-ins; None: the tree that mediateca runs from, else the plug-ins of the environment, else
            `mediateca-plugins` here.

    Raises:
        ValueError: The name cannot be one or is taken, a file is there already, or the place cannot be written.
    """
    check_name(name)
    in_tree = into is None and is_tree(ROOT)
    folder = ROOT if in_tree else (into or Path(os.environ.get(PLUGINS) or "mediateca-plugins")).expanduser().resolve()
    if kind == "bulk" and not in_tree:
        raise ValueError(
            f"new connector {name}: what files say of items is read in tasks/entities.py, so a source of files is "
            "written into a checkout of mediateca; run this there, or write a live one"
        )
    texts = _texts(name, kind, folder / "connectors" if in_tree else folder, folder / "tests", in_tree=in_tree)
    registry = folder / "connectors" / "registry.py" if in_tree else folder / REGISTRY_FILE
    texts[registry] = _registered(name, kind, registry, in_tree=in_tree)
    _write(name, texts, registry)
    connector, *tests = (path for path in texts if path != registry)
    return Written(folder=folder, in_tree=in_tree, connector=connector, registry=registry, tests=tuple(tests))


def is_tree(root: Path) -> bool:
    """Whether that is a checkout of mediateca, not the place of an installed package."""
    return (root / "pyproject.toml").is_file() and (root / "tests" / "connectors").is_dir()


def check_name(name: str) -> None:
    """Nothing, if a connector may have that name.

    Raises:
        ValueError: It is no name of a module, is too long, or is taken by a connector or a module of ours.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > _LONGEST:
        raise ValueError(
            f"new connector: '{name}' cannot be a name; expected small letters, digits and single underscores, a "
            f"letter first, no word of Python, at most {_LONGEST} characters, such as 'my_source'"
        )
    if name in CONNECTORS or name in LIVE:
        raise ValueError(f"new connector: there is a connector '{name}' already; choose another name")
    if find_spec(f"connectors.{name}"):
        raise ValueError(f"new connector: connectors/{name}.py is a file of mediateca; choose another name")


def with_line(text: str, table: str, name: str, line: str) -> str:
    """The registry's source with a line for the name in that table, in alphabetical order.

    Raises:
        ValueError: There is no such table in it.
    """
    lines = text.splitlines(keepends=True)
    start = next((at for at, found in enumerate(lines) if found.startswith(f"{table}: dict[")), None)
    end = lines.index("}\n", start) if start is not None and "}\n" in lines[start:] else None
    if start is None or end is None:
        raise ValueError(
            f"new connector {name}: connectors/registry.py has no table `{table}` that ends in a line `}}`"
        )
    names = ((at, re.match(r'    "(\w+)":', lines[at])) for at in range(start + 1, end))
    at = next((at for at, found in names if found and found[1] > name), end)
    return "".join([*lines[:at], line, *lines[at:]])


def _texts(name: str, kind: Kind, code: Path, tests: Path, *, in_tree: bool) -> dict[Path, str]:
    """Content by path: the connector, its test, and what the test reads."""
    tests = tests / "connectors" if in_tree else tests
    found = {code / f"{name}.py": _filled(f"{kind}.py.txt", name)}
    return found | {tests / place.format(name): _filled(text, name) for text, place in _BESIDE[kind].items()}


def _registered(name: str, kind: Kind, registry: Path, *, in_tree: bool) -> str:
    """The registry's new content."""
    if in_tree:
        line = _filled(f"{kind}_registry.txt", name)
        return with_line(registry.read_text(encoding="utf-8"), _TABLES[kind], name, line)
    if name in plugins(str(registry.parent)):
        raise ValueError(f"new connector {name}: {registry} has one already; choose another name")
    known = json.loads(registry.read_text(encoding="utf-8")) if registry.exists() else {}
    live = {"made_by": f"connectors.{name}:connect", "details": ["track"], "described_by": "track"}
    return json.dumps({**known, name: live | {"keys": [key_of(name)]}}, indent=2, ensure_ascii=False) + "\n"


def _filled(skeleton: str, name: str) -> str:
    text = (_SKELETONS / skeleton).read_text(encoding="utf-8")
    named = "".join(word.capitalize() for word in name.split("_"))
    return Template(text).substitute(name=name, Class=named, KEY=key_of(name))


def key_of(name: str) -> str:
    """The environment variable that holds the key of a new live source."""
    return f"{name.upper()}_API_KEY"


def _write(name: str, texts: dict[Path, str], registry: Path) -> None:
    """The registry last: what it names is then there."""
    if taken := [path for path in texts if path != registry and path.exists()]:
        raise ValueError(f"new connector {name}: {taken[0]} exists; remove it or choose another name")
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as exc:
        why = exc.strerror or type(exc).__name__
        raise ValueError(
            f"new connector {name}: {registry.parent} cannot be written ({why}); give another folder by --into"
        ) from exc
