"""Genius' song pages in the layouts that it had over the years; the words around them are the sandbox's own.

`headed` is today's: lyrics in containers with `data-lyrics-container`, with a header inside that is no lyrics and is
marked `data-exclude-from-selection`. `excluded` has the marked parts without the header, `contained` the containers
alone, `react` containers known by their class name only, and `old` is the page before 2021.
"""

import json
from html import escape

from deployments.sandbox.tables import SongRow

PLACEHOLDERS = {
    "instrumental": "This song is an instrumental",
    "untranscribed": "Lyrics for this song have yet to be transcribed.",
    "unreleased": "Lyrics for this song have yet to be released. Please check back once the song has been released.",
}
"""What stands in place of the lyrics, by why there are none."""

LAYOUTS = ("headed", "excluded", "contained", "react", "old")
_CONTAINER = "Lyrics__Container-sc-3d1d18a3-1 fYvvOW"


def song_page(row: SongRow, artist: str, layout: str) -> str:
    """The page of a song in one of `LAYOUTS`."""
    body = _old(row) if layout == "old" else _react(row, layout)
    title = escape(f"{artist} - {row.title} Lyrics | Genius Lyrics")
    state = "" if layout == "old" else _state(row)
    return f"""<!DOCTYPE html>
<html class="snarly apple_music_player--enabled" xml:lang="en" lang="en" xmlns="http://www.w3.org/1999/xhtml">
<head><base target='_top' href="//genius.com/"><meta charset="utf-8"><title>{title}</title>
<meta property="og:url" content="https://genius.com{row.path}" /><meta property="og:title" content="{title}" />
</head><body><div id="application"><div class="StickyNav-desktop__Container"><a href="/">Genius</a></div>
<main class="SongPage__Container"><h1 class="SongHeader__Title">{escape(row.title)}</h1>
<a class="SongHeader__Artist" href="/artists/x">{escape(artist)}</a>
{body}
<div class="RightSidebar__Container">You might also like</div><div class="ShareButtons__Root">Embed</div></main></div>
{state}</body></html>"""


def missing_page() -> str:
    """What a path that leads nowhere gives, with HTTP 404."""
    return """<!DOCTYPE html><html><head><title>Burrr! | Genius</title></head><body><div class="not_found">
<h1>Oops! Page not found</h1><p>Our robots were unable to find this page.</p></div></body></html>"""


def _react(row: SongRow, layout: str) -> str:
    if row.state != "complete":
        return (
            '<div id="lyrics-root" class="Lyrics__Root-sc-3d1d18a3-0">'
            '<div class="LyricsPlaceholder__Container-sc-14a8">'
            f'<div class="LyricsPlaceholder__Message-sc-14a8">{PLACEHOLDERS[row.state]}</div></div></div>'
        )
    mark = "" if layout == "react" else ' data-lyrics-container="true"'
    verses = row.lyrics.split("\n\n")
    half = (len(verses) + 1) // 2  # an advertisement stands between the containers
    parts = ["\n\n".join(verses[:half]) + ("\n\n" if verses[half:] else ""), "\n\n".join(verses[half:])]
    containers = [f'<div{mark} class="{_CONTAINER}">{_lines(part)}</div>' for part in parts if part]
    if layout in ("headed", "excluded"):
        inside = (
            _header(row) if layout == "headed" else '<div data-exclude-from-selection="true">You might also like</div>'
        )
        containers[0] = containers[0].replace(">", f">{inside}", 1)
    advert = '<div class="RightSidebar__Advert" data-exclude-from-selection="true">Advertisement</div>'
    return f'<div id="lyrics-root" class="Lyrics__Root-sc-3d1d18a3-0">{advert.join(containers)}</div>'


def _header(row: SongRow) -> str:
    """Title and contributors, which stand inside the first container since 2025."""
    return (
        '<div data-exclude-from-selection="true" class="LyricsHeader__Container-sc-5e4b7146-1">'
        f"<div>{1 + row.id % 40} Contributors</div><h2>{escape(row.title)} Lyrics</h2></div>"
    )


def _lines(text: str) -> str:
    """Lines with `<br/>` between them; every fourth is an annotated link, as many are."""
    lines = [escape(line, quote=False) for line in text.split("\n")]
    linked = [
        f'<a href="/{1000 + place}/x" class="ReferentFragment-desktop__ClickTarget"><span>{line}</span></a>'
        if line and place % 4 == 1
        else line
        for place, line in enumerate(lines)
    ]
    return "<br/>".join(linked)


def _old(row: SongRow) -> str:
    words = _lines(row.lyrics) if row.state == "complete" else f"[{PLACEHOLDERS[row.state]}]"
    return f'<div class="lyrics">\n<!--sse-->\n<p>{words}</p>\n<!--/sse-->\n</div>'


def _state(row: SongRow) -> str:
    """The page's state as a script: JSON inside a JavaScript string, as Genius embeds it."""
    html = f"<p>{_lines(row.lyrics)}</p>" if row.state == "complete" else ""
    reason = row.state if row.state in ("instrumental", "unreleased") else None
    data = {"body": {"html": html}, "lyricsPlaceholderReason": reason, "clientTimestamps": {"lyricsUpdatedAt": 0}}
    said = json.dumps({"currentPage": "songPage", "songPage": {"song": row.id, "lyricsData": data}})
    text = said.replace("\\", "\\\\").replace("'", "\\'").replace("</", "<\\/")
    return f"<script>window.__PRELOADED_STATE__ = JSON.parse('{text}');</script>"
