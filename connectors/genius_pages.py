"""The words on a song page of Genius, in every layout it has had since 2020; never the words around them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bs4 import BeautifulSoup
from bs4.element import Comment, NavigableString, Tag
from lyricsgenius.utils import decode_js_string

from connectors.errors import BlockedPage

State = Literal["lyrics", "instrumental", "untranscribed", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lyrics:
    """What a page says: `text` is there exactly where `state` is "lyrics"."""

    text: str | None
    state: State
    language: str | None = None  # as the page states it: "en", "pt"; None where it does not


# Fonts and the page's state are nine tenths of it, and hold no element we read.
_BULK = re.compile(r"<(script|style|svg)\b[^>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_CLASS = r"<(\w+)\b[^<>]*\bclass\s*=\s*[\"'](?:[^\"'<>]*\s)?{}"
# How the elements that hold the words begin, and how they are selected; the newest layout first.
_LAYOUTS = (
    (
        re.compile(r"<(\w+)\b[^<>]*\bdata-lyrics-container\s*=\s*[\"']?true[^<>]*>", re.IGNORECASE),
        '[data-lyrics-container="true"]',
    ),
    # Not `SidebarLyrics__Container`, which pages of logged-in readers have too.
    (re.compile(_CLASS.format("Lyrics__Container")), '[class^="Lyrics__Container"], [class*=" Lyrics__Container"]'),
    (re.compile(_CLASS.format(r"lyrics(?=[\s\"'])")), ".lyrics"),
)
_PLACEHOLDER = (re.compile(_CLASS.format("LyricsPlaceholder__Message")), '[class*="LyricsPlaceholder__Message"]')
_STATE = re.compile(r"window\.__PRELOADED_STATE__\s*=\s*JSON\.parse\('((?:[^'\\]|\\.)*)'\)", re.DOTALL)
# Beside the words inside the lyrics' element; by class, as styled-components name them, with or without a hash behind.
_AROUND = re.compile(
    r"LyricsHeader|Lyrics__(?:Header|Footer|Recommend)|LyricsFooter|InreadAd|SidebarAd|RightSidebar|RecommendedSongs"
    r"|ContributorsCredit|SongBioPreview|ShareButtons|LyricsEdit|PrimisPlayer|QuestionList"
)
_SILENT_TAGS = frozenset("script style noscript template svg button form select aside inread-ad h1 h2".split())
_BLOCKS = frozenset("div p li ul ol blockquote section table tr h3 h4".split())
_ANNOTATION = re.compile(r"\[[^\[\]\n]*(?:\n[^\[\]\n]*){0,2}\]")
# Some contributors write headers in parentheses (seen on pages of 2015-2020); an echo "(Hey)" is sung, so only these.
_SECTION = re.compile(
    r"^\((?:(?:pre|post)[- ])?(?:verse|chorus|bridge|refrain|hook|intro|outro|interlude|coda|solo|guitar solo|break"
    r"|breakdown|instrumental|part|repeat|verso|coro|estribillo|refr[aã]o|couplet|strophe|strofa|ritornello|refrein)"
    r"(?: (?:\d+|[ivx]+|x\d+))?:?\)$",
    re.IGNORECASE | re.MULTILINE,
)
_INSTRUMENTAL = re.compile(r"^\W*(?:this song is an? |the )?instrumental(?: track| song| version)?\W*$", re.IGNORECASE)
_LATER = re.compile(
    r"yet to be (?:transcribed|released)|check back once|lyrics (?:will be|to be) (?:added|available|released)"
    r"|lyrics (?:coming soon|pending|available upon)|^\W*(?:coming soon|unreleased|not transcribed|missing lyrics)\W*$",
    re.IGNORECASE,
)
_LATER_CHARACTERS = 300  # a song that sings of it is longer than the notice
_LANGUAGE = re.compile(
    r"Lyrics Language(?:\\*\"|&quot;),\s*(?:\\*\"|&quot;)value(?:\\*\"|&quot;):\s*(?:\\*\"|&quot;)([a-z]{2,3}\b)"
)
_BLOCK_TITLE = re.compile(
    r"<title[^>]*>\s*(?:just a moment|attention required|access (?:denied|to this page)|are you a (?:robot|human)"
    r"|please wait|verif(?:y|ying) you|security check|captcha|pardon our interruption|before you continue|403 forbidden"
    r"|too many requests|one more step)",
    re.IGNORECASE,
)
_BLOCK_BODY = re.compile(
    r"cf-(?:chl|challenge|error-details|browser-verification)|_cf_chl_opt|g-recaptcha|h-captcha|px-captcha"
    r"|enable javascript and cookies to continue|checking (?:if the site|your browser)|unusual traffic"
    r"|make (?:us|genius) human",
    re.IGNORECASE,
)
_OURS = re.compile(
    r"assets\.genius\.com|genius://songs|__PRELOADED_STATE__|data-lyrics-container|LyricsPlaceholder__"
    r"|Lyrics__Container|<div class=\"lyrics\"|content=\"Genius\"",
)


def lyrics_of(html: str, *, headers: bool = False) -> Lyrics:
    """The words of the song.

    Args:
        html: The page as received.
        headers: Keep section headers and other annotations in brackets, "[Chorus]", "[?]".

    Returns:
        Lines ended by line feeds, stanzas apart by one empty line.

    Raises:
        BlockedPage: It is a page that keeps robots out.
    """
    lean = _BULK.sub("", html)
    found = next((text for layout in _LAYOUTS if (text := _words(lean, *layout)).strip()), "") or _embedded(html)
    if not found.strip():
        if is_blocked(html):
            raise BlockedPage("genius: a page that keeps robots out came in place of the lyrics", source="genius")
        found = _words(lean, *_PLACEHOLDER)
    found = _tidy(found)
    words = _tidy(_SECTION.sub("", _tidy(_ANNOTATION.sub("", found))))
    state = _state(found, words)
    text = (found if headers else words) if state == "lyrics" else None
    language = _LANGUAGE.search(html)
    return Lyrics(text=text, state=state, language=language[1] if language else None)


def is_blocked(html: str) -> bool:
    """Whether a page without lyrics keeps robots out: captcha, consent, "checking your browser"."""
    head = html[:200_000]
    return bool(_BLOCK_TITLE.search(head) or (_BLOCK_BODY.search(head) and not _OURS.search(html)))


def is_song_page(html: str) -> bool:
    """Whether the page bears a mark of Genius' song pages; what does not is no answer of theirs."""
    return bool(_OURS.search(html))


def _words(html: str, start: re.Pattern[str], selector: str) -> str:
    """The text of the elements of a layout; of the page no more than they take is parsed, a twentieth of it."""
    opened = list(start.finditer(html))
    if not opened:
        return ""
    part = html[opened[0].start() : max(_end(html, tag) for tag in opened)]
    found = BeautifulSoup(part, "html.parser").select(selector)
    held = set(map(id, found))  # by identity: two equal choruses are two tags
    outermost = [tag for tag in found if not any(id(parent) in held for parent in tag.parents)]
    pieces = map(_rendered, outermost)
    return "".join(piece if piece.endswith("\n") else f"{piece}\n" for piece in pieces)


def _end(html: str, opened: re.Match[str]) -> int:
    """Where the element that begins there ends; the page's end where it is not closed."""
    depth = 0
    for tag in re.compile(rf"<(/?){opened[1]}\b[^>]*>", re.IGNORECASE).finditer(html, opened.start()):
        depth += -1 if tag[1] else 1
        if depth == 0:
            return tag.end()
    return len(html)


def _rendered(element: Tag) -> str:
    return "".join(_pieces(element))


def _pieces(element: Tag) -> Iterator[str]:
    """Text as a browser shows it: white space is one space, lines end at `<br>` and around blocks."""
    for child in element.children:
        if isinstance(child, Tag):
            if child.name == "br":
                yield "\n"
            elif _is_around(child):
                yield "\n"  # an advertisement takes the place of an empty line
            else:
                block = child.name in _BLOCKS
                yield from ("\n",) if block else ()
                yield from _pieces(child)
                yield from ("\n",) if block else ()
        elif isinstance(child, NavigableString) and not isinstance(child, Comment):
            yield re.sub(r"\s+", " ", str(child))


def _is_around(tag: Tag) -> bool:
    if tag.name in _SILENT_TAGS or tag.get("data-exclude-from-selection") == "true":
        return True
    said = tag.get("class") or ""
    return bool(_AROUND.search(said if isinstance(said, str) else " ".join(said)))


def _embedded(page: str) -> str:
    """The words in the page's state; its own line feeds are formatting."""
    found = _STATE.search(page)
    if not found:
        return ""
    try:
        html = json.loads(decode_js_string(found[1]))["songPage"]["lyricsData"]["body"]["html"]
    except (ValueError, KeyError, TypeError):
        return ""
    return _rendered(BeautifulSoup(html, "html.parser")) if isinstance(html, str) else ""


def _state(found: str, words: str) -> State:
    if _INSTRUMENTAL.match(words) or (not words and re.search(r"\binstrumental\b", found, re.IGNORECASE)):
        return "instrumental"
    if len(found) <= _LATER_CHARACTERS and _LATER.search(found):
        return "untranscribed"
    if any(map(str.isalnum, words)):
        return "lyrics"
    return "untranscribed" if found.strip() else "none"


def _tidy(text: str) -> str:
    lines = (" ".join(line.replace("\u200b", "").split()) for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
