"""docs/connectors.md shows the code of the tree, all of it, and that code is as short as it says."""

import ast
import re
from pathlib import Path
from textwrap import indent

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"<!-- from (\S+) -->\n```python\n(.*?)```\n", PAGE, re.DOTALL)
SOURCE = ROOT / "connectors" / "musicbrainz.py"


@pytest.mark.parametrize(("file", "code"), SHOWN)
def test_a_block_of_code_is_the_files_own(file: str, code: str) -> None:
    whole, shown = without_blanks((ROOT / file).read_text(encoding="utf-8")), without_blanks(code)
    assert shown in whole or indent(shown, "    ") in whole


def without_blanks(text: str) -> str:
    """In Markdown the formatter moves methods to the left, and puts two blank lines between them."""
    return "".join(line for line in text.splitlines(keepends=True) if line.strip())


def test_every_block_names_its_file_and_every_function_is_shown() -> None:
    assert len(SHOWN) == PAGE.count("```python") > 8
    told = "".join(code for file, code in SHOWN if file == "connectors/musicbrainz.py")
    defined = re.findall(r"^ *((?:def|class) \w+)", SOURCE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [line for line in defined if line not in told] == []


def code_lines(text: str) -> int:
    """Lines that are neither blank nor of a docstring; comments and imports count."""
    documented: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            documented |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return sum(1 for number, line in enumerate(text.splitlines(), 1) if line.strip() and number not in documented)


def test_the_sixth_source_is_at_most_80_lines() -> None:
    assert code_lines('"""x"""\na = 1\n\n# c\ndef f():\n    """d\n\n    e"""\n') == 3
    assert 40 < code_lines(SOURCE.read_text(encoding="utf-8")) <= 80
