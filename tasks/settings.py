"""The catalogue: a YAML file that says what to build, from which sources, and where the store is."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, PrivateAttr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from connectors.registry import CONNECTORS, LIVE, unknown_options
from storage.hashing import digest_of
from storage.schemas import table_of
from tasks.settings_base import Strict, nearest
from tasks.settings_stages import (
    AudioSettings,
    DuplicatesSettings,
    FeaturizerSettings,
    IndexSettings,
    ValidationSettings,
    check_name,
)
from tasks.settings_yaml import SettingsError, home, line_of, read_settings

SHIPPED = Path(__file__).resolve().parents[1] / "deployments" / "catalogues"
_SECRET = re.compile(r"(^|_)(key|secret|token|password)$", re.IGNORECASE)
_WITH_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@")
_TAKEN = ("server", "worlds")  # folders of MEDIATECA_HOME that are no stores
_DESCRIBED = tuple(c for c in table_of("entities").names if c not in (*table_of("links").names, "ids", "match_key"))

SourceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]  # it names users: `source:id`


class CatalogueError(SettingsError):
    """A catalogue cannot be used as it is written; the message says where and what to write instead."""


class LiveSettings(Strict):
    """How a source is asked that answers over the network."""

    users: tuple[str, ...] = ()  # whose histories are read
    playlists: tuple[str, ...] = ()  # ids of playlists that are read, tracks and positions
    charts: bool = False  # whether the tracks of the source's chart are items
    refresh_hours: float = Field(default=24, gt=0)  # how often histories are read on, lists read again
    refresh_days: float = Field(default=90, gt=0)  # after which what changes, such as popularity, is asked for again
    accept: float | None = Field(default=None, gt=0, le=1)  # least probability of a link that is believed
    review: float | None = Field(default=None, ge=0, le=1)  # of one that a person should look at; None: as fitted
    not_found_days: float = Field(default=30, gt=0)  # after which what was not found is asked for again
    blocked_days: float = Field(default=1, gt=0)  # after which a block page is asked for again

    @field_validator("review")
    @classmethod
    def _is_not_above(cls, review: float | None, info: ValidationInfo) -> float | None:
        accept = info.data.get("accept")
        if review is not None and accept is not None and review > accept:
            raise ValueError(f"`review` ({review:g}) is above `accept` ({accept:g})")
        return review


class SourceSettings(Strict):
    """One source of a catalogue."""

    connector: str  # a name of `connectors.registry`
    path: str = Field(default="", validate_default=True)  # file or folder; none where it is asked over the network
    items: bool = True  # False: only adds to items that other sources define
    fields: tuple[str, ...] | None = None  # what it may say of an item; None is everything
    options: dict[str, Any] = Field(default_factory=dict)  # the connector's own
    live: LiveSettings = LiveSettings()

    @field_validator("connector")
    @classmethod
    def _is_known(cls, connector: str) -> str:
        check_name("connector", connector, (*CONNECTORS, *LIVE))
        return connector

    @property
    def is_live(self) -> bool:
        """Whether it is asked over the network."""
        return self.connector in LIVE

    @property
    def is_searched(self) -> bool:
        """Whether the items of the other sources are looked for in it."""
        return self.is_live and not self.items

    @field_validator("path")
    @classmethod
    def _is_a_place(cls, path: str, info: ValidationInfo) -> str:
        live = info.data.get("connector") in LIVE
        if live and path:
            raise ValueError(f"the connector '{info.data['connector']}' is asked over the network: leave `path` out")
        if not live and not path:
            raise PydanticCustomError("missing", "Field required")
        return path

    @field_validator("options")
    @classmethod
    def _hold_no_secret(cls, options: dict[str, Any]) -> dict[str, Any]:
        # A release keeps the catalogue as resolved, `${NAME}` included: a key in it would lie in a table for ever.
        if name := next(_secrets(options), None):
            raise ValueError(
                f"`{name}` holds a secret, and releases keep the catalogue; leave it out: keys and proxies with a "
                "password are read from the environment (docs/live-sources.md)"
            )
        return options

    @field_validator("live")
    @classmethod
    def _can_be_read(cls, live: LiveSettings, info: ValidationInfo) -> LiveSettings:
        connector = info.data.get("connector", "")
        for key, entity in (("users", "plays"), ("playlists", "playlist"), ("charts", "chart")):
            if not getattr(live, key):
                continue
            if connector not in LIVE or entity not in LIVE[connector].reads:
                able = ", ".join(name for name, found in LIVE.items() if entity in found.reads)
                raise ValueError(f"`live.{key}`: the connector '{connector}' reads none; those that do: {able}")
            if not info.data.get("items"):
                raise ValueError(
                    f"`live.{key}` makes items, and `items: false` says that the source makes none; name the connector "
                    "twice: one source that is read, and one with `items: false` that is searched"
                )
        return live

    @field_validator("fields")
    @classmethod
    def _are_known(cls, fields: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for name in fields or ():
            check_name("field", name, _DESCRIBED)
        return fields


def _secrets(options: Mapping[str, Any]) -> Iterator[str]:
    """Names of the options that hold a key, or an address with a password."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _secrets(value)
        elif _SECRET.search(name) or (isinstance(value, str) and _WITH_PASSWORD.search(value)):
            yield name


class TrainingSettings(Strict):
    """What is trained on each release."""

    recipes: tuple[str, ...] = ()  # shipped ones, or YAML files beside this one or in the working folder


class WorldSettings(Strict):
    """A generated world that stands in for outside data."""

    path: str
    films: int = Field(default=300, ge=1)
    tracks: int = Field(default=400, ge=1)
    listeners: int = Field(default=60, ge=1)
    seed: int = 7


class Catalogue(Strict):
    """What to build. `${NAME}` in a value is taken from the environment."""

    catalogue: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    about: str = ""
    store: str | None = Field(
        default=None, validate_default=True
    )  # a folder or s3://bucket/prefix; default: MEDIATECA_HOME/<catalogue>
    world: WorldSettings | None = None
    sources: dict[SourceName, SourceSettings] = Field(min_length=1)
    separate: tuple[str, ...] = ()  # "source:id" of entities that must stay items of their own
    featurizers: FeaturizerSettings = FeaturizerSettings()
    validation: ValidationSettings = ValidationSettings()
    index: IndexSettings = IndexSettings()
    audio: AudioSettings = AudioSettings()
    duplicates: DuplicatesSettings = DuplicatesSettings()
    training: TrainingSettings = TrainingSettings()
    chunk_keys: int | None = Field(default=None, ge=1)  # at most so many keys per commit; default: the stage's own
    keep_releases: int = Field(default=10, ge=1)  # `maintain-store` lets older ones go
    _asked_as: str = PrivateAttr(default="")
    _folder: Path | None = PrivateAttr(default=None)

    @field_validator("store")
    @classmethod
    def _has_a_folder_of_its_own(cls, store: str | None, info: ValidationInfo) -> str | None:
        name = info.data.get("catalogue")
        if not store and name in _TAKEN:
            raise ValueError(f"MEDIATECA_HOME has a folder '{name}' of its own; name the catalogue otherwise")
        return store

    @field_validator("separate")
    @classmethod
    def _name_sources(cls, separate: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for name in separate:
            check_name("source", name.partition(":")[0], info.data.get("sources", ()))
        return separate

    @field_validator("validation")
    @classmethod
    def _judges_its_sources(cls, validation: ValidationSettings, info: ValidationInfo) -> ValidationSettings:
        for name in (*validation.checks, *validation.thresholds):
            family, _, source = name.rpartition(".")[0].partition("/")
            if family == "links" and source:
                check_name("source", source, info.data.get("sources", ()))
        return validation

    @field_validator("audio")
    @classmethod
    def _compares_with_recordings(cls, audio: AudioSettings, info: ValidationInfo) -> AudioSettings:
        folders = [name for name, s in info.data.get("sources", {}).items() if s.connector == "music_folder"]
        for name in audio.compare_with:
            check_name("folder of recordings", name, folders)
        return audio

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

    def of_file(self, path: Path) -> Self:
        """Itself, knowing where it stands."""
        whole = path.resolve()
        self._asked_as = whole.stem if whole.parent == SHIPPED else str(whole)
        self._folder = whole.parent
        return self

    @property
    def asked_as(self) -> str:
        """What loads it in another process: the shipped name, or the whole path of its file."""
        return self._asked_as or self.catalogue

    @property
    def recipes(self) -> tuple[str, ...]:
        """What `training:` names; a file beside the catalogue's own by its whole path, as workers run elsewhere."""
        beside = [(self._folder or Path()) / name for name in self.training.recipes]
        return tuple(
            str(path) if path.suffix and path.is_file() else name
            for path, name in zip(beside, self.training.recipes, strict=True)
        )

    @property
    def store_url(self) -> str:
        """Where the store lies."""
        return os.path.expanduser(self.store) if self.store else str(home() / self.catalogue)

    @property
    def digest(self) -> str:
        """Short digest of everything above."""
        return digest_of(self.model_dump(mode="json"))


def load_catalogue(name_or_path: str) -> Catalogue:
    """The catalogue of that name (as shipped) or in that YAML file.

    Raises:
        CatalogueError: There is none, a variable is not set, or a key or value is wrong; names file, line and fix.
    """
    path = _find(name_or_path)
    found, node = read_settings(path, Catalogue, CatalogueError)
    _refuse_options(found, path.name, node)
    return found.of_file(path)


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


def _refuse_options(catalogue: Catalogue, file: str, root: yaml.Node | None) -> None:
    """Say which options no connector knows; here, for a model does not know the line of a key in a dictionary."""
    told: list[str] = []
    for source, settings in catalogue.sources.items():
        for option, said in unknown_options(settings.connector, settings.options).items():
            line = line_of(root, ["sources", source, "options", option])
            told.append(f"{file}, line {line}: unknown option '{option}' of '{settings.connector}'; {said}")
    if told:
        raise CatalogueError("\n".join(told))
