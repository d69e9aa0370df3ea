"""The catalogue's gold set, as it judges each of its sources."""

from functools import lru_cache
from pathlib import Path

from expectations.gold import GoldLine, read_gold
from expectations.links import Gold
from tasks.settings import Catalogue


def gold_sets(catalogue: Catalogue) -> dict[str, Gold]:
    """What the gold file says of each source that it can judge; empty where the catalogue names no file.

    Items are told by the ids of the sources that define them, as what a search brought cannot vouch for itself: a
    searched source by all of them, one that defines items, too, by those before it.

    Raises:
        ValueError: The file is not there or cannot be read, or names no source that can be judged.
    """
    if catalogue.validation.gold is None:
        return {}
    path = Path(catalogue.validation.gold).expanduser()
    lines = _lines(path, *_seen(path))
    named = {name for line in lines for name in (*line.right, *line.wrong)}
    found: dict[str, Gold] = {}
    for name, source in catalogue.sources.items():
        before = [n for n, s in catalogue.sources.items() if s.items and n != name]
        if source.items:
            ranked = list(catalogue.sources)
            before = [n for n in before if ranked.index(n) < ranked.index(name)]
        together = {n for line in lines if name in line.right or name in line.wrong for n in line.right}
        if anchors := tuple(n for n in before if n in together):
            found[name] = Gold(lines=lines, anchors=anchors, asked=not source.items)
    if not found:
        raise ValueError(
            f"validation.gold: {path} names {', '.join(sorted(named))}; to judge a link it takes two sources of the "
            f"catalogue, one of which defines items: {', '.join(catalogue.sources)}"
        )
    return found


def _seen(path: Path) -> tuple[int, int]:
    """What tells a changed file without reading it."""
    return (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else (0, 0)


@lru_cache(maxsize=4)
def _lines(path: Path, changed: int, size: int) -> tuple[GoldLine, ...]:
    return tuple(read_gold(path))
