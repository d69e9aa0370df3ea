"""Shapes of JSON and XML: which fields there are at which place, and of which types."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

TYPES = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
}


@dataclass
class Shape:
    """All that was seen of one kind of answer."""

    types: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    seen: Counter[str] = field(default_factory=Counter[str])  # how often each place had a value
    objects: Counter[str] = field(default_factory=Counter[str])  # how often each object was seen

    def add(self, value: Any, place: str = "") -> None:
        """One more answer."""
        self.types.setdefault(place, set()).add(TYPES[type(value)])
        self.seen[place] += 1
        if isinstance(value, dict):
            self.objects[place] += 1
            for key, inner in value.items():
                self.add(inner, f"{place}.{key}" if place else key)
        elif isinstance(value, list):
            for inner in value:
                self.add(inner, f"{place}[]")

    def always(self, place: str) -> bool:
        """Whether every object that could have the field had it."""
        parent = place.rpartition(".")[0]
        return self.seen[place] == self.objects[parent]


def shape_of(values: Iterable[Any]) -> Shape:
    """The shape of some answers of one kind."""
    shape = Shape()
    for value in values:
        shape.add(value)
    return shape


def differences(ours: Shape, real: Shape) -> dict[str, str]:
    """Place to what is different there: `extra`, `missing`, or types that the real answers never had.

    A field that some real answers leave out may be left out; nothing is said of what real answers only show empty.
    """
    found: dict[str, str] = {}
    for place, types in sorted(ours.types.items()):
        if place not in real.types:
            if _known(place, real):
                found[place] = "extra"
        elif real.types[place] != {"null"} and types - real.types[place]:
            found[place] = f"{'|'.join(sorted(types))}, not {'|'.join(sorted(real.types[place]))}"
    for place in sorted(real.types):
        if place not in ours.types and place and real.always(place) and _known(place, ours):
            found[place] = "missing"
    return found


def _known(place: str, other: Shape) -> bool:
    """Whether the other side has the object that would hold the field, so that its absence means something."""
    if place.endswith("[]"):
        return False  # the list itself is there, and empty
    parent = place.rpartition(".")[0]
    return parent in other.objects or not parent


def unexplained(ours: Iterable[Any], real: Iterable[Any], reasons: Mapping[str, str]) -> dict[str, str]:
    """Differences without a reason; and reasons without a difference, which are out of date."""
    found = differences(shape_of(ours), shape_of(real))
    stale = {place: f"no longer different: {why}" for place, why in reasons.items() if place not in found}
    return {place: what for place, what in found.items() if place not in reasons} | stale


def of_xml(element: Element) -> Any:
    """An element as JSON: attributes with `@`, children in lists, text; empty elements are empty text."""
    said: dict[str, Any] = {f"@{name}": value for name, value in element.attrib.items()}
    for child in element:
        said.setdefault(child.tag, []).append(of_xml(child))
    if not said:
        return element.text or ""
    if len(element) == 0:
        said["#text"] = element.text or ""
    return said
