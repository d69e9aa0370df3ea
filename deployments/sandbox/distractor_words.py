"""How uploads are called: layouts of titles, notes, marks of versions, channels that do not exist."""

from typing import NamedTuple

LAYOUTS = (
    *("{artist} - {name}",) * 9,
    "{artist} – {name}",
    "{name} - {artist}",
    "{name} - {artist}",
    "{artist}: {name}",
    '{artist} "{name}"',
    '{artist} - "{name}"',
    "{artist}「{name}」",
    "{artist} {name}",
    "{name} by {artist}",
    "{name}",
    "{name}",
    "{artist} | {name}",
    "{artist} -{name}",
)

NOTES: dict[str, tuple[str, ...]] = {
    "video": (
        "Official Video",
        "Official Video",
        "Official Music Video",
        "Official Music Video",
        "Official MV",
        "MV",
        "M/V",
        "Official HD Video",
        "Official 4K Video",
        "Music Video",
        "Video",
        "Official Video [HD]",
        "Remastered Video",
        "Official Video (HD Remaster)",
        "",
    ),
    "audio": ("Official Audio", "Audio", "Official Visualizer", "Visualizer", "Official Lyric Video", "Art Track", ""),
    "lyrics": (
        "Lyrics",
        "Lyric Video",
        "Lyrics Video",
        "with lyrics",
        "Lyrics / Letra",
        "Color Coded Lyrics",
        "Letra",
        "lyrics on screen",
    ),
    "fan": ("HQ", "HD", "High Quality", "full song", "HQ Audio", "1080p", "2011", "Explicit", ""),
}
NATIVE_NOTES: dict[str, tuple[str, ...]] = {
    "es": ("Video Oficial", "Letra", "Videoclip Oficial", "Audio Oficial"),
    "pt": ("Clipe Oficial", "Letra", "Áudio Oficial", "Legendado"),
    "fr": ("Clip officiel", "Paroles", "Audio officiel"),
    "de": ("Offizielles Video", "Songtext"),
    "ru": ("Премьера клипа", "Текст песни", "Официальный клип", "Премьера трека, 2021"),
    "pl": ("Oficjalny Teledysk", "Tekst"),
    "tr": ("Resmi Video", "Sözleri"),
    "el": ("Στίχοι", "Official Video Clip"),
    "ja": ("Official Music Video", "歌詞付き", "MV", "公式"),
    "ko": ("MV", "Official MV", "가사", "뮤직비디오"),
    "zh": ("官方MV", "動態歌詞", "歌词", "Official Music Video"),
    "hi": ("Lyrical Video", "Full Video Song"),
    "ar": ("فيديو كليب", "كلمات"),
}

# What else stands in brackets beside a right upload; {album} {year} {other} are filled in.
ASIDES = (
    "({year})",
    "[4K Upgrade]",
    "({album})",
    "(Prod. by {other})",
    "(dir. by {other})",
    "[{year} Remastered]",
    "(US)",
)

UPLOADERS = (
    "Lyric Harbour",
    "7cloudlets",
    "Vinyl Attic",
    "xXnightowlXx",
    "Songs & Subtitles",
    "musicbox88",
    "Retro Waves",
    "Marta P.",
    "The Lyric Room",
    "DJ Kolibri",
    "Taz Uploads",
    "Global Beats",
    "user-48213",
    "SoundVault",
    "Letras y Más",
    "Музыка Сердца",
    "カナリア",
    "Mood Library",
    "Old Gramophone",
    "HitsForever",
)
COMPILATIONS = (
    "Greatest Hits",
    "The Essential {artist}",
    "Best of {artist}",
    "Now {year}",
    "Summer Hits {year}",
    "{artist} Anthology",
    "Gold",
    "Party Classics",
    "Love Songs",
)
EDITIONS = (
    " - {year} Remaster",
    " - Remastered {year}",
    " (Remastered)",
    " - Remastered",
    " (Deluxe Edition)",
    " - Album Version",
    " - Single Version",
    " (Bonus Track)",
    " - Mono",
    " - {year} Digital Remaster",
    " - Original Version",
    " (Explicit)",
    " - Radio Edit",
)
LONGER = (
    "{name} Again",
    "{name} ({word} {name})",
    "{name}, Pt. 2",
    "{name} II",
    "My {name}",
    "{word} {name}",
    "{name} {word}",
    "The Last {name}",
    "{name} of {word}",
    "No {name}",
)
HALLS = (
    "Moth Hall",
    "Salt Theatre",
    "the Old Observatory",
    "Wembley",
    "Tokyo",
    "Madison Square Garden",
    "Lollapalooza",
    "the BBC",
    "Paris",
    "Glastonbury",
    "Rock am Ring",
    "Copper Room",
)


class Version(NamedTuple):
    """How a kind of version is marked, how long it is against the item, and who uploads it."""

    share: float  # of searches that offer it
    marks: tuple[str, ...]
    stretch: tuple[float, float]
    as_song: float = 0.3  # share that are songs with artists; the others are videos
    by_other: bool = False  # somebody else plays it
    official: float = 0.4  # share uploaded by the artist


VERSIONS: dict[str, Version] = {
    "live": Version(
        0.6,
        (
            "Live",
            "Live",
            "Live at {hall}",
            "Live from {hall}",
            "Live in {hall} {year}",
            "{hall} {year} Live",
            "Live Session",
            "MTV Unplugged",
            "En Vivo",
            "Ao Vivo",
            "ライブ",
            "라이브",
            "Концерт {year}",
            "现场版",
            "Live Performance",
            "Tiny Desk Concert",
            "LIVE {year}",
            "Live on KEXP",
        ),
        (0.85, 1.5),
        official=0.6,
    ),
    "cover": Version(
        0.45,
        (
            "Cover",
            "{other} Cover",
            "Cover by {other}",
            "{artist} Cover",
            "Acoustic Cover",
            "Piano Cover",
            "Guitar Cover",
            "Tribute to {artist}",
            "In the Style of {artist}",
            "Originally Performed by {artist}",
            "кавер",
            "歌ってみた",
            "커버",
            "翻唱",
            "Metal Cover by {other}",
            "covered by {other}",
            "Drum Cover",
            "8-Bit Version",
            "Lullaby Rendition",
        ),
        (0.8, 1.2),
        as_song=0.4,
        by_other=True,
        official=0.0,
    ),
    "karaoke": Version(
        0.3,
        (
            "Karaoke",
            "Karaoke Version",
            "Karaoke Version Originally Performed by {artist}",
            "カラオケ",
            "노래방",
            "Instrumental Karaoke",
            "караоке",
            "Backing Track",
            "Karaoke with Lyrics",
        ),
        (0.97, 1.05),
        as_song=0.4,
        by_other=True,
        official=0.0,
    ),
    "instrumental": Version(
        0.2, ("Instrumental", "Instrumental Version", "Official Instrumental", "Inst."), (0.97, 1.03)
    ),
    "remix": Version(
        0.45,
        (
            "Remix",
            "{other} Remix",
            "{other} Remix",
            "{other} Mix",
            "{other} Bootleg",
            "Club Mix",
            "{other} & {artist} Mashup",
            "{other} Edit",
            "{other} VIP Mix",
            "ремикс",
            "{other} Rework",
            "Official Remix",
        ),
        (0.75, 1.7),
        as_song=0.5,
    ),
    "fast": Version(0.3, ("Sped Up", "sped up", "Nightcore", "Sped Up Version", "speed up"), (0.72, 0.9), official=0.1),
    "slow": Version(
        0.25,
        ("Slowed + Reverb", "slowed & reverb", "Slowed", "super slowed", "slowed n reverb", "slowed to perfection"),
        (1.1, 1.35),
        official=0.1,
    ),
    "effect": Version(0.1, ("8D Audio", "Bass Boosted", "432Hz", "8D"), (0.98, 1.02), as_song=0.05, official=0.0),
    "vocals": Version(0.06, ("Acapella", "A Cappella", "Vocals Only", "Isolated Vocals"), (0.95, 1.03), official=0.2),
    "bulk": Version(
        0.15,
        ("1 Hour", "1 Hour Loop", "10 Hours", "1 hour version", "Full Album", "1時間", "loop 1 hour"),
        (9.0, 20.0),
        as_song=0.0,
        official=0.05,
    ),
    "talk": Version(
        0.2,
        (
            "Reaction",
            "REACTION!!",
            "Guitar Lesson",
            "Piano Tutorial",
            "How to Play",
            "Behind the Scenes",
            "Teaser",
            "First Time Hearing",
            "Dance Practice",
            "Official Trailer",
            "Lyrics Explained",
            "Interview",
        ),
        (0.1, 3.5),
        as_song=0.0,
        official=0.2,
    ),
    "acoustic": Version(
        0.25, ("Acoustic", "Acoustic Version", "Acústico", "Stripped", "Piano Version", "акустика"), (0.85, 1.2), 0.5
    ),
    "demo": Version(
        0.12, ("Demo", "Demo Version", "Early Demo", "Alternate Take", "Rehearsal {year}"), (0.7, 1.3), 0.6
    ),
    "language": Version(
        0.1, ("Spanish Version", "English Version", "Japanese Ver.", "Versión en Español"), (0.96, 1.04)
    ),
    "rerecorded": Version(0.06, ("Re-Recorded", "{artist}'s Version", "New Recording"), (0.97, 1.04), 0.6),
    "odd": Version(
        0.2,
        (
            "playing in an empty mall",
            "Versión Salsa",
            "{hall}",
            "{hall} {year}",
            "played on a toy piano",
            "{other} & Friends",
            "but it's only the chorus",
            "Season 3 Finale",
            "with the {hall} Ensemble",
            "for two harps",
            "Restrung",
        ),
        (0.8, 1.25),
        as_song=0.3,
        official=0.35,
    ),
    "extended": Version(0.15, ("Extended Mix", "Extended Version", '12" Mix', "Long Version"), (1.3, 2.2), 0.6),
}
