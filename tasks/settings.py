"""The catalogue: a YAML file that says what to build, from which sources, and where the store is."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from connectors.registry import CONNECTORS
from expectations.checks import Check, Severity
from expectations.registry import TABLES, checks_of
from featurizers.weights import Weights
from storage.hashing import digest_of
from storage.schemas import table_of

SHIPPED = Path(__file__).resolve().parents[1] / "deployments" / "catalogues"
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_DESCRIBED = tuple(c for c in table_of("entities").names if c not in (*table_of("links").names, "ids", "match_key"))

SourceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]  # it names users: `source:id`


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

    @field_validator("connector")
    @classmethod
    def _is_known(cls, connector: str) -> str:
        _check_name("connector", connector, CONNECTORS)
        return connector

    @field_validator("fields")
    @classmethod
    def _are_known(cls, fields: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in fields or ():
            _check_name("field", name, _DESCRIBED)
        return fields


class MinilmSettings(_Strict):
    """all-MiniLM-L6-v2 over the composed documents."""

    batch: int = Field(default=64, ge=1)  # texts per forward pass
    max_tokens: int = Field(default=512, ge=8, le=512)  # word pieces read of each document


class ImageDescriptorsSettings(_Strict):
    """Colours, light, edges and shape of each item's picture, without weights."""


class MelSettings(_Strict):
    """The log-Mel spectrogram of each item's audio window."""


class AudioDescriptorsSettings(_Strict):
    """Tempo, loudness, key and timbre of each item's audio window, without weights."""


class EncoderSettings(_Strict):
    """An encoder of the Hugging Face hub: which weights, and how it runs."""

    model: str = Field(min_length=1)  # a name of the hub, or a folder that begins with `/`, `.` or `~`
    revision: str | None = None  # commit on the hub; None: the known one, or a folder
    pooling: Literal["cls", "mean", "pooler"] = "mean"
    batch_size: int = Field(default=32, ge=1)  # inputs per forward pass
    device: str = Field(default="cpu", pattern=r"^(cpu|mps|cuda(:\d+)?)$")
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"

    @model_validator(mode="after")
    def _is_pinned(self) -> "EncoderSettings":
        Weights(self.model, self.revision)
        return self


class BertSettings(EncoderSettings):
    """BERT over the composed documents."""

    model: str = Field(default="google-bert/bert-base-uncased", min_length=1)
    max_tokens: int = Field(default=512, ge=8)  # word pieces read of each document


class Resnet18Settings(EncoderSettings):
    """ResNet-18 over each item's picture."""

    model: str = Field(default="microsoft/resnet-18", min_length=1)
    pooling: Literal["cls", "mean", "pooler"] = "pooler"


class TabularSettings(_Strict):
    """Standardised numbers and one-hot genres."""

    numeric: tuple[str, ...] = Field(min_length=1)  # `year`, `duration_ms` or names in `items.attributes`
    genres: bool = True


class FeaturizerSettings(_Strict):
    """Which features are built, by name; leaving one out leaves it out of later releases."""

    minilm: MinilmSettings | None = None
    bert: BertSettings | None = None
    resnet18: Resnet18Settings | None = None
    image_descriptors: ImageDescriptorsSettings | None = None
    mel: MelSettings | None = None
    audio_descriptors: AudioDescriptorsSettings | None = None
    tabular: TabularSettings | None = None

    @property
    def chosen(self) -> dict[str, BaseModel]:
        """Settings by name of those that are named, in the order they run; each has the table `features/<name>`."""
        named = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: settings for name, settings in named.items() if settings is not None}


class AudioSettings(_Strict):
    """Which stretch of a recording is kept."""

    start_s: float = Field(default=30.0, ge=0)  # shorter recordings: their middle, then all of them
    length_s: float = Field(default=30.0, gt=0, le=600)
    keep_native_window: bool = False  # also as it is, for encoders that need more than 11 kHz


class IndexSettings(_Strict):
    """Which features are searchable by neighbours, and how."""

    features: tuple[str, ...] | None = None  # None: every vector feature the catalogue builds; the first is the default
    metric: Literal["cosine", "l2"] = "cosine"
    flat_up_to: int = Field(default=50_000, ge=0)  # vectors; above it HNSW
    least_recall: float = Field(default=0.95, ge=0, le=1)  # recall@10 against exact search

    @field_validator("features")
    @classmethod
    def _once_each(cls, features: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if twice := sorted({name for name in features or () if (features or ()).count(name) > 1}):
            raise ValueError(f"the feature '{twice[0]}' is named twice; name it once")
        return features


class ValidationSettings(_Strict):
    """What is checked before a release, and which failures block it. Checks are named `table.check`.

    `features.check` is that check of every feature, `features/NAME.check` of one.
    """

    default: Severity | None = None  # of checks that are not named below; None: each check's own
    checks: dict[str, Severity] = Field(default_factory=dict[str, Severity])
    thresholds: dict[str, float] = Field(default_factory=dict[str, float])

    @field_validator("default", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads a bare `off` as false

    @field_validator("checks", mode="before")
    @classmethod
    def _off_is_a_word_there_too(cls, checks: Any) -> Any:
        return {k: "off" if v is False else v for k, v in checks.items()} if isinstance(checks, dict) else checks

    @field_validator("checks", "thresholds")
    @classmethod
    def _are_known(cls, named: dict[str, Any]) -> dict[str, Any]:
        for name in named:
            table, _, check = name.rpartition(".")
            family = "features" if table.startswith("features/") else table
            known = [f"{t}.{c}" for t in (*TABLES, "features") for c in checks_of(t)]
            _check_name("check", f"{family}.{check}", known)
        return named

    def with_defaults(self, thresholds: Mapping[str, float]) -> "ValidationSettings":
        """The same, with these thresholds where it names none."""
        return self.model_copy(update={"thresholds": {**thresholds, **self.thresholds}})

    def severity(self, table: str, check: Check) -> Severity:
        """Whether a failure blocks, warns, or is not looked for."""
        return _of(self.checks, table, check.name) or self.default or check.severity

    def threshold(self, table: str, check: Check) -> float:
        """What the check's number is held against."""
        found = _of(self.thresholds, table, check.name)
        return check.threshold if found is None else found


def _of(named: dict[str, Any], table: str, check: str) -> Any:
    family = "features" if table.startswith("features/") else table
    return named.get(f"{table}.{check}", named.get(f"{family}.{check}"))


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
    sources: dict[SourceName, SourceSettings] = Field(min_length=1)
    separate: tuple[str, ...] = ()  # "source:id" of entities that must stay items of their own
    featurizers: FeaturizerSettings = FeaturizerSettings()
    validation: ValidationSettings = ValidationSettings()
    index: IndexSettings = IndexSettings()
    audio: AudioSettings = AudioSettings()
    chunk_keys: int | None = Field(default=None, ge=1)  # at most so many keys per commit; default: the stage's own
    keep_releases: int = Field(default=10, ge=1)  # `maintain-store` lets older ones go

    @field_validator("separate")
    @classmethod
    def _name_sources(cls, separate: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for name in separate:
            _check_name("source", name.partition(":")[0], info.data.get("sources", ()))
        return separate

    @field_validator("index")
    @classmethod
    def _indexes_what_is_built(cls, index: IndexSettings, info: ValidationInfo) -> IndexSettings:
        if featurizers := info.data.get("featurizers"):
            for name in index.features or ():
                if name not in featurizers.chosen:
                    raise ValueError(
                        f"the catalogue builds no feature '{name}'; {nearest(name, featurizers.chosen)}"
                        f"under `featurizers:` are: {', '.join(featurizers.chosen) or 'none'}"
                    )
        return index

    @property
    def store_url(self) -> str:
        """Where the store lies."""
        return os.path.expanduser(self.store) if self.store else str(home() / self.catalogue)

    @property
    def digest(self) -> str:
        """Short digest of everything above."""
        return digest_of(self.model_dump(mode="json"))


def _check_name(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ValueError(f"unknown {what} '{name}'; {nearest(name, known)}known: {', '.join(sorted(known))}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A question for an error message: was this meant? Empty where nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{near[0]}'? " if near else ""


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
        found = "nothing" if values is None else type(values).__name__
        raise CatalogueError(f"{path.name}: expected keys such as `catalogue:` and `sources:`, found {found}")
    _refuse_twice(node, path.name)
    try:
        return Catalogue.model_validate(_resolved(values, path.name, node, []))
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
    raise CatalogueError(
        f"no catalogue '{name_or_path}': {nearest(name_or_path, shipped())}shipped: {', '.join(shipped())}; "
        "or give the path of a YAML file (`mediateca init my.yaml` writes one)"
    )


def _refuse_twice(node: yaml.Node | None, file: str, above: tuple[int, ...] = ()) -> None:
    """YAML would let the second of two equal keys win: a source would be lost without a word."""
    if id(node) in above:
        raise CatalogueError(f"{file}, line {node.start_mark.line + 1 if node else 1}: an alias of what it stands in")
    above = (*above, id(node))
    if isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_twice(value, file, above)
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in lines:
                raise CatalogueError(
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
    place = f"{file}, line {_line(root, where)}"
    return _VARIABLE.sub(lambda m: _variable(m[1], place), value) if isinstance(value, str) else value


def _variable(name: str, place: str) -> str:
    if name == "MEDIATECA_HOME":
        return str(home())
    if not (found := os.environ.get(name)):
        raise CatalogueError(f"{place}: ${{{name}}} is not set; export {name}=/where/the/files/are")
    return found


def _explain(error: Any, file: str, root: yaml.Node | None) -> str:
    where = [str(part) for part in error["loc"]]
    place = f"{file}, line {_line(root, where)}"
    if error["type"] == "extra_forbidden":
        allowed = _allowed(where[:-1])
        hint = nearest(where[-1], allowed)
        return f"{place}: unknown key '{where[-1]}'; {hint}allowed here: {', '.join(sorted(allowed))}"
    if error["type"] == "value_error":
        return f"{place}: {error['ctx']['error']}"
    if error["type"] == "missing":
        return f"{place}: '{'.'.join(where[:-1]) or 'the catalogue'}' needs the key '{where[-1]}'"
    return f"{place}: '{'.'.join(where)}': {error['msg']}, found {error['input']!r}"


def _allowed(path: list[str]) -> list[str]:
    """The keys that the model at `path` knows."""
    model, steps = Catalogue, iter(path)
    for part in steps:
        annotation = model.model_fields[part].annotation
        model = _model_in(annotation)
        if get_origin(annotation) is dict:
            next(steps, None)  # the key of an entry, such as a source's name
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
