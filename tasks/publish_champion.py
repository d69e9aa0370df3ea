"""The model that is served in Python becomes the bundle that services answer from."""

# Annotations stay text: numpy is imported at its first use.
from __future__ import annotations

from typing import TYPE_CHECKING

from storage.bundles import Bundle, bundles
from storage.models import Model, champions, models
from storage.releases import find_release
from storage.store import Store
from tasks.publish import Publishing, Unpublishable, publish_bundle
from tasks.serving import stored
from tasks.settings_recipes import Recipe
from tasks.training import read

if TYPE_CHECKING:
    from training.data import Dataset


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
        Unpublishable: There is no champion, its scores are no inner products, or a check fails; what is served stays.
        NoSuchRelease: The release it was trained on is not kept any more.
        StoreError: No space or permission, or somebody else publishes.
    """
    champion = champion_to_publish(store, slot)
    _refuse_another_slot(store, champion)
    recipe = Recipe.model_validate(champion.recipe)
    release = find_release(store, champion.release_id)
    with stored(store, champion) as held:
        if not hasattr(held.model, "export_onnx"):
            raise Unpublishable(
                f"publish {champion.model_id}: a model '{recipe.model}' has no user tower, so no index can serve it; "
                "`mediateca recommend` asks it, a two_tower can be published"
            )
        return publish_bundle(
            store,
            release,
            held.model,
            model_id=champion.model_id,
            data=data or read(store, release.release_id, recipe),
            how=Publishing(filter_seen=champion.facts["filter_seen"], kind=recipe.items),
        )


def published_model(store: Store) -> str | None:
    """The model of the bundle that services answer from; None before the first."""
    return next((str(bundle.manifest["model"]) for bundle in bundles(store) if bundle.current), None)


def _refuse_another_slot(store: Store, champion: Model) -> None:
    """A store serves one bundle: that of films must not take the place of that of tracks unnoticed."""
    slots = {model.model_id: model.slot for model in models(store)}
    had = slots.get(published_model(store) or "", champion.slot)
    if had != champion.slot:
        raise Unpublishable(
            f"publish {champion.model_id}: services answer for '{had}', and this store has one bundle; keep "
            f"'{champion.slot}' in a catalogue of its own"
        )
