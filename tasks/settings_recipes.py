"""The recipe: a YAML file that says which recommender to train, on what, and what it must beat to be served."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from storage.hashing import digest_of
from tasks.settings_base import Strict, nearest
from tasks.settings_stages import check_name
from tasks.settings_yaml import SettingsError, read_settings
from training.models.registry import MODELS
from training.protocols import parse

SHIPPED = Path(__file__).resolve().parents[1] / "deployments" / "recipes"


class RecipeError(SettingsError):
    """A recipe cannot be used as it is written; the message says where and what to write instead."""


class Gate(Strict):
    """What a challenger must show before it replaces the champion; shares are of the champion's own figure."""

    better: float = 0.0  # lower bound of the relative difference, of a recipe that is new or has changed
    not_worse: float = -0.02  # of the same recipe on a fresh release
    days_between: float = Field(default=7, ge=0)  # between two tests whether one recipe is better
    seeds: int = Field(default=3, ge=1)  # a new recipe is fitted under so many before it replaces another; 1: its own
    least_cases: int = Field(default=100, ge=1)  # fewer say nothing
    least_people: int = Field(default=30, ge=2)  # likewise: people are what is resampled
    coverage: float = Field(default=0.5, ge=0)  # of the catalogue's items in the lists
    cold: float = Field(default=0.8, ge=0)  # metric on items that training never met
    unseen: float = Field(default=0.8, ge=0)  # metric on users that training never met
    latency_ms: float = Field(default=100.0, gt=0)  # 95 % of single questions are answered within


class Tuning(Strict):
    """Equal chances: the model and every baseline are tried with so many settings, asked the validation cases."""

    trials: int = Field(ge=1, le=1_000, strict=True)  # of each: what the recipe says, then others of its space
    seed: int = 0  # which others
    # By model: settings and the values to try, in the place of those that the model's file names.
    spaces: dict[str, dict[str, Annotated[list[Any], Field(min_length=1)]]] = Field(default_factory=dict)


class Recipe(Strict):
    """One recommender: its data, how they are split, the model, and the baselines beside it."""

    recipe: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    about: str = ""
    events: Literal["rating", "play", "playlist"]
    items: str | None = None  # track, film, ...; left out: every kind
    # What its model competes to serve; left out: `items`, or `all`. It names a folder of the store.
    slot: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    features: tuple[str, ...] = ()  # frozen vectors that the model reads
    protocol: dict[str, Any]  # protocol: loo, user_holdout, temporal, playlist, cold_items; and its options
    model: str
    settings: dict[str, Any] = Field(default_factory=dict)  # the model's own
    baselines: dict[str, dict[str, Any]] = Field(min_length=1)  # model: settings; the best of them must be beaten
    tune: Tuning | None = None
    metric: str = Field(default="ndcg@10", pattern=r"^(hr|recall|ndcg|mrr|map)@[1-9][0-9]*$")
    gate: Gate = Gate()

    @field_validator("model")
    @classmethod
    def _is_known(cls, model: str) -> str:
        check_name("model", model, MODELS)
        return model

    @field_validator("protocol")
    @classmethod
    def _means_something(cls, protocol: dict[str, Any]) -> dict[str, Any]:
        # YAML reads a day without quotes as a date.
        said = {name: value.isoformat() if isinstance(value, date) else value for name, value in protocol.items()}
        parse(said)
        return said

    @field_validator("baselines")
    @classmethod
    def _are_known(cls, baselines: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in baselines:
            check_name("model", name, MODELS)
        return baselines

    @model_validator(mode="after")
    def _asks_what_can_be_answered(self) -> Self:
        if self.events == "rating" and self.protocol["protocol"] == "temporal":
            raise ValueError(
                "protocol temporal of ratings: their times say when they were typed in, not when somebody watched, so "
                "a cut in time means nothing; use loo or user_holdout"
            )
        return self

    @model_validator(mode="after")
    def _is_no_baseline(self) -> Self:
        if self.recipe in self.baselines:
            raise ValueError(f"the recipe is called '{self.recipe}', as one of its baselines; call it otherwise")
        return self

    @model_validator(mode="after")
    def _tunes_what_it_names(self) -> Self:
        named = {self.model, *self.baselines}
        if self.tune and (odd := sorted(self.tune.spaces.keys() - named)):
            raise ValueError(f"tune.spaces: '{odd[0]}' is neither the model nor a baseline: {', '.join(sorted(named))}")
        return self

    @property
    def serves(self) -> str:
        """The slot, in which one model is served."""
        return self.slot or self.items or "all"

    @property
    def k(self) -> int:
        """The length of the lists that are compared."""
        return int(self.metric.partition("@")[2])

    @property
    def digest(self) -> str:
        """Short digest of what makes the model, without how it is judged."""
        apart = {"about", "gate", "baselines", "metric", "slot"} | (set[str]() if self.tune else {"tune"})
        return digest_of(self.model_dump(mode="json", exclude=apart))


def load_recipe(name_or_path: str) -> Recipe:
    """The recipe of that name (as shipped) or in that YAML file.

    Raises:
        RecipeError: There is none, or a key or value of it is wrong; names file, line and fix.
    """
    return read_settings(_find(name_or_path), Recipe, RecipeError)[0]


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with mediateca."""
    return sorted(p.stem for p in SHIPPED.glob("*.yaml"))


def _find(name_or_path: str) -> Path:
    if name_or_path in shipped_recipes():
        return SHIPPED / f"{name_or_path}.yaml"
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return path
    raise RecipeError(
        f"no recipe '{name_or_path}': {nearest(name_or_path, shipped_recipes())}shipped: "
        f"{', '.join(shipped_recipes())}; or give the path of a YAML file"
    )
