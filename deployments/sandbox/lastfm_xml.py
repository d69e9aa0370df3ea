"""Last.fm's two formats: JSON, and the XML that says the same."""

from collections.abc import Mapping
from typing import Any, cast
from xml.sax.saxutils import escape, quoteattr


def xml(payload: Mapping[str, Any]) -> bytes:
    """An answer as XML.

    Last.fm makes its JSON of its XML: attributes are `@attr`, or stand beside the `#text` of an element with both.
    """
    body = "\n".join(_element(name, value) for name, value in payload.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<lfm status="ok">{body}</lfm>\n'.encode()


def xml_error(code: int, message: str) -> bytes:
    """An error as XML."""
    said = f'<error code="{code}">{escape(message)}</error>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<lfm status="failed">{said}</lfm>\n'.encode()


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(_element(name, inner) for inner in cast("list[Any]", value))
    if not isinstance(value, dict):
        return f"<{name}>{escape(_text(value))}</{name}>"
    fields = cast("dict[str, Any]", value)
    attributes: dict[str, Any] = dict(fields.get("@attr", {}))
    children = {key: inner for key, inner in fields.items() if key != "@attr"}
    if "#text" in fields:
        attributes |= {key: inner for key, inner in children.items() if key != "#text"}
        inside = escape(_text(fields["#text"]))
    else:
        inside = "\n".join(_element(key, inner) for key, inner in children.items())
    said = "".join(f" {key}={quoteattr(_text(inner))}" for key, inner in attributes.items())
    return f"<{name}{said}>{inside}</{name}>"


def _text(value: Any) -> str:
    return "" if value is None else str(value)
