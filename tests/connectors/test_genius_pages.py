"""Lyrics are read from every layout Genius has had; what stands around them, and block pages, never become text."""

import json

import pytest

from connectors.errors import BlockedPage
from connectors.genius_pages import is_blocked, is_song_page, lyrics_of

WORDS = "Paper moons on the wall\nça va, ça vient (hey)\n\nOver the bay\nlights fall"
# The layouts as they followed each other, with what stood around the words then.
OLD = """<div class="song_body-lyrics"><h2>Paper Moons Lyrics</h2><div class="lyrics"> <!--sse-->
<p>[Verse 1: <a href="/artists/Ann">Ann</a>]<br>
<a href="/1" class="referent">Paper moons on the wall<br>
ça va, ça vient (hey)</a><br>
<br>
<inread-ad>Buy now</inread-ad>(Chorus)<br>
Over the bay<br>
lights <i>fall</i></p>
<!--/sse--> </div><div>More on Genius</div></div>"""
REACT = """<div class="Lyrics__Root-sc-1"><div class="LyricsHeader__Container-1"><h2>Paper Moons Lyrics</h2></div>
<div class="Lyrics__Container-sc-1ynbvzw-2 jgQsqn">[Verse 1]<br/><a href="/1" class="ReferentFragmentVariant"><span
class="ReferentFragmentdesktop__Highlight">Paper moons on the wall<br/>ça va,</span></a> ça vient (hey)</div><div
class="InreadAd__Container-sc-2"><div class="InreadAd__Content">Buy now</div></div><div class="RightSidebar__Container">
You might also like</div><div class="Lyrics__Container-sc-1">[Chorus]<br/>Over the bay<br/>lights <b>fall</b></div>
<div class="Lyrics__Footer-sc-3">12Embed</div></div>"""
DATA = REACT.replace('<div class="Lyrics__Container', '<div data-lyrics-container="true" class="Lyrics__Container')
EXCLUDED = DATA.replace(
    "[Verse 1]",
    '<div data-exclude-from-selection="true" class="sc-9"><button>3 Contributors</button><h2>Paper Moons Lyrics</h2>'
    "<div>A song about paper… Read More</div></div>[Verse 1: <i>Ann</i> &amp; <b>Bo</b>]",
)
HEADER = DATA.replace(
    "[Verse 1]", '<div class="LyricsHeader__Container-sc-8"><div>3 Contributors</div><svg>x</svg></div>[Verse 1]'
)
STATE = {"songPage": {"lyricsData": {"body": {"html": OLD.partition("<p>")[2].partition("</p>")[0]}}}}
EMBEDDED = "<script>window.__PRELOADED_STATE__ = JSON.parse('" + (
    json.dumps(STATE).replace("\\", "\\\\").replace("'", "\\'") + "');</script><div id='lyrics-root'></div>"
)


@pytest.mark.parametrize("page", [OLD, REACT, DATA, EXCLUDED, HEADER, EMBEDDED])
def test_the_words_are_the_same_in_every_layout(page: str) -> None:
    assert lyrics_of(f"<html><body>{page}</body></html>").text is not None
    found = lyrics_of(f"<html><body>{page}</body></html>")
    assert (found.state, found.text.replace("\n\n", "\n")) == ("lyrics", WORDS.replace("\n\n", "\n"))


def test_headers_are_kept_on_request() -> None:
    text = lyrics_of(EXCLUDED, headers=True).text or ""
    assert text.splitlines()[0] == "[Verse 1: Ann & Bo]"
    assert "[Chorus]" in text
    assert "Contributors" not in text


def test_white_space_is_as_a_browser_shows_it() -> None:
    page = "<div data-lyrics-container='true'>\n   One\n   two&nbsp;<br>\n\n\u200b<br><br><br> three </div>"
    assert lyrics_of(page).text == "One two\n\nthree"


def test_an_advertisement_stands_for_the_empty_line_it_replaced() -> None:
    # As on pages of 2022 and 2023: one within a link, one between stanzas; the sidebar's container is none of ours.
    page = (
        "<div class='SidebarLyrics__Container-bv8'>Complete the song</div>"
        "<div data-lyrics-container='true' class='Lyrics__Container-sc-1'><a><span>one<br>two<br>"
        "<inread-ad></inread-ad>[Chorus]<br>three</span></a><br>"
        "<div data-exclude-from-selection='true'><div>Buy</div></div><i>four</i><br></div>"
        "<div class='RightSidebar__Container'>x</div><div data-lyrics-container='true'><b>five</b></div>"
    )
    assert lyrics_of(page).text == "one\ntwo\n\nthree\n\nfour\nfive"
    by_class = page.replace("data-lyrics-container='true'", "")
    assert lyrics_of(by_class).text == "one\ntwo\n\nthree\n\nfour"


def test_a_container_within_a_container_is_read_once() -> None:
    inner = "<div data-lyrics-container='true'>la<br>la</div>"
    assert lyrics_of(f"<div data-lyrics-container='true'>so{inner}</div>{inner}").text == "so\nla\nla\nla\nla"


def test_an_echo_in_parentheses_is_sung_and_a_section_in_parentheses_is_not() -> None:
    page = "<div class='lyrics'>(Verse 2)<br>Go<br>(Hey)<br>(Pre-Chorus)<br>(Chorus x2)<br>on</div>"
    assert lyrics_of(page).text == "Go\n(Hey)\n\non"


@pytest.mark.parametrize(
    ("page", "state"),
    [
        ('<div class="LyricsPlaceholder__Message-uen8er-3">This song is an instrumental</div>', "instrumental"),
        ('<div class="lyrics"><p>Instrumental</p></div>', "instrumental"),
        ('<div class="lyrics"><p>[Instrumental]</p></div>', "instrumental"),
        ('<div data-lyrics-container="true">[Intro]<br>[Instrumental: Strings]</div>', "instrumental"),
        (
            '<div class="LyricsPlaceholder__Message-sc-2">Lyrics for this song have yet to be transcribed. '
            "Please check back once the song has been released.</div>",
            "untranscribed",
        ),
        (
            '<div class="LyricsPlaceholder__Message-1">Lyrics have yet to be released.</div>',
            "untranscribed",
        ),
        ('<div data-lyrics-container="true">[?]</div>', "untranscribed"),
        ('<div data-lyrics-container="true">[Lyrics coming soon]</div>', "untranscribed"),
        ('<div class="somewhere-else">!!! no words here !!!</div>', "none"),
        ("plain words without any page around them", "none"),
        ("", "none"),
    ],
)
def test_a_page_without_words_says_why_and_has_no_text(page: str, state: str) -> None:
    found = lyrics_of(page)
    assert (found.state, found.text) == (state, None)


def test_a_song_about_an_instrumental_is_a_song() -> None:
    page = "<div class='lyrics'>This song is an instrumental<br>but I sing it<br>" + "la la<br>" * 80 + "</div>"
    assert lyrics_of(page).state == "lyrics"
    sung = "<div class='lyrics'>[Instrumental]<br>Yet to be released<br>" + "I wait and wait<br>" * 40 + "</div>"
    assert lyrics_of(sung).state == "lyrics"


def test_the_language_is_what_the_page_says() -> None:
    state = r'<script>x = "{\"key\":\"Lyrics Language\",\"value\":\"pt\"}"</script>'
    old = "<meta content='{&quot;key&quot;:&quot;Lyrics Language&quot;,&quot;value&quot;:&quot;en&quot;}'>"
    assert lyrics_of(state + REACT).language == "pt"
    assert lyrics_of(old + OLD).language == "en"
    assert lyrics_of(OLD).language is None


@pytest.mark.parametrize(
    "page",
    [
        "<title>Just a moment...</title><p>Enable JavaScript and cookies to continue</p>",
        "<title>Attention Required! | Cloudflare</title>",
        "<title>Genius</title><div class='g-recaptcha'></div>We have to make sure you are no robot",
        "<TITLE> Access denied</TITLE> You have been blocked",
        "<title>Before you continue</title><form>Accept all cookies</form>",
    ],
)
def test_a_block_page_is_never_lyrics(page: str) -> None:
    with pytest.raises(BlockedPage, match="keeps robots out"):
        lyrics_of(page)
    assert is_blocked(page)


def test_a_song_page_with_the_scripts_of_its_protection_is_no_block_page() -> None:
    # Cloudflare puts its script on ordinary pages too.
    script = "<script src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'></script>"
    page = f"<title>Ann – Access Denied Lyrics | Genius Lyrics</title>{script}{DATA}"
    assert lyrics_of(page).state == "lyrics"
    assert is_song_page(page)
    assert not is_blocked(page)
