"""Data Docs: Great Expectations' page per table and an index, as files that need nothing from the network.

`validation/latest/` holds the newest page of each table; a release keeps its own copy under `validation/<release>/`, a
build that was blocked under `validation/blocked/`. Pages hold numbers only: example rows stay in `validations`, where a
take-down finds them.
"""

import html
import re
from typing import Any

from expectations.gate import Found
from storage.store import Store

LATEST, BLOCKED = "latest", "blocked"
_STYLE = """<style>
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}
td,th{border-bottom:1px solid #ddd;padding:.35rem .6rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
.failed{color:#b00020;font-weight:600}.warned{color:#8a5a00;font-weight:600}.passed{color:#1b6e2f}
.collapse,.modal,nav .btn,button{display:none}.list-unstyled,ul{list-style:none;padding:0}
.fa-check-circle::before{content:"passed"}
.fa-times::before,.fa-exclamation-triangle::before{content:"failed";color:#b00020}.fas{font-style:normal}
.popover,.tooltip,.ge-tooltip-text,.tooltiptext{display:none}.row{display:block}a{color:#0b57d0}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}a{color:#8ab4f8}td,th{border-color:#444}}
</style>"""


def page(result: Any) -> bytes:
    """Great Expectations' page of one table's result, without what it would fetch: styles, scripts, pictures, calls."""
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    text: str = DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(result))
    text = re.sub(r"<script\b.*?</script>", "", text, flags=re.DOTALL)
    text = re.sub(r"<link\b[^>]*>", "", text)
    text = re.sub(r"<img\b[^>]*>", "", text, flags=re.DOTALL)
    text = re.sub(r"<footer\b.*?</footer>", "", text, flags=re.DOTALL)
    text = re.sub(r"background: url\('https?:[^;]*;", "", text)
    text = re.sub(r'href="(?:\.\./)+index\.html"', 'href="index.html"', text)
    text = re.sub(r'<a\s+href="(?!index\.html|#)[^"]*"[^>]*>(.*?)</a>', r"\1", text, flags=re.DOTALL)
    return text.replace("</head>", f"{_STYLE}</head>").encode()


def write_page(store: Store, table: str, content: bytes) -> None:
    """Keep a table's newest page."""
    store.objects.write(f"validation/{LATEST}/{_file(table)}", content)


def write_site(store: Store, name: str, found: list[Found]) -> str:
    """The newest pages and an index of these findings, under `validation/<name>/`; where its index lies."""
    tables = list(dict.fromkeys(f.table for f in found))
    for table in tables:
        if store.objects.exists(page := f"validation/{LATEST}/{_file(table)}"):
            store.objects.write(f"validation/{name}/{_file(table)}", store.objects.read(page))
    store.objects.write(f"validation/{name}/index.html", _index(name, found))
    return f"{store.url}/validation/{name}/index.html"


def drop_site(store: Store, name: str) -> int:
    """Delete a release's pages; how many files."""
    names = store.objects.names(f"validation/{name}")
    for file in names:
        store.objects.delete(file)
    return len(names)


def _file(table: str) -> str:
    return table.replace("/", "-") + ".html"


def _index(name: str, found: list[Found]) -> bytes:
    failed = sum(not f.success for f in found)
    title = f"Checks of {'a build that was blocked' if name == BLOCKED else name}"
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{_STYLE}</head><body>'
    parts = [head, f"<h1>{title}</h1><p>{len(found) - failed} passed, {failed} failed.</p>"]
    for table in dict.fromkeys(f.table for f in found):
        rows = "".join(_row(f) for f in found if f.table == table)
        parts.append(
            f'<h2><a href="{_file(table)}">{html.escape(table)}</a></h2><table><tr><th>check</th><th>result</th>'
            f"<th>observed</th><th>expected</th><th>fails where</th></tr>{rows}</table>"
        )
    return "".join([*parts, "</body></html>"]).encode()


def _row(found: Found) -> str:
    state = "passed" if found.success else "failed" if found.severity == "block" else "warned"
    cells = (found.check, state, found.saw, found.expected, found.about)
    inner = "".join(f'<td class="{state if i == 1 else ""}">{html.escape(cell)}</td>' for i, cell in enumerate(cells))
    return f"<tr>{inner}</tr>"
