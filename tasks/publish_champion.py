"""The model that is served in Python becomes the bundle that services answer from."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from storage.bundles import Bundle, bundles
from storage.errors import StoreError
from storage.models import Model, champions
from storage.releases import NoSuchRelease, find_release
from storage.store import Store
from tasks.publish import Publishing, Unpublishable, publish_bundle
from tasks.serving import stored
from tasks.settings_recipes import Recipe
from tasks.training import read
from training.models.registry import model_class

if TYPE_CHECKING:
    from training.data import Dataset


class NoUserTower(Unpublishable):
    """The model's scores are no inner products, so no index can serve them."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a slot."""

    slot: str
    model_id: str  # its champion
    bundle: Bundle | None = None  # None: nothing new is served
    error: StoreError | NoSuchRelease | None = None  # why nothing is, unless the champion is served already

    def as_json(self) -> dict[str, Any]:
        """For results of flows."""
        made = self.bundle.bundle_id if self.bundle else None
        why = str(self.error) if self.error else None
        return {"of": self.slot, "model": self.model_id, "bundle": made, "new": made is not None, "reason": why}


def champion_to_publish(store: Store, slot: str | None = None) -> Model:
    """The champion of a slot, or the only one there is.

    Raises:
        Unpublishable: There is none, or it must be said which.
    """
    served = champions(store)
    if slot is None and len(served) == 1:
        slot = next(iter(served))
    if slot not in served:
        known = f"there are: {', '.join(sorted(served))}" if served else "`mediateca train` makes one"
        raise Unpublishable(f"store {store.url}: no champion for {slot or 'one slot alone'}; {known}")
    return served[slot]


def publish_champion(store: Store, slot: str | None = None, *, data: Dataset | None = None) -> Bundle:
    """Embed the items of the champion's release and serve them from an index; `data` where it has been read already.

    Raises:
        NoUserTower: An index cannot serve this kind of model; what is served stays.
        Unpublishable: There is no champion, or a check fails; likewise.
        NoSuchRelease: The release it was trained on is not kept any more.
        StoreError: No space or permission, or somebody else publishes.
    """
    champion = champion_to_publish(store, slot)
    recipe = Recipe.model_validate(champion.recipe)
    release = find_release(store, champion.release_id)
    with stored(store, champion) as held:
        if not has_user_tower(champion):
            raise NoUserTower(
                f"publish {champion.model_id}: a model '{recipe.model}' has no user tower, so no index can serve it; "
                "`mediateca recommend` asks it; a two_tower or sasrec can be published"
            )
        return publish_bundle(
            store,
            release,
            held.model,
            slot=champion.slot,
            model_id=champion.model_id,
            data=data or read(store, release.release_id, recipe),
            how=Publishing(filter_seen=champion.facts["filter_seen"], kind=recipe.items),
        )


def publish_champions(store: Store, slot: str | None = None, *, again: bool = False) -> list[Outcome]:
    """Publish the champion of a slot, or of each: those that are not served already, or `again` all of them.

    One that cannot be published stops none of the others.

    Raises:
        Unpublishable: There is no champion.
    """
    served = champions(store)
    chosen = sorted(served) if slot is None and served else [champion_to_publish(store, slot).slot]
    return [_outcome(store, served[name], again=again) for name in chosen]


def _outcome(store: Store, champion: Model, *, again: bool) -> Outcome:
    found = Outcome(slot=champion.slot, model_id=champion.model_id)
    if not again and published_model(store, champion.slot) == champion.model_id:
        return found
    try:
        return replace(found, bundle=publish_champion(store, champion.slot))
    except (StoreError, NoSuchRelease) as exc:
        return replace(found, error=exc)


def has_user_tower(model: Model) -> bool:
    """Whether an index can serve it: its scores are inner products, and its user tower runs without torch."""
    return hasattr(model_class(model.recipe["model"]), "export_onnx")


def newly_served(store: Store, before: Mapping[str, Model]) -> list[Model]:
    """The champions that were none `before`, by slot."""
    was = {slot: model.model_id for slot, model in before.items()}
    return [model for slot, model in sorted(champions(store).items()) if was.get(slot) != model.model_id]


def unpublished(store: Store) -> list[Model]:
    """The champions that an index could serve and none does, by slot."""
    found = sorted(champions(store).items())
    return [model for slot, model in found if published_model(store, slot) != model.model_id and has_user_tower(model)]


def published_model(store: Store, slot: str) -> str | None:
    """The model of the bundle that services answer from in a slot; None before the first."""
    return next((str(bundle.manifest["model"]) for bundle in bundles(store, slot) if bundle.current), None)
