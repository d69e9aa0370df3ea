"""The catalogue: a YAML file that says what to build, from which sources, and where the store is."""

import difflib
import os
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storage.hashing import digest_of

SHIPPED = Path(__file__).resolve().parents[1] / "deployments" / "catalogues"
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")


class CatalogueError(ValueError):
    """A catalogue cannot be used as it is written; the message says where and what to write instead."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSettings(_Strict):
    """One source of a catalogue."""

    connector: str  # a name of `connectors.registry`
    path: str  # file or folder
    items: bool = True  # False: only adds to items that other sources define
    fields: tuple[str, ...] | None = None  # what it may say of an item; None is everything
    options: dict[str, str] = Field(default_factory=dict)  # the connector's own


class MinilmSettings(_Strict):
    """all-MiniLM-L6-v2 over the composed documents."""

    batch: int = Field(default=64, ge=1)  # texts per forward pass
    max_tokens: int = Field(default=512, ge=8, le=512)  # word pieces read of each document


class TabularSettings(_Strict):
    """Standardised numbers and one-hot genres."""

    numeric: tuple[str, ...] = Field(min_length=1)  # `year`, `duration_ms` or names in `items.attributes`
    genres: bool = True


class FeaturizerSettings(_Strict):
    """Which features are built, by name; leaving one out leaves it out of the store."""

    minilm: MinilmSettings | None = None
    tabular: TabularSettings | None = None


class WorldSettings(_Strict):
    """A generated world that stands in for outside data."""

    path: str
    films: int = Field(default=300, ge=1)
    tracks: int = Field(default=400, ge=1)
    listeners: int = Field(default=60, ge=1)
    seed: int = 7


class Catalogue(_Strict):
    """What to build. `${NAME}` in a value is taken from the environment."""

    catalogue: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    about: str = ""
    store: str | None = None  # a folder or s3://bucket/prefix; default: MEDIATECA_HOME/<catalogue>
    world: WorldSettings | None = None
    sources: dict[str, SourceSettings]
    separate: tuple[str, ...] = ()  # "source:id" of entities that must stay items of their own
    featurizers: FeaturizerSettings = FeaturizerSettings()
    chunk_keys: int | None = Field(default=None, ge=1)  # at most so many keys per commit; default: the stage's own
    keep_releases: int = Field(default=10, ge=1)  # `maintain-store` lets older ones go

    @property
    def store_url(self) -> str:
        """Where the store lies."""
        return self.store or str(home() / self.catalogue)

    @property
    def digest(self) -> str:
        """Short digest of everything above."""
        return digest_of(self.model_dump(mode="json"))


def home() -> Path:
    """The folder of stores and of the local server: MEDIATECA_HOME, or ./.mediateca."""
    return Path(os.environ.get("MEDIATECA_HOME") or ".mediateca").expanduser().resolve()


def load_catalogue(name_or_path: str) -> Catalogue:
    """The catalogue of that name (as shipped) or in that YAML file.

    Raises:
        CatalogueError: There is none, a variable is not set, or a key or value is wrong; names file, line and fix.
    """
    path = _find(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
        node, values = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise CatalogueError(f"{path.name}: not a YAML file that can be read: {exc}") from exc
    if not isinstance(values, dict):
        raise CatalogueError(
            f"{path.name}: expected keys such as `catalogue:` and `sources:`, found {type(values).__name__}"
        )
    try:
        return Catalogue.model_validate(_resolved(values, path.name))
    except ValidationError as exc:
        raise CatalogueError("\n".join(_explain(error, path.name, node) for error in exc.errors())) from exc


def shipped() -> list[str]:
    """Names of the catalogues that come with mediateca."""
    return sorted(p.stem for p in SHIPPED.glob("*.yaml"))


def _find(name_or_path: str) -> Path:
    if name_or_path in shipped():
        return SHIPPED / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    near = difflib.get_close_matches(name_or_path, shipped(), n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise CatalogueError(
        f"no catalogue '{name_or_path}': {hint}shipped: {', '.join(shipped())}; or give the path of a YAML file "
        "(`mediateca init my.yaml` writes one)"
    )


def _resolved(value: Any, file: str) -> Any:
    """The values with `${NAME}` replaced; a missing variable is an error, never an empty path."""
    if isinstance(value, dict):
        return {k: _resolved(v, file) for k, v in value.items()}
    if isinstance(value, list):
        return [_resolved(v, file) for v in value]
    return _VARIABLE.sub(lambda m: _variable(m[1], file), value) if isinstance(value, str) else value


def _variable(name: str, file: str) -> str:
    if name == "MEDIATECA_HOME":
        return str(home())
    if not (found := os.environ.get(name)):
        raise CatalogueError(f"{file}: ${{{name}}} is not set; export {name}=/where/the/files/are")
    return found


def _explain(error: Any, file: str, root: yaml.Node | None) -> str:
    where = [str(part) for part in error["loc"]]
    place = f"{file}, line {_line(root, where)}"
    if error["type"] == "extra_forbidden":
        allowed = _allowed(where[:-1])
        near = difflib.get_close_matches(where[-1], allowed, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        return f"{place}: unknown key '{where[-1]}'; {hint}allowed here: {', '.join(sorted(allowed))}"
    if error["type"] == "missing":
        return f"{place}: '{'.'.join(where[:-1]) or 'the catalogue'}' needs the key '{where[-1]}'"
    return f"{place}: '{'.'.join(where)}': {error['msg']}, found {error['input']!r}"


def _allowed(path: list[str]) -> list[str]:
    """The keys that the model at `path` knows."""
    model: Any = Catalogue
    for part in path:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
    return list(model.model_fields)


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inside = (_model_in(arg) for arg in getattr(annotation, "__args__", ()))
    return next((model for model in inside if model), None)


def _line(node: yaml.Node | None, where: list[str]) -> int:
    """1-based line of the key at `where`, or of the nearest one above it that is there."""
    line = 1
    for part in where:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((k, v) for k, v in pairs if k.value == part), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line
