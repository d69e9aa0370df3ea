"""Words that tell one version of a recording from another, and words that tell nothing, in several languages.

Kinds of versions are another recording than the item, unless the item itself is that version. Editions (remaster,
deluxe, album version) are the same recording; notes (official video, lyrics, HD) say nothing of it.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import groupby

from anyascii import anyascii

from connectors.matching import normalise

EDITION, NOTE = "edition", "note"

# Each phrase is read by `words`, so accents, case and script do not matter. "|" parts phrases.
_PHRASES: dict[str, str] = {
    "live": """live|en vivo|ao vivo|dal vivo|en directo|en direct|en concert|in concert|in concerto|concert|concierto|
        konzert|unplugged|live session|sessions|session|tiny desk|kexp|live lounge|glastonbury|lollapalooza|coachella|
        rock am ring|rock in rio|wembley|woodstock|top of the pops|totp|jools holland|letterman|jimmy kimmel|kimmel|
        jimmy fallon|fallon|tonight show|late show|late night|ellen show|saturday night live|snl|x factor|the voice|
        got talent|american idol|vmas|grammys|grammy awards|brit awards|brits|performance|performs|performing|
        performed live|on stage|soundcheck|super bowl|halftime show|world tour|tour|festival|colors show|
        a colors show|vevo lift|vevo dscvr|audiotree|boiler room|концерт|живой звук|вживую|на концерте|ライブ|ライヴ|
        생방송|라이브|콘서트|无线|现场|現場|演唱会|演唱會|konser|canli|canlı performans|na zywo|na żywo|
        живое выступление|first take|the first take|home take|the home take|music bank|inkigayo|m countdown|
        it's live|killing voice""",
    "cover": """cover|covers|covered by|coverd by|cover by|cover version|tribute|tribute to|in the style of|
        originally performed by|originally performed|made famous by|as made famous by|made popular by|lullaby|
        lullaby rendition|music box|8 bit|8bit|bardcore|medieval|string quartet|piano tribute|drum cover|bass cover|
        guitar cover|piano cover|piano tutorial|violin cover|cello cover|sax cover|saxophone cover|metal cover|
        rock cover|choir cover|a cappella cover|ai cover|synthesia|orchestral|orchestra version|symphonic|
        fingerstyle|ukulele|kalimba|marimba|rendition|version by|vocal cover|кавер|каверы|カバー|커버|
        歌ってみた|弾いてみた|叩いてみた|翻唱|kapak|coveri|meets metal|metal version|jazz version|bossa nova version|
        reggae version|cumbia version|salsa version|bachata version|rock version|punk version|epic version|
        orgel|chiptune|オルゴール|ピアノ|sung by|lofi|lo fi|lofi version|8-bit version|postmodern jukebox|auditions|
        audition|workout version|workout mix|kids version|kidz bop|fan made|fanmade|
        amateur|played on|performed on|on piano|on guitar|on ukulele|kazoo|otamatone|theremin|
        recorder version|beatbox|by a choir|by an orchestra|marching band""",
    "karaoke": """karaoke|karaoké|karaokê|カラオケ|노래방|караоке|卡拉ok|伴奏|backing track|backing tracks|
        minus one|minusone|минус|минусовка|off vocal|no vocals|without vocals|sing along|singalong|play along|
        with guide vocals|guide vocal|sing king|karafun|instrumental karaoke|playback|karaoke version""",
    "instrumental": """instrumental|instrumentale|instrumentals|instrumental version|inst|インスト|インストゥルメンタル|
        инструментал|isolated guitar|isolated bass|drumless|beat only|type beat|stems|без слов|伴奏版|純音樂|纯音乐|
        without drums|without bass|without guitar|no drums|no bass|no guitar""",
    "vocals": """acapella|a capella|a cappella|acappella|vocals only|only vocals|isolated vocals|vocal only""",
    "remix": """remix|remixed|remixes|rmx|mix|bootleg|mashup|mash up|rework|reworked|flip|vip mix|dub|dub mix|refix|
        re edit|edit by|ремикс|リミックス|리믹스|混音|club mix|dance mix|house mix|dj mix|remezcla|remiks|phonk|
        hardstyle|drill version|drill remix|jersey club|techno version|trap version|dnb|drum and bass|megamix|
        vs|vip|house version|amapiano|eurodance|remake|dubstep|mix by|intro mix|dub version|techno remix""",
    "fast": """sped up|speed up|spedup|speedup|sped up version|super sped up|nightcore|fast version|faster|x2 speed|
        tiktok version|tiktok remix|ускоренная|acelerada|high pitch|higher key|ナイトコア|speed songs|sped|speed ver""",
    "slow": """daycore|slowed|slowed down|slow down|super slowed|ultra slowed|slowed reverb|slowed and reverb|
        slowed n reverb|slowed with reverb|slowedreverb|reverb|reverbed|slow version|chopped and screwed|chopped|
        screwed|half speed|замедленная|замедлено|lento|low pitch|lower key|anti nightcore|slowed version""",
    "effect": """8d|8d audio|16d|9d audio|bass boosted|bassboosted|pitched|pitch shifted|432hz|432 hz|528hz|
        in another room|from another room|muffled|underwater|distorted|reversed|backwards|loud version|ncs version|
        empty arena|but its|playing in|in a bathroom|in an empty mall|underground|8d music|3d audio|
        dolby atmos|spatial audio|binaural""",
    "bulk": """1 hour|one hour|2 hours|3 hours|10 hours|1hour|1 hora|1 час|1 heure|1 stunde|30 minutes|10 min loop|
        1時間|1시간|一小时|一小時|loop|looped|extended loop|on repeat|full album|full ep|album completo|
        disco completo|полный альбом|greatest hits|best songs|best of|top 10|top 20|top 50|top 100|playlist|
        compilation|medley|megamix|nonstop|non stop|mixtape|mega mix|all songs|collection|full concert|
        全曲|作業用bgm|メドレー|альбом|grandes exitos|mejores canciones|maiores sucessos|full show|full set|
        dj set|discography|hour loop|hours loop""",
    "talk": """reaction|reacts|reacting|reacts to|react|reaccion|реакция|リアクション|리액션|review|interview|
        behind the scenes|making of|making the video|making video|teaser|trailer|preview|snippet|tutorial|lesson|
        how to play|how to sing|explained|meaning|breakdown|analysis|parody|parodia|пародия|dance practice|choreography|
        choreo|coreografia|dance cover|dance video|chords|tabs|guitar tab|fancam|직캠|first time hearing|
        first listen|documentary|commentary|podcast|episode|vocal coach|just dance|beat saber|guitar hero|
        rock band|clone hero|fortnite|roblox|meme|shorts|challenge|audiobook|whatsapp status|status video|
        status|ringtone|amv|gacha|glmv|lyric prank|vlog|news|unboxing|explicado|explicacion|разбор|urok|урок|
        sheet music|piano lesson|guitar lesson|osu|fnf|edit audio|audio edit|scene|clip from|fan edit|
        recording session|in the studio|dance performance|mirrored|relay dance|安利|reaccionando|unofficial trailer""",
    "acoustic": """acoustic|acustico|acústico|acustica|acoustique|akustik|akustisch|acoustic version|stripped|
        stripped down|акустика|акустическая|アコースティック|어쿠스틱|不插电|不插電|piano version|version acoustique|
        unplugged version|piano acoustic|voice and piano|guitar version|campfire version""",
    "demo": """demo|demos|demo version|home demo|early version|alternate take|alternate version|alt version|
        alternative version|outtake|rough mix|take 1|take 2|take 3|rehearsal|unreleased|leaked|work tape|
        alternate mix|first draft|voice memo|демо|デモ""",
    "rerecorded": """re recorded|rerecorded|re recording|re recorded version|taylors version|new version|new recording|
        2nd version|version 2|v2|orchestral version|symphonic version|choir version|anniversary recording""",
    "language": """spanish version|version en espanol|versión en español|en español|en espanol|version española|
        english version|english ver|in english|french version|version francaise|italian version|german version|
        deutsche version|portuguese version|em portugues|japanese version|japanese ver|korean version|korean ver|
        chinese version|mandarin version|russian version|на русском|in italiano|versione italiana|auf deutsch|
        multi language|multilanguage|english cover|hindi version|tamil version|telugu version|
        cantonese version|국어 버전|日本語版|日本語ver|中文版|国语版|粤语版|svensk version|suomeksi""",
    "edit": """radio edit|single edit|radio mix|radio version|radio cut|short version|short edit|video edit|edit|
        edited version|edited|video version|single mix|tv size|tv size version|tv version|short ver|clean edit|
        radio|album version edited|short mix|mix cut|short cut|cut""",
    "extended": """extended|extended version|extended mix|extended edit|long version|full length version|12 inch|
        12 version|12 mix|12 inch version|maxi version|extended play|versione estesa|uncut""",
    EDITION: """remaster|remastered|remastered version|remasterizado|remasterisé|remasterizada|digital remaster|
        digitally remastered|remasterização|deluxe|deluxe edition|deluxe version|super deluxe|bonus track|bonus|
        expanded edition|expanded|anniversary edition|anniversary version|anniversary|explicit|explicit version|
        explicit album version|clean|clean version|dirty|uncensored|censored|album version|album mix|lp version|
        single version|single|original version|original|original mix|original album version|main|main version|
        mono|mono version|mono mix|stereo|stereo version|stereo mix|ep version|45 version|7 version|7 inch version|
        7 inch|special edition|limited edition|collectors edition|reissue|re issue|legacy edition|
        original motion picture soundtrack|motion picture soundtrack|original soundtrack|soundtrack version|soundtrack|
        original song|ost|full version|studio version|from the album|from the motion picture|from the film|
        from the movie|from the vault|ремастер|リマスター|원곡|完整版|edición deluxe|international version|
        us version|uk version|version originale|versión original|versao original|new mix|original recording|
        bonus version|intro|outro|full song|restored|high resolution|hi res|original cast recording""",
    NOTE: """official|officiel|oficial|ufficiale|offizielles|offizielle|offiziell|resmi|officiell|video|videos|
        music video|music|audio|audio only|lyric|lyrics|lyrical|with lyrics|lyric video|lyrics video|visualizer|
        visualiser|visual|hd|hq|uhd|4k|8k|1080p|720p|2160p|60fps|full hd|mv|m v|pv|clip|clipe|clip officiel|
        videoclip|videoclipe|video clip|video oficial|letra|letras|con letra|letra oficial|legendado|traducao|
        tradução|traduccion|traduction|sub español|sub espanol|subtitulado|subtitulada|subtitles|subtitled|
        english sub|eng sub|indo sub|vostfr|paroles|testo|songtext|liedtext|tekst|text|sözleri|şarkı sözleri|
        lirik|lirik lagu|текст|текст песни|слова|клип|официальный|официальное|видео|аудио|премьера|премьера клипа|
        премьера песни|премьера трека|песня|новинка|premiere|premiere clip|новый клип|color coded|color coded lyrics|
        colour coded|han rom eng|rom eng|kan rom eng|han|rom|eng|romanized|romaji|pinyin|가사|자막|뮤직비디오|
        공식|음원|歌詞|歌词|歌詞付き|動態歌詞|动态歌词|中文字幕|拼音|公式|ミュージックビデオ|官方|官方版|完整|高音質|
        高音质|無損|closed captioned|cc|captions|vevo|topic|out now|new|new song|nuevo|nueva|song|songs|track|
        high quality|best quality|good quality|original video|official channel|canal oficial|full|tiktok|
        tik tok|spotify|youtube|itunes|apple music|album|single version video|pseudo video|
        static video|cover art|art track|album art|remastered hd|hd remastered|remastered video|
        prod|produced by|prod by|dir|directed by|shot by|explicit lyrics|explicit video|official explicit|
        vinyl|45 rpm|78 rpm|cd|flac|lossless|lyrics in description|description|en|letra y|sub|subs|
        greek lyrics|στίχοι|official audio|bass|free download|free|release|ncs release|monstercat release|
        theme|theme song|opening|ending|op|ed|trending|viral|hits|hit|tiktok song|lyricvideo|audiovisual""",
}

# "live" before these is a verb: "Live Your Life", "Live and Let Die", "Live Like You Were Dying".
_VERB_LIVE = frozenset("your my and forever like life without to for is a while alone together young free now".split())
_SPOKEN = {
    **{"pt": "part", "pts": "part", "vol": "volume", "ii": "2", "iii": "3", "featuring": "feat", "ft": "feat"},
    **{"versus": "vs", "rmx": "remix", "ver": "version", "versao": "version", "n": "and"},
}
_KANA = re.compile("[\u3040-\u30ff]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_STYLED = ((re.compile(r"(?<=\w)\$|\$(?=\w)"), "s"), (re.compile(r"(?<=\w)[!¡](?=\w)"), "i"))


@lru_cache(1 << 15)
def words(text: str) -> tuple[str, ...]:
    """The words of a text in plain Latin letters: accents gone, other scripts romanised, a Chinese sign is a word.

    >>> words("Beyoncé – Crazy In Love (ライブ)")
    ('beyonce', 'crazy', 'in', 'love', 'raibu')
    """
    for pattern, letter in _STYLED:
        text = pattern.sub(letter, text)
    # A letter of its own in Cyrillic, which `normalise` takes for an accented one: it is written y, not i.
    text = unicodedata.normalize("NFC", text).replace("й", "y").replace("Й", "y")
    found: list[str] = []
    for word in normalise(text).split():
        if word.isascii():
            found.append(_SPOKEN.get(word, word))
        else:
            found.extend(_romanised(word))
    return tuple(found)


def _romanised(word: str) -> Iterator[str]:
    # Scripts without spaces: where the script changes a word ends, and each Chinese sign is a word of its own.
    for script, letters in groupby(word, _script):
        run = "".join(letters)
        for piece in run if script == "han" else (run,):
            plain = "".join(c for c in anyascii(piece).lower() if c.isalnum())
            if plain:
                yield _SPOKEN.get(plain, plain)


def _script(letter: str) -> str:
    if _HAN.match(letter):
        return "han"
    if _KANA.match(letter):
        return "kata" if letter >= "\u30a0" else "hira"
    if "\uac00" <= letter <= "\ud7a3":
        return "hangul"
    return "other"


@cache
def _lexicon() -> dict[tuple[str, ...], str]:
    found: dict[tuple[str, ...], str] = {}
    for kind, phrases in _PHRASES.items():
        for phrase in phrases.split("|"):
            found.setdefault(words(phrase), kind)
    found.pop((), None)
    return found


@cache
def _longest() -> int:
    return max(map(len, _lexicon()))


def marks(tokens: Sequence[str]) -> list[tuple[int, int, str]]:
    """Where the tokens hold words of the lexicon, the longest ones first: (start, end, kind), in order.

    >>> marks(words("radio edit 2011"))
    [(0, 2, 'edit')]
    """
    lexicon, found, at = _lexicon(), list[tuple[int, int, str]](), 0
    while at < len(tokens):
        for end in range(min(len(tokens), at + _longest()), at, -1):
            kind = lexicon.get(tuple(tokens[at:end]))
            if kind and not (
                end == at + 1 and tokens[at] == "live" and end < len(tokens) and tokens[end] in _VERB_LIVE
            ):
                found.append((at, end, kind))
                at = end
                break
        else:
            at += 1
    return found
