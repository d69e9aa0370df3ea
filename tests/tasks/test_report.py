"""The release report: when it is drawn, what stands in it, and that nothing in it runs or fetches."""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from storage.objects import DRAFT
from storage.reasons import Reason
from storage.releases import current_release, rollback
from storage.reports import newest_report, page_name, read_page
from tasks.maintain import take_down, vacuum
from tasks.release import ReleaseBlocked
from tasks.report import NoReport, find_report
from tasks.report_html import REASONS, share, shortened, text
from tasks.report_maps import project
from tests.tasks.shelf import Shelf, track_id

HOSTILE = "<script>alert(1)</script>\"'&</title>\x00\u2028"
TABULAR = {"tabular": {"numeric": ["year"]}}
_EMPTY_TAGS = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """What a browser would make of the page: elements with attributes, and the scripts' text; balanced, or it fails."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.said: list[str] = []
        self._open: list[str] = []
        self.feed(content.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in _EMPTY_TAGS:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self._open[-1:] == ["script"] else self.said).append(data)

    @property
    def sections(self) -> list[str | None]:
        return [attributes["id"] for tag, attributes in self.elements if tag == "section"]


def page(shelf: Shelf) -> bytes:
    """The newest page; it must have been drawn."""
    row = newest_report(shelf.store)
    assert row is not None
    assert row["reason"] is None, row["detail"]
    content = read_page(shelf.store, row["sha256"])
    assert row["size_bytes"] == len(content)
    return content


def pages(shelf: Shelf) -> set[str]:
    return {name for name in shelf.store.objects.names("reports") if not name.endswith(DRAFT)}


@pytest.fixture
def films(tmp_path: Path) -> Shelf:
    """Films with ratings, an overview, a poster, links of two sources, and features with an index."""
    shelf = Shelf(tmp_path, "movielens", "tmdb", "images", featurizers=TABULAR)
    shelf.sources["images"] |= {"items": False, "options": {"ids": "movielens"}}
    titles = [(n, f"Film {n} ({1990 + n})", "Crime|Drama" if n % 2 else "Comedy") for n in range(1, 9)]
    links = [(n, "", str(100 + n)) for n in range(1, 9)]
    ratings = [(user, n, 0.5 * n, 964982703 + 3_000_000 * n) for user in range(1, 4) for n in range(1, 8)]
    shelf.movielens(titles, links=links, ratings=ratings)
    shelf.tmdb({"id": 101, "title": "Film 1", "original_language": "en", "overview": "A heist by the harbour."})
    (tmp_path / "images").mkdir()
    Image.new("RGB", (60, 90), (200, 30, 30)).save(tmp_path / "images" / "1.jpg")
    (tmp_path / "images" / "2.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    return shelf


# --- when it is drawn


def test_nothing_changed_draws_nothing_and_releases_nothing(films: Shelf) -> None:
    first = films.build()
    assert (first.release_id, films.results["report"].done) == ("v1", 1)
    drawn = newest_report(films.store)
    assert drawn is not None
    assert (drawn["release_id"], drawn["compared_with"]) == ("v1", None)
    for _ in range(2):
        assert films.build() == first
        assert films.results["report"].status == "up_to_date"
    assert newest_report(films.store) == drawn
    films.store.rewrite("items")
    films.build()
    assert films.results["report"].status == "up_to_date"


def test_a_change_draws_the_next_release_against_the_current_one(films: Shelf) -> None:
    films.build()
    films.csv("films/movies.csv", "movieId,title,genres", [(n, f"Film {n} (1999)", "Crime") for n in range(1, 10)])
    second = films.build()
    drawn = newest_report(films.store)
    assert drawn is not None
    assert (second.release_id, drawn["release_id"], drawn["compared_with"]) == ("v2", "v2", "v1")
    assert "+1 since v1" in said(films)
    assert "as in v1" in said(films)
    rollback(films.store, "v1")
    assert films.build().release_id == "v1"
    assert films.results["report"].status == "up_to_date"


def test_another_catalogue_is_another_page(films: Shelf) -> None:
    films.build()
    before = newest_report(films.store)
    films.changes["about"] = "Three words more"
    films.build()
    assert films.results["report"].done == 1
    assert newest_report(films.store) != before
    assert "Three words more" in said(films)


def test_every_release_keeps_its_page_and_the_others_are_swept(films: Shelf) -> None:
    films.build()
    first = find_report(films.store, "v1")
    films.tmdb({"id": 101, "title": "Film 1", "original_language": "en", "overview": "Another heist."})
    films.build()
    second = find_report(films.store)
    assert (first.release_id, second.release_id, second.published) == ("v1", "v2", True)
    assert find_report(films.store, "v1") == first
    films.store.objects.write(page_name("0" * 64), b"of a build that was killed")
    assert len(pages(films)) == 3
    vacuum(films.store)
    assert pages(films) == {page_name(first.sha256), page_name(second.sha256)}


def test_a_taken_down_item_leaves_no_page_that_shows_it(films: Shelf) -> None:
    films.build()
    item = films.item("Film 1")
    assert item.encode() in page(films)
    take_down(films.store, [item])
    assert pages(films) == set()
    with pytest.raises(NoReport, match=r"no report of nothing; `mediateca build` draws one"):
        find_report(films.store)
    films.build()
    assert item.encode() not in page(films)
    assert "Film 2" in said(films)


# --- what stands in it


def said(shelf: Shelf) -> str:
    return " ".join(Page(page(shelf)).said)


def test_hostile_titles_are_text_and_nothing_more(films: Shelf) -> None:
    films.movielens([(n, f"{HOSTILE} {n} (1995)", HOSTILE) for n in range(1, 6)])
    films.changes["about"] = HOSTILE
    films.build()
    content = page(films)
    found = Page(content)
    scripts = [attributes for tag, attributes in found.elements if tag == "script"]
    assert [s.get("type") for s in scripts] == ["application/json", None]
    assert "alert(1)" in said(films)
    assert not any("alert(1)" in script for script in found.scripts[1:])
    assert b"\x00" not in content
    assert b"<script>alert" not in content
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)


def test_the_page_fetches_nothing(films: Shelf) -> None:
    films.tmdb({"id": 101, "title": "Film 1", "original_language": "en", "overview": "See https://example.org/x.png"})
    films.build()
    found = Page(page(films))
    for tag, attributes in found.elements:
        for name in ("src", "href", "srcset", "poster", "data", "action"):
            if value := attributes.get(name):
                assert value.startswith(("data:", "#")), (tag, name, value[:60])
    style = next(re.findall(r"<style>(.*?)</style>", page(films).decode(), re.DOTALL).__iter__())
    assert "url(" not in style
    assert "@import" not in style
    policy = next(a["content"] for t, a in found.elements if t == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:;")


def test_every_section_that_has_data_is_there(films: Shelf) -> None:
    films.build()
    assert Page(page(films)).sections == [
        "checks", "coverage", "reasons", "distributions", "interactions", "look", "maps", "neighbours", "indexes",
    ]  # fmt: skip
    films.changes["about"] = "again"
    films.build()
    assert Page(page(films)).sections[-1] == "releases"


def test_sections_without_data_are_left_out(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "spotify")
    shelf.spotify({"id": track_id(1), "name": "Luna", "artist": "Bo"})
    shelf.build()
    assert Page(page(shelf)).sections == ["checks", "coverage", "reasons", "distributions"]


def test_nothing_at_all_is_a_page_too(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "movielens")
    shelf.movielens([("one", "Heat (1995)", "Crime")])
    with pytest.raises(ReleaseBlocked, match="the table 'items' is empty"):
        shelf.build()
    assert "There is no item. Nothing is released yet." in said(shelf)
    assert "movieId is not a whole number" in said(shelf)


def test_the_numbers_are_those_of_the_tables(films: Shelf) -> None:
    films.build()
    content = page(films).decode()
    counts = dict(re.findall(r'data-count="([^"]*)">([\d,]+)<', content))
    sql = "select count(*) from {}"
    for name, of in {
        "films": "items where kind = 'film'",
        "interactions": "interactions",
        "users": "users",
        "overviews and lyrics": "texts where kind = 'overview' and reason is null",
        "images": "media where kind = 'image' and reason is null",
    }.items():
        assert [int(counts[name].replace(",", ""))] == films.sql(sql.format(of)), name
    covered = dict(re.findall(r'data-covered="([^"]*)">.*?</strong> ([\d,]+ of [\d,]+)<', content))
    assert covered["tabular"] == "8 of 8"
    assert covered["overview"] == "1 of 8"
    assert covered["image"] == "1 of 8"
    assert covered["rated or played"] == "7 of 8"
    (bar,) = re.findall(r'data-covered="image">.*?aria-label="([^"]*)"', content)
    assert bar == "value 1, decode_error 1, no source has it 6"
    reasons = {(table, reason): int(n) for table, reason, n in _reason_rows(content)}
    assert reasons == dict(_reasons_in_sql(films))


def _reason_rows(content: str) -> list[Any]:
    section = content.split('<section id="reasons">')[1].split("</section>")[0]
    return re.findall(
        r'<tr><th scope="row">(.*?)</th><td><code>(.*?)</code>.*?</td><td class="num">(\d+)</td></tr>', section
    )


def _reasons_in_sql(shelf: Shelf) -> list[Any]:
    tables = {"entities": "entities", "links": "links", "texts": "texts", "media": "media"}
    selects = [
        f"select '{name}', reason, count(*) from {view} where reason is not null group by reason"
        for name, view in (tables | {"features/tabular": "features_tabular"}).items()
    ]
    return [((table, reason), n) for table, reason, n in shelf.sql(" union all ".join(selects))]


def test_pictures_stand_beside_their_texts(films: Shelf) -> None:
    films.build()
    found = Page(page(films))
    (image,) = [attributes for tag, attributes in found.elements if tag == "img"]
    assert image["alt"] == "Picture of Film 1"
    assert str(image["src"]).startswith("data:image/jpeg;base64,")
    assert "A heist by the harbour." in said(films)


def test_a_build_that_is_blocked_says_so(films: Shelf) -> None:
    films.build()
    films.movielens([(1, "Film 1 (1991)", "Crime"), (2, "Film 2 (1992)", "Comedy")])
    with pytest.raises(ReleaseBlocked):
        films.build()
    current = current_release(films.store)
    assert current is not None
    assert current.release_id == "v1"
    report = find_report(films.store)
    assert (report.release_id, report.published) == ("v2", False)
    text_of_page = said(films)
    assert "Not fit to be released." in text_of_page
    assert "v1 stays current." in text_of_page
    checks = page(films).decode().split('<section id="checks">')[1].split("</section>")[0]
    assert 0 < checks.index("items.not_shrunk") < checks.index("<details>")
    assert find_report(films.store, "v1").published


def test_tables_have_headers_and_pictures_words(films: Shelf) -> None:
    films.build()
    elements = Page(page(films)).elements
    assert all(a.get("alt") for t, a in elements if t == "img")
    assert all(a.get("aria-label") or a.get("aria-hidden") for t, a in elements if t == "svg")
    assert all(a.get("aria-label") for t, a in elements if t == "table")
    assert {a.get("scope") for t, a in elements if t == "th"} == {"col", "row"}
    ids = [a["id"] for _, a in elements if "id" in a]
    assert len(set(ids)) == len(ids)


# --- small things


def test_every_reason_has_words_for_readers() -> None:
    assert REASONS.keys() == {reason.value for reason in Reason}


def test_a_share_is_whole_only_where_it_is() -> None:
    shown = [share(*pair).replace("\u202f", " ") for pair in [(0, 9), (9, 9), (1, 99_999), (99_998, 99_999), (1, 3)]]
    assert shown == ["0 %", "100 %", "< 0.1 %", "> 99.9 %", "33 %"]


def test_texts_lose_what_html_cannot_hold() -> None:
    assert unescape(text("a\x00b\x1fc\td\u202e\u200c<&>\"'")) == "abc\td\u200c<&>\"'"
    assert shortened("one two three four", 12) == "one two\u00a0…"
    assert shortened("short", 12) == "short"


def test_a_map_is_the_same_for_the_same_vectors_and_parts_what_differs() -> None:
    dice = np.random.default_rng(0)
    array = np.vstack([dice.normal(0, 0.1, (40, 8)), dice.normal(0, 0.1, (40, 8)) + np.eye(8)[0] * 3])
    xy, explained = project(array)
    assert np.array_equal(xy, project(array)[0])
    assert abs(xy[:40, 0].mean() - xy[40:, 0].mean()) > 0.8
    assert explained[0] > 0.9
    assert xy.min() >= 0
    assert xy.max() <= 1
    assert project(np.ones((5, 3)))[1] == (0.0, 0.0)
    assert project(np.arange(4.0)[:, None])[0].shape == (4, 2)
