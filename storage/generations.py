"""Generations: rows of a feature by the version that computed them; one is served, kept releases name theirs."""

from collections.abc import Collection
from typing import Any

from storage.errors import MixedVersions
from storage.releases import releases
from storage.schemas import table_of
from storage.store import Store

_FEATURES = "features/"


def only_version(con: Any, name: str) -> str | None:
    """The version that every value of a feature was computed at; None where it has no value.

    Whoever hands vectors on asks this first: those of two encoders look alike, and no distance compares them.

    Args:
        con: `Store.database()`, of now or of a release.
        name: The table.

    Raises:
        MixedVersions: There are several.
    """
    sql = f"select version, count(*) from {table_of(name).view} where reason is null group by 1 order by 2 desc, 1"
    found = con.sql(sql).fetchall()
    if len(found) > 1:
        counts = ", ".join(f"{version}: {count:,}" for version, count in found)
        raise MixedVersions(
            f"{name}: its vectors are of {len(found)} versions ({counts}), which cannot be compared; "
            "`mediateca build` computes what is left of the newer one"
        )
    return found[0][0] if found else None


def served_versions(store: Store, names: Collection[str]) -> dict[str, str]:
    """Per feature of these tables, the version whose rows are served now; without those that have no row of one.

    Raises:
        MixedVersions: Rows of several versions count.
    """
    features = [name for name in names if name.startswith(_FEATURES)]
    con = store.database(only=features)
    found = {name: only_version(con, name) or store.generation(name) for name in features}
    return {name.removeprefix(_FEATURES): version for name, version in found.items() if version}


def unneeded_generations(store: Store, name: str) -> tuple[list[str], list[str]]:
    """Versions of a feature's rows that can go, and those that stay: served, of a kept release, or the newest.

    The newest may be on its way: a build that was killed goes on with it. Without a served one all stay.
    """
    served = store.generation(name)
    if served is None:
        return [], []
    rows = f"{table_of(name).view}__rows"
    sql = f"select version from {rows} group by version order by max(computed_at) desc"
    there: list[str] = [version for (version,) in store.database(only=(name,)).sql(sql).fetchall()]
    stage = name.removeprefix(_FEATURES)
    named = {r.stages.get(stage, "") for r in releases(store) if r.state == "published"}
    stay = [v for at, v in enumerate(there) if at == 0 or v in named or v == served]
    return [v for v in there if v not in stay], stay
