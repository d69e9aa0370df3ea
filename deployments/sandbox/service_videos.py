"""YouTube's videos of a world: the right ones, and those that only look it; and how all of them sound."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from deployments.sandbox import song_words as words
from deployments.sandbox.dice import BASE62, Dice
from deployments.sandbox.films import Film
from deployments.sandbox.service_music import COPIERS
from deployments.sandbox.songs import Recording
from deployments.sandbox.tables import PictureRow, SoundRow, VideoRow

RIGHT = ("topic", "official", "audio", "lyrics")
"""Kinds of videos that hold the recording itself."""

CHANCES = {"topic": 0.75, "official": 0.5, "audio": 0.3, "lyrics": 0.5}
WRONG = ("live", "cover", "remix", "karaoke", "sped_up", "slowed", "reaction", "loop")
TRAILERS = "Old Observatory Trailers"
MISTITLED = 0.02  # share of right videos whose title or length is not true

_GUEST = re.compile(r" \(feat\. [^)]*\)")


@dataclass
class VideoRows:
    """The rows of one world's videos, while they are made."""

    videos: list[VideoRow] = field(default_factory=list[VideoRow])
    sounds: list[SoundRow] = field(default_factory=list[SoundRow])
    pictures: list[PictureRow] = field(default_factory=list[PictureRow])


def video_id(dice: Dice) -> str:
    """An id as YouTube makes them: 11 characters."""
    return "".join(dice.pick(BASE62 + "-_") for _ in range(11))


def channel_id(seed: int, channel: str) -> str:
    """The id of a channel, by its name."""
    return "UC" + Dice(seed, "channel", channel).base62()


def make_videos(seed: int, songs: Sequence[Recording]) -> VideoRows:
    """Videos of all recordings; for about 4 % of them only wrong ones."""
    rows = VideoRows()
    for place, song in enumerate(songs):
        dice = Dice(seed, "videos", place)
        right = [kind for kind in RIGHT if dice.chance(CHANCES[kind])]
        wrong = dice.some(WRONG, dice.whole(0, 2 + int(5 * song.popularity)))
        for kind in (*right, *wrong):
            rows.videos.append(_video(dice, rows, seed, place, song, kind))
    return rows


def _video(dice: Dice, rows: VideoRows, seed: int, place: int, song: Recording, kind: str) -> VideoRow:
    title, channel, stretch, seen = _looks(dice, song, kind)
    length = song.duration_ms / 1000 * stretch + {"official": dice.between(-2, 22), "lyrics": dice.between(-3, 4)}.get(
        kind, 0.0
    )
    seconds = {"reaction": dice.whole(420, 960), "loop": 3600}.get(kind, round(length))
    if kind in RIGHT and dice.chance(MISTITLED):
        title, seconds = (title.swapcase()[: len(title) - 2], seconds) if dice.chance(0.5) else (title, seconds + 41)
    sound = _sound(dice, seed, place, song, kind, seconds)
    rows.sounds.append(sound)
    picture = _picture(dice, rows, song.genre)
    year = min(2024, max(2006, int(song.album.released[:4])) + dice.whole(0, 6))
    return VideoRow(
        id=video_id(dice),
        title=title,
        channel=channel,
        channel_id=channel_id(seed, channel),
        duration_s=seconds,
        views=int(9_000_000 * song.popularity * seen * dice.between(0.3, 1.0)) + dice.whole(20, 900),
        uploaded=f"{year:04d}{dice.whole(1, 12):02d}{dice.whole(1, 28):02d}",
        description=_description(song, kind, title),
        kind=kind,
        sound=sound.id,
        picture=picture,
        recording=place,
    )


def _picture(dice: Dice, rows: VideoRows, genre: str) -> str:
    name = "".join(dice.pick("0123456789abcdef") for _ in range(32))
    rows.pictures.append(PictureRow(id=name, seed=f"picture/{name}", genre=genre))
    return name


def _looks(dice: Dice, song: Recording, kind: str) -> tuple[str, str, float, float]:
    """Title, channel, how much longer than the recording, and how often it is watched out of 1."""
    artist, title = song.artist.name, song.title
    plain = _GUEST.sub("", title)
    own = artist if dice.chance(0.6) else f"{artist.replace(' ', '')}VEVO"
    fan = dice.pick(("7 clouds of tea", "Lyrical Moth", "Vinyl Attic", "dj_biscuit", "Night Bus Music"))
    match kind:
        case "topic":
            return title, f"{artist} - Topic", 1.0, 0.5
        case "official":
            return f"{artist} - {title} (Official {dice.pick(('Video', 'Music Video', 'MV'))})", own, 1.0, 1.0
        case "audio":
            return f"{artist} - {title} {dice.pick(('(Official Audio)', '(Audio)', '[Audio]'))}", own, 1.0, 0.6
        case "lyrics":
            return f"{artist} - {title} {dice.pick(('(Lyrics)', '(Lyric Video)', '| Lyrics'))}", fan, 1.0, 0.7
        case "live":
            where = dice.pick((f"Live at {dice.pick(words.HALLS)}", "Live", "live session"))
            return f"{artist} - {plain} ({where})", dice.pick((own, fan)), dice.between(1.03, 1.4), 0.3
        case "cover":
            who = dice.pick(COPIERS["cover"])
            ways = (f"{plain} - {artist} (cover by {who})", f"{plain} ({artist} Cover)", f"{who} - {plain}")
            return dice.pick(ways), who, dice.between(0.85, 1.15), 0.2
        case "remix":
            return f"{artist} - {plain} ({dice.pick(words.EN_MONONYMS)} Remix)", fan, dice.between(0.8, 1.5), 0.3
        case "karaoke":
            return f"{artist} - {plain} (Karaoke Version)", dice.pick(COPIERS["karaoke"]), 1.0, 0.2
        case "sped_up":
            return f"{artist} - {plain} (sped up)", dice.pick(COPIERS["sped_up"]), 0.8, 0.4
        case "slowed":
            return f"{artist} - {plain} (slowed + reverb)", dice.pick(COPIERS["sped_up"]), 1.2, 0.3
        case "reaction":
            return f"FIRST TIME hearing {artist} - {plain} | REACTION", "Odd Couple Reacts", 1.0, 0.2
        case _:
            return f"{artist} - {plain} [1 hour loop]", fan, 1.0, 0.2


def _description(song: Recording, kind: str, title: str) -> str:
    if kind == "topic":  # as YouTube writes of what labels deliver
        line = f"{song.title} · {song.artist.name}"
        return f"Provided to YouTube by Moth Records\n\n{line}\n\n{song.album.name}\n\nAuto-generated by YouTube."
    return f"{title}\nfrom the album {song.album.name}" if kind in ("official", "audio") else title


def _sound(dice: Dice, seed: int, place: int, song: Recording, kind: str, seconds: int) -> SoundRow:
    """The same notes for the recording and its copies; covers in another key, remixes at another tempo."""
    genre, key, tempo, part = song.genre, song.key, song.sound.tempo_bpm, "all"
    notes = f"{seed}/clip/{place}"
    match kind:
        case "cover":
            genre, key = dice.pick(tuple(words.GENRES)), (key + dice.whole(1, 11)) % 12
        case "live":
            tempo *= dice.between(0.94, 1.06)
        case "remix":
            genre, tempo = "edm", tempo * dice.between(1.1, 1.3)
        case "karaoke":
            part = "notes"
        case "sped_up":
            tempo, key = tempo * 1.25, (key + 3) % 12
        case "slowed":
            tempo, key = tempo * 0.83, (key - 3) % 12
        case "reaction":
            notes = f"{seed}/talk/{place}"
        case _:
            pass
    name = f"r{place}" if kind in RIGHT else f"r{place}-{kind}"
    return SoundRow(
        id=f"{name}-{seconds}",
        seed=notes,
        genre=genre,
        key=key,
        mode=song.mode,
        tempo_bpm=round(tempo, 3),
        energy=song.sound.energy,
        part=part,
        seconds=float(seconds),
    )


def make_trailers(seed: int, films: Sequence[Film], rows: VideoRows) -> Iterator[str | None]:
    """A trailer for most films, added to the rows; its id, or None, in the order of the films."""
    for film in films:
        dice = Dice(seed, "trailer", film.movielens)
        if not dice.chance(0.7):
            yield None
            continue
        seconds = dice.whole(85, 160)
        sound = SoundRow(
            id=f"t{film.movielens}",
            seed=f"{seed}/trailer/{film.movielens}",
            genre=dice.pick(tuple(words.GENRES)),
            key=dice.whole(0, 11),
            mode=int(dice.chance(0.4)),
            tempo_bpm=dice.between(70, 140),
            energy=dice.between(0.4, 0.95),
            seconds=float(seconds),
        )
        rows.sounds.append(sound)
        rows.videos.append(
            VideoRow(
                id=video_id(dice),
                title=f"{film.title} ({film.year}) Official Trailer",
                channel=TRAILERS,
                channel_id=channel_id(seed, TRAILERS),
                duration_s=seconds,
                views=int(2_000_000 * film.popularity) + dice.whole(20, 900),
                uploaded=f"{max(2006, film.year):04d}{film.released[1]:02d}{film.released[2]:02d}",
                description=film.overview,
                kind="trailer",
                sound=sound.id,
                picture=_picture(dice, rows, film.genres[0]),
                recording=None,
            )
        )
        yield rows.videos[-1].id
