"""The evidence for and against a candidate in words, for a person who is asked to decide."""

from connectors.base import Wanted
from connectors.candidates import Candidate
from connectors.evidence import GROUPS, evidence, sought

_VERSIONS = {
    "fast": "sped up", "slow": "slowed", "effect": "an effect", "bulk": "a loop, album or mix", "vocals": "vocals only",
    "talk": "a reaction, lesson or talk", "language": "another language", "rerecorded": "a new recording",
    "edit": "an edit", "extended": "extended", "cover": "a cover or karaoke", "acoustic": "acoustic", "demo": "a demo",
}  # fmt: skip
# Feature, from which value on, and what it means; in the order in which people look.
_TITLE = (
    ("title_part", 1.0, "only a part of the title is there"),
    ("number_clash", 1.0, "the titles differ in a number"),
    ("title_extra", 0.1, "words beside the title that nothing explains"),
    ("side_extra", 0.25, "other words in the title that nothing explains"),
    ("bracket_extra", 0.25, "words in brackets that nothing explains"),
    ("lead_extra", 1.0, "somebody else is named before the title"),
)
_ARTIST = (
    ("artist_other", 1.0, "another artist"),
    ("foreign_first", 1.0, "another artist comes first"),
    ("artists_extra", 0.3, "artists that the item does not have"),
    ("topic", 1.0, "the channel is made by the label"),
)
_OTHERS = (
    ("live_album", 1.0, "from a live album"),
    ("detail_clash", 1.0, "another remixer or place"),
    ("same_version", 1.0, "the same kind of version"),
    ("isrc_same", 1.0, "same ISRC"),
    ("isrc_other", 1.0, "another ISRC"),
    ("album_same", 1.0, "same album"),
    ("album_other", 1.0, "another album"),
)


def in_words(wanted: Wanted, candidate: Candidate) -> list[str]:
    """What speaks for and against the candidate, a few words each; title first, then artist, version, length.

    >>> in_words(Wanted(title="Luna", creators=("Bo",)), Candidate(id="1", title="Luna (Live)", artists=("Bo",)))
    ['same title', 'the artist is named', 'only the candidate: live', 'length not known']
    """
    found = evidence(sought(wanted), candidate)
    named = found.get("title", 0.0)
    title = "same title" if "title_exact" in found else f"titles are {named:.0%} alike" if named else "another title"
    told = [title, *_those(found, _TITLE)]
    if not found.get("artist_unasked"):
        told.append("the artist is named" if not found.get("artist_unseen") else "the artist is not named")
        told += _those(found, _ARTIST)
    for group in GROUPS:
        what = _VERSIONS.get(group, group)
        told += [f"only the candidate: {what}"] if found.get(group, 0.0) >= 0.1 else []
        told += [f"only the item: {what}"] if found.get(f"no_{group}", 0.0) >= 0.1 else []
    return [*told, *_those(found, _OTHERS), *_length(wanted, candidate), *_year(wanted, candidate)]


def _those(found: dict[str, float], names: tuple[tuple[str, float, str], ...]) -> list[str]:
    return [words for name, least, words in names if found.get(name, 0.0) >= least]


def _length(wanted: Wanted, candidate: Candidate) -> list[str]:
    if not wanted.duration_ms or not candidate.duration_ms:
        return ["length not known"]
    seconds = round((candidate.duration_ms - wanted.duration_ms) / 1000)
    return [f"{abs(seconds)} s {'longer' if seconds > 0 else 'shorter'}" if seconds else "same length"]


def _year(wanted: Wanted, candidate: Candidate) -> list[str]:
    if not wanted.year or not candidate.year:
        return []
    apart = abs(wanted.year - candidate.year)
    return [f"{apart} years apart" if apart > 1 else "same year" if not apart else "a year apart"]
