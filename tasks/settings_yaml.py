"""A YAML file as settings: variables are filled in, and each error names its line and what may stand there."""

import os
import re
from pathlib import Path
from typing import Any, TypeVar, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from tasks.settings_base import nearest
from tasks.settings_encoders import NAME, EncoderSettings

Settings = TypeVar("Settings", bound=BaseModel)
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class SettingsError(ValueError):
    """A file of settings cannot be used as it is written; the message says where and what to write instead."""


def home() -> Path:
    """The folder of stores and of the local server: MEDIATECA_HOME, or ./.mediateca."""
    return Path(os.environ.get("MEDIATECA_HOME") or ".mediateca").expanduser().resolve()


def read_settings(path: Path, model: type[Settings], error: type[SettingsError]) -> tuple[Settings, yaml.Node | None]:
    """What the file says, and where each key of it stands.

    Raises:
        SettingsError: Of the type `error`: it is no YAML file, a variable is not set, or a key or value is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node, values = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise error(f"{path.name}: not a YAML file that can be read: {exc}") from exc
    if not isinstance(values, dict):
        found = "nothing" if values is None else type(values).__name__
        first = " and ".join(f"`{name}:`" for name, f in model.model_fields.items() if f.is_required())
        raise error(f"{path.name}: expected keys such as {first}, found {found}")
    try:
        _refuse_twice(node, path.name)
        return model.model_validate(_resolved(values, path.name, node, [])), node
    except ValidationError as exc:
        raise error("\n".join(_explain(e, path.name, node, model) for e in exc.errors())) from exc
    except SettingsError as exc:
        raise error(str(exc)) from exc


def _refuse_twice(node: yaml.Node | None, file: str, above: tuple[int, ...] = ()) -> None:
    """YAML would let the second of two equal keys win: a source would be lost without a word."""
    if id(node) in above:
        raise SettingsError(f"{file}, line {node.start_mark.line + 1 if node else 1}: an alias of what it stands in")
    above = (*above, id(node))
    if isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_twice(value, file, above)
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in lines:
                raise SettingsError(
                    f"{file}, line {line}: the key '{key.value}' stands in line {lines[key.value]} too; rename one"
                )
            lines[key.value] = line
            _refuse_twice(value, file, above)


def _resolved(value: Any, file: str, root: yaml.Node | None, where: list[str]) -> Any:
    """The values with `${NAME}` replaced; a missing variable is an error, never an empty path."""
    if isinstance(value, dict):
        return {k: _resolved(v, file, root, [*where, str(k)]) for k, v in value.items()}
    if isinstance(value, list):
        return [_resolved(v, file, root, where) for v in value]
    place = f"{file}, line {line_of(root, where)}"
    return _VARIABLE.sub(lambda m: _variable(m[1], place), value) if isinstance(value, str) else value


def _variable(name: str, place: str) -> str:
    if name == "MEDIATECA_HOME":
        return str(home())
    if not (found := os.environ.get(name)):
        raise SettingsError(f"{place}: ${{{name}}} is not set; export {name}=/where/the/files/are")
    return found


def _explain(error: Any, file: str, root: yaml.Node | None, model: type[BaseModel]) -> str:
    where = [str(part) for part in error["loc"]]
    place = f"{file}, line {line_of(root, where)}"
    if error["type"] == "extra_forbidden":
        allowed = _allowed(model, where[:-1])
        hint = nearest(where[-1], allowed)
        return f"{place}: unknown key '{where[-1]}'; {hint}allowed here: {', '.join(sorted(allowed))}"
    if error["type"] == "value_error":
        return f"{place}: {error['ctx']['error']}"
    if error["type"] == "missing":
        return f"{place}: '{'.'.join(where[:-1]) or f'the {model.__name__.lower()}'}' needs the key '{where[-1]}'"
    return f"{place}: '{'.'.join(where)}': {error['msg']}, found {error['input']!r}"


def _allowed(root: type[BaseModel], path: list[str]) -> list[str]:
    """The keys that the model at `path` knows."""
    model, steps = root, iter(path)
    for part in steps:
        field = model.model_fields.get(part)
        annotation = field.annotation if field else EncoderSettings  # under `featurizers:` any name may stand
        model = _model_in(annotation)
        if get_origin(annotation) is dict:
            next(steps, None)  # the key of an entry, such as a source's name
    return [name for name in model.model_fields if model is not EncoderSettings or name != NAME]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inside = (_model_in(arg) for arg in getattr(annotation, "__args__", ()))
    return next((model for model in inside if model), None)


def line_of(node: yaml.Node | None, where: list[str]) -> int:
    """1-based line of the key at `where`, or of the nearest one above it that is there."""
    line = 1
    for part in where:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((k, v) for k, v in pairs if k.value == part), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
