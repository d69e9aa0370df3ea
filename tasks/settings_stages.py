"""What a catalogue says of the stages after ingest: features, audio windows, indexes, checks."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from expectations.checks import Check, Severity
from expectations.registry import FAMILIES, TABLES, checks_of, family_of
from featurizers import encoders
from tasks.settings_base import Strict, nearest
from tasks.settings_encoders import NAME, EncoderSettings


class ImageDescriptorsSettings(Strict):
    """Colours, light, edges and shape of each item's picture, without weights."""


class MelSettings(Strict):
    """The log-Mel spectrogram of each item's audio window."""


class AudioDescriptorsSettings(Strict):
    """Tempo, loudness, key and timbre of each item's audio window, without weights."""


class TabularSettings(Strict):
    """Standardised numbers and one-hot genres."""

    numeric: tuple[str, ...] = Field(min_length=1)  # `year`, `duration_ms` or names in `items.attributes`
    genres: bool = True


class FeaturizerSettings(BaseModel):
    """Which features are built, by name; leaving one out leaves it out of later releases.

    Beside those without weights: every encoder of `featurizers/encoders.toml`, and encoders of one's own.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, EncoderSettings | None] = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        init=False
    )

    image_descriptors: ImageDescriptorsSettings | None = None
    mel: MelSettings | None = None
    audio_descriptors: AudioDescriptorsSettings | None = None
    tabular: TabularSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _know_their_names(cls, said: Any) -> Any:
        if not isinstance(said, Mapping):
            return said

        def named(name: str, value: Any) -> Any:
            if name in cls.model_fields:
                return value
            if value is None:  # `minilm:` with nothing behind it asks for the usual settings
                return {NAME: name}
            if isinstance(value, Mapping) and value.get(NAME, name) != name:
                raise ValueError(f"a feature is called by its key, '{name}': leave `{NAME}: {value[NAME]}` out")
            return {NAME: name, **value} if isinstance(value, Mapping) else value

        return {name: named(name, value) for name, value in cast("Mapping[str, Any]", said).items()}

    @property
    def encoders(self) -> dict[str, EncoderSettings]:
        """The encoders by name: of texts first, known ones before those of one's own."""
        order = list(encoders.known())
        named = {name: found for name, found in self.__pydantic_extra__.items() if found is not None}
        rank = {name: order.index(name) if name in order else len(order) for name in named}
        return dict(sorted(named.items(), key=lambda item: (encoders.FAMILIES.index(item[1].family), rank[item[0]])))

    @property
    def chosen(self) -> dict[str, BaseModel]:
        """Settings by name of those that are named, in the order they run; each has the table `features/<name>`."""
        named = {name: getattr(self, name) for name in type(self).model_fields}
        return {**self.encoders, **{name: settings for name, settings in named.items() if settings is not None}}


class AudioSettings(Strict):
    """Which stretch of a recording is kept."""

    start_s: float = Field(default=30.0, ge=0)  # shorter recordings: their middle, then all of them
    length_s: float = Field(default=30.0, gt=0, le=600)
    keep_native_window: bool = False  # also as it is, for encoders that need more than 11 kHz
    compare_with: tuple[str, ...] = ()  # folders of one's own recordings that links of live sources are held against


class IndexSettings(Strict):
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


class DuplicatesSettings(Strict):
    """Whether items that are one recording or one work are looked for."""

    find: bool = True
    review_above: int = Field(default=20, ge=2)  # items of a component; a larger one is looked at, not trusted


class ValidationSettings(Strict):
    """What is checked before a release, and which failures block it. Checks are named `table.check`.

    `features.check` is that check of every feature, `features/NAME.check` of one; `links.check` is that check of every
    source that the gold set judges, `links/SOURCE.check` of one.
    """

    default: Severity | None = None  # of checks that are not named below; None: each check's own
    checks: dict[str, Severity] = Field(default_factory=dict[str, Severity])
    thresholds: dict[str, float] = Field(default_factory=dict[str, float])
    gold: str | None = Field(default=None, min_length=1)  # file of ids that are the same, see `expectations.gold`

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
            known = [f"{t}.{c}" for t in (*TABLES, *FAMILIES) for c in checks_of(t)]
            check_name("check", f"{family_of(table)}.{check}", known)
        return named

    def with_defaults(self, thresholds: Mapping[str, float]) -> "ValidationSettings":
        """The same, with these thresholds where it names none."""
        return self.model_copy(update={"thresholds": {**thresholds, **self.thresholds}})

    def severity(self, table: str, check: Check) -> Severity:
        """Whether a failure blocks, warns, or is not looked for."""
        own = "off" if check.severity == "off" else self.default or check.severity
        return _of(self.checks, table, check.name) or own

    def threshold(self, table: str, check: Check) -> float:
        """What the check's number is held against."""
        found = _of(self.thresholds, table, check.name)
        return check.threshold if found is None else found


def _of(named: dict[str, Any], table: str, check: str) -> Any:
    return named.get(f"{table}.{check}", named.get(f"{family_of(table)}.{check}"))


def check_name(what: str, name: str, known: Iterable[str]) -> None:
    """Raise `ValueError` unless the name is known; the message names the nearest."""
    if name not in known:
        raise ValueError(f"unknown {what} '{name}'; {nearest(name, known)}known: {', '.join(sorted(known))}")
