"""How an answer differs from what we know of its source: fields that are new, and fields that are gone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import AliasChoices, AliasPath, BaseModel, ValidationError
from pydantic.fields import FieldInfo


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Dotted paths, sorted, each once; `[]` stands for any element of a list: `tracks.items[].isrc`."""

    unknown: tuple[str, ...] = ()  # in the answer, not in the model
    missing: tuple[str, ...] = ()  # required by the model: absent, null, or of another type

    def __bool__(self) -> bool:
        return bool(self.unknown or self.missing)

    def lacks(self, path: str) -> bool:
        """Whether that field, or one that holds it, is missing: what needs it cannot be done."""
        return any(path == gone or path.startswith((f"{gone}.", f"{gone}[")) for gone in self.missing)


def drift_of(model: type[BaseModel], payload: Any) -> Drift:
    """Compare an answer with the model of it; the answer is not changed, and nothing is raised.

    Args:
        model: With `extra="allow"`; a field without default is one that we need.
        payload: Parsed JSON.
    """
    missing: set[str] = set()
    try:
        model.model_validate(payload)
    except ValidationError as exc:
        missing = {_path(error["loc"], payload) for error in exc.errors(include_url=False, include_input=False)}
    return Drift(unknown=tuple(sorted(set(_unknown(model, payload, "")))), missing=tuple(sorted(missing)))


def _path(loc: tuple[int | str, ...], payload: Any) -> str:
    """An error's place as a path; the names of a union's branches, which pydantic puts between, are left out."""
    path, here = "", payload
    for i, step in enumerate(loc):
        if isinstance(step, int):
            path += "[]"
            here = here[step] if isinstance(here, list) and step < len(here) else None
        elif isinstance(here, Mapping) and (step in here or i == len(loc) - 1):
            path += f".{step}" if path else step
            here = here.get(step)
    return path or "."


def _unknown(model: type[BaseModel], payload: Any, at: str) -> Iterator[str]:
    if not isinstance(payload, Mapping):
        return
    fields = {name: field for key, field in model.model_fields.items() for name in _names(key, field)}
    for name, value in payload.items():
        path = f"{at}.{name}" if at else str(name)
        if name not in fields:
            yield path
        else:
            yield from _within(fields[name].annotation, value, path)


def _names(key: str, field: FieldInfo) -> set[str]:
    """What a field may be called in an answer."""
    alias = field.validation_alias or field.alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias] if alias else []
    return {key, *(str(c.path[0]) if isinstance(c, AliasPath) else c for c in choices)}


def _within(annotation: Any, value: Any, path: str) -> Iterator[str]:
    models = list(_models(annotation))
    if isinstance(value, list):
        for element in value:
            yield from _within(annotation, element, f"{path}[]")
    elif isinstance(value, Mapping) and models:
        # Of a union's branches, the one that knows most of it.
        yield from min((list(_unknown(model, value, path)) for model in models), key=len)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
