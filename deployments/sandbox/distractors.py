"""What a search offers for a track: uploads of the same recording, and everything else that is nearly it.

Which shapes there are was taken from recorded searches of YouTube and Spotify; every name and number is invented.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from connectors.base import Wanted
from connectors.candidates import Candidate
from deployments.sandbox import distractor_words as words
from deployments.sandbox.dice import Dice
from deployments.sandbox.distractor_titles import all_of, channel_of, song_title, typo, video_title

NOT_THERE = 0.12  # share of searches that do not offer the recording at all


@dataclass(frozen=True, kw_only=True)
class Track:
    """A recording as it is in truth."""

    name: str  # the song's, without version and guests
    version: str = ""  # "": the studio recording; else a key of `distractor_words.VERSIONS`
    mark: str = ""  # how the version is written: "Live at the Moth Hall"
    artists: tuple[str, ...]  # the first is the main one; the others are guests
    album: str
    year: int
    duration_ms: int
    isrc: str
    language: str = "en"


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A candidate with the truth about it."""

    candidate: Candidate
    same: bool  # whether it is the recording
    what: str  # "topic", "cover", ...


def as_known(dice: Dice, track: Track) -> Wanted:
    """The track as a catalogue knows it: gaps, other spellings, now and then a wrong duration."""
    guests = track.artists[1:]
    title = typo(dice, track.name) if dice.chance(0.02) else track.name
    in_title = bool(guests) and dice.chance(0.4)
    if in_title:
        title += dice.pick((" (feat. {})", " (feat. {})", " feat. {}", " (with {})", " [ft. {}]")).format(
            all_of(guests)
        )
    if track.mark:
        title += dice.pick((" - {}", " ({})")).format(track.mark)
    elif dice.chance(0.12):
        title += dice.pick(words.EDITIONS).format(year=track.year + dice.whole(5, 40))
    duration: int | None = track.duration_ms + dice.whole(-900, 900)
    if dice.chance(0.1):
        duration = None
    elif dice.chance(0.02):
        duration = track.duration_ms + dice.whole(-25_000, 25_000)
    artists = track.artists if dice.chance(0.5) else track.artists[:1]
    if len(track.artists) == 2 and not in_title and dice.chance(0.15):
        artists = (dice.pick(("{} & {}", "{} x {}", "{} feat. {}", "{}, {}")).format(*track.artists),)
    return Wanted(
        title=title.lower() if dice.chance(0.05) else title,
        creators=artists,
        album=track.album if dice.chance(0.65) else None,
        year=track.year if dice.chance(0.6) else None,
        duration_ms=duration,
        isrc=track.isrc if dice.chance(0.4) else None,
    )


def offers(dice: Dice, track: Track, others: Sequence[Track], source: str) -> list[Offer]:
    """What a search for the track gives, in a random order.

    Args:
        dice: Chance.
        track: What is searched for.
        others: Tracks of the same artist and of others, for what is wrong; at least one by somebody else.
        source: "youtube" or "spotify".
    """
    same, wrong = (_YOUTUBE_SAME, _YOUTUBE_WRONG) if source == "youtube" else (_SPOTIFY_SAME, _SPOTIFY_WRONG)
    found: list[Offer] = []
    if not dice.chance(NOT_THERE):
        for share, make in same:
            if dice.chance(share):
                found.append(make(dice, track, others))
        if not found:
            found.append(same[0][1](dice, track, others))
    for share, make in wrong:
        if dice.chance(share):
            found.append(make(dice, track, others))
    # A distractor may come out as the recording itself: its version is the one that is wanted.
    kept = [offer for offer in found if offer.same or not _is_it(track, offer)]
    return [_with_gaps(dice, offer, source) for offer in dice.shuffled(kept)]


def _is_it(track: Track, offer: Offer) -> bool:
    return bool(track.version) and offer.what == track.version and track.mark.lower() in offer.candidate.title.lower()


def _with_gaps(dice: Dice, offer: Offer, source: str) -> Offer:
    said = replace(offer.candidate, id=dice.base62(11 if source == "youtube" else 22))
    if dice.chance(0.03):
        said = replace(said, duration_ms=None)
    if source == "youtube":
        said = replace(said, isrc=None, year=None)
        if said.kind == "video" and said.channel and dice.chance(0.3):
            # YouTube Music names the uploader of a video as its artist.
            said = replace(said, artists=(said.channel,), channel=said.channel if dice.chance(0.5) else None)
        if dice.chance(0.1):
            said = replace(said, kind=None)
    elif dice.chance(0.4):
        said = replace(said, isrc=None)
    return replace(offer, candidate=said)


# --- the same recording


def _near(dice: Dice, track: Track, spread_ms: int = 1500) -> int:
    """About as long, in whole seconds, as YouTube says it."""
    return round((track.duration_ms + dice.whole(-spread_ms, spread_ms)) / 1000) * 1000


def _topic(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
    title = song_title(dice, track)
    if dice.chance(0.12):
        title += dice.pick(words.EDITIONS).format(year=track.year + dice.whole(5, 40))
    artists = track.artists if dice.chance(0.8) else track.artists[:1]
    said = Candidate(
        id="",
        title=title,
        artists=tuple(dice.shuffled(artists)) if dice.chance(0.1) else artists,
        album=track.album if dice.chance(0.75) else _compilation(dice, track),
        channel=f"{track.artists[0]} - Topic" if dice.chance(0.4) else None,
        duration_ms=_near(dice, track),
        kind="song",
    )
    return Offer(candidate=said, same=True, what="topic")


def _official_video(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
    longer = dice.whole(3_000, 45_000) if dice.chance(0.4) else 0
    shorter = dice.whole(3_000, 15_000) if dice.chance(0.08) else 0
    note = dice.pick(words.NOTES["video"] + words.NATIVE_NOTES.get(track.language, ()))
    return _video(dice, track, note, channel_of(dice, track.artists[0]), _near(dice, track) + longer - shorter, "video")


def _audio_video(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
    note = dice.pick(words.NOTES["audio"] + words.NOTES["lyrics"])
    return _video(dice, track, note, channel_of(dice, track.artists[0]), _near(dice, track, 3000), "audio")


def _fan_upload(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
    notes = (*words.NOTES["lyrics"], *words.NOTES["fan"], *words.NATIVE_NOTES.get(track.language, ()))
    return _video(dice, track, dice.pick(notes), dice.pick(words.UPLOADERS), _near(dice, track, 4000), "fan_upload")


def _video(dice: Dice, track: Track, note: str, channel: str, duration_ms: int, what: str) -> Offer:
    title = video_title(dice, track, note)
    if dice.chance(0.08):
        title += " " + dice.pick(words.ASIDES).format(
            album=track.album, year=track.year, other=dice.pick(words.UPLOADERS)
        )
    said = Candidate(id="", title=title, channel=channel, duration_ms=duration_ms, kind="video")
    return Offer(candidate=said, same=True, what=what)


def _compilation(dice: Dice, track: Track) -> str:
    return dice.pick(words.COMPILATIONS).format(artist=track.artists[0], year=track.year + dice.whole(0, 20))


# --- other recordings


def _versioned(kind: str) -> Callable[[Dice, Track, Sequence[Track]], Offer]:
    """The same song as another version, marked as people mark it."""

    def make(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
        spec = words.VERSIONS[kind]
        other = _stranger(dice, track, others)
        mark = dice.pick(spec.marks).format(
            other=other.artists[0], hall=dice.pick(words.HALLS), year=dice.whole(1975, 2024), artist=track.artists[0]
        )
        fresh = replace(track, mark=mark, version=kind, artists=track.artists[: dice.whole(1, len(track.artists))])
        duration = int(track.duration_ms * dice.between(*spec.stretch))
        if dice.chance(spec.as_song):
            by = (other.artists[0],) if spec.by_other else fresh.artists
            by = (*by, other.artists[0]) if kind == "remix" and dice.chance(0.5) else by
            album = f"{track.name} ({mark})" if dice.chance(0.4) else _compilation(dice, other)
            said = Candidate(
                id="", title=song_title(dice, fresh), artists=by, album=album, duration_ms=duration, kind="song"
            )
            return Offer(candidate=said, same=False, what=kind)
        channel = channel_of(dice, track.artists[0]) if dice.chance(spec.official) else dice.pick(words.UPLOADERS)
        channel = other.artists[0] if spec.by_other and dice.chance(0.5) else channel
        note = dice.pick(words.NOTES["fan"] + words.NOTES["video"] + ("", "", ""))
        title = video_title(dice, fresh, note)
        said = Candidate(id="", title=title, channel=channel, duration_ms=duration, kind="video")
        return Offer(candidate=said, same=False, what=kind)

    return make


def _stranger(dice: Dice, track: Track, others: Sequence[Track]) -> Track:
    foreign = [other for other in others if other.artists[0] not in track.artists]
    return dice.pick(foreign)


def _by_other(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
    """The same title by somebody else, unmarked: a cover or another song; now and then as long as the item."""
    other = _stranger(dice, track, others)
    duration = _near(dice, track, 12_000) if dice.chance(0.35) else other.duration_ms
    return _plain(dice, replace(track, artists=other.artists, album=other.album), duration, "by_other")


def _other_song(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
    """Another song of the artist; now and then as long as the item."""
    own = [other for other in others if other.artists[0] == track.artists[0] and other.name != track.name]
    other = dice.pick(own) if own else replace(_stranger(dice, track, others), artists=track.artists)
    duration = _near(dice, track, 2_000) if dice.chance(0.1) else other.duration_ms
    return _plain(dice, replace(other, album=track.album if dice.chance(0.4) else other.album), duration, "other_song")


def _longer_name(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
    """A song whose name holds the item's name."""
    name = dice.pick(words.LONGER).format(name=track.name, word=dice.pick(_stranger(dice, track, others).name.split()))
    other = track if dice.chance(0.6) else _stranger(dice, track, others)
    duration = _near(dice, track, 2_000) if dice.chance(0.1) else int(track.duration_ms * dice.between(0.6, 1.6))
    return _plain(dice, replace(other, name=name, mark="", version=""), duration, "longer_name")


def _unrelated(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
    other = _stranger(dice, track, others)
    return _plain(dice, other, other.duration_ms, "unrelated")


def _hidden_version(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
    """Another recording of the song by the artist, which nothing but its duration betrays."""
    longer = int(track.duration_ms * dice.between(1.04, 1.6))
    shorter = int(track.duration_ms * dice.between(0.5, 0.95))
    return _plain(dice, track, longer if dice.chance(0.65) else shorter, "hidden_version")


def _studio(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
    """Where a version is wanted: the song without it."""
    if not track.version:
        return _unrelated(dice, track, others)
    plain = replace(track, mark="", version="")
    return _plain(dice, plain, int(track.duration_ms * dice.between(0.75, 1.25)), "studio")


def _plain(dice: Dice, track: Track, duration_ms: int, what: str) -> Offer:
    if dice.chance(0.5):
        title = song_title(dice, track)
        said = Candidate(
            id="", title=title, artists=track.artists, album=track.album, duration_ms=duration_ms, kind="song"
        )
    else:
        note = dice.pick(words.NOTES["video"] + words.NOTES["lyrics"] + ("", ""))
        channel = channel_of(dice, track.artists[0]) if dice.chance(0.6) else dice.pick(words.UPLOADERS)
        title = video_title(dice, track, note)
        said = Candidate(id="", title=title, channel=channel, duration_ms=duration_ms, kind="video")
    return Offer(candidate=said, same=False, what=what)


# --- Spotify: everything is a track with artists, album, year, ISRC


def _spotify(dice: Dice, track: Track, *, what: str, same: bool, duration_ms: int, isrc: str | None = None) -> Offer:
    title = track.name
    if track.artists[1:] and dice.chance(0.5):
        title += f" (feat. {all_of(track.artists[1:])})"
    if track.mark:
        title += f" - {track.mark}"
    if same and dice.chance(0.15):
        title += dice.pick(words.EDITIONS).format(year=track.year + dice.whole(5, 40))
    said = Candidate(
        id="",
        title=title,
        artists=track.artists,
        album=track.album,
        duration_ms=duration_ms,
        year=track.year,
        isrc=isrc or _isrc(dice),
        kind="track",
    )
    return Offer(candidate=said, same=same, what=what)


def _isrc(dice: Dice) -> str:
    return f"QZ{dice.base62(3).upper()}{dice.whole(10, 25)}{dice.whole(10_000, 99_999)}"


def _on_album(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
    exact = track.duration_ms + dice.whole(-700, 700)
    return _spotify(dice, track, what="track", same=True, duration_ms=exact, isrc=track.isrc)


def _on_compilation(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
    there = replace(track, album=_compilation(dice, track), year=track.year + dice.whole(0, 20))
    isrc = track.isrc if dice.chance(0.7) else None
    near = track.duration_ms + dice.whole(-2_500, 2_500)
    return _spotify(dice, there, what="compilation", same=True, duration_ms=near, isrc=isrc)


def _as_spotify(
    make: Callable[[Dice, Track, Sequence[Track]], Offer],
) -> Callable[[Dice, Track, Sequence[Track]], Offer]:
    """The same distractor as Spotify would list it."""

    def made(dice: Dice, track: Track, others: Sequence[Track]) -> Offer:
        offer = make(dice, track, others)
        for _ in range(30):
            if offer.candidate.kind == "song":
                break
            offer = make(dice, track, others)
        said = offer.candidate
        artists = said.artists or track.artists
        year = track.year + dice.whole(0, 12)
        fresh = replace(said, artists=artists, channel=None, year=year, isrc=_isrc(dice), kind="track")
        return replace(offer, candidate=fresh)

    return made


Maker = Callable[[Dice, Track, Sequence[Track]], Offer]
_YOUTUBE_SAME: tuple[tuple[float, Maker], ...] = (
    (0.75, _topic),
    (0.15, _topic),
    (0.55, _official_video),
    (0.35, _audio_video),
    (0.5, _fan_upload),
    (0.2, _fan_upload),
)
_YOUTUBE_WRONG: tuple[tuple[float, Maker], ...] = (
    *((spec.share, _versioned(kind)) for kind, spec in words.VERSIONS.items()),
    (0.25, _by_other),
    (0.6, _other_song),
    (0.4, _other_song),
    (0.25, _longer_name),
    (0.25, _unrelated),
    (0.06, _hidden_version),
    (0.6, _studio),
)
_SPOTIFY_SAME: tuple[tuple[float, Maker], ...] = ((0.9, _on_album), (0.35, _on_compilation), (0.15, _on_compilation))
_SPOTIFY_WRONG: tuple[tuple[float, Maker], ...] = (
    *((spec.share * 0.7, _as_spotify(_versioned(kind))) for kind, spec in words.VERSIONS.items() if spec.as_song),
    (0.5, _as_spotify(_by_other)),
    (0.3, _as_spotify(_by_other)),
    (0.6, _as_spotify(_other_song)),
    (0.3, _as_spotify(_longer_name)),
    (0.3, _as_spotify(_unrelated)),
    (0.05, _as_spotify(_hidden_version)),
    (0.6, _as_spotify(_studio)),
)
