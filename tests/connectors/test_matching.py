"""Names are equal where people would say so, and different where a recording is another one."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.matching import match_key, normalise, title_key

NAMES = st.text(max_size=40)
# Letters that are upper and lower case of each other, one to one: "ß" and "ı" are not.
CASED = st.text(alphabet="abcdefghijklmnopqrstuvwxyzåäöéñçøæдежюαβγω 0123456789", max_size=40)


@given(NAMES)
def test_normalising_twice_changes_nothing(name: str) -> None:
    once = normalise(name)
    assert normalise(once) == once


@given(NAMES, NAMES)
def test_any_text_gives_a_key_or_none(creator: str, title: str) -> None:
    key = match_key([creator], title)
    assert key is None or all(key.split("|"))


@given(NAMES)
def test_a_normalised_name_holds_letters_digits_and_single_spaces(name: str) -> None:
    words = normalise(name).split(" ")
    assert words == [""] or all(any(c.isalnum() for c in word) for word in words)
    assert not any(unicodedata.category(c)[0] in "PSZC" for word in words for c in word)


@given(CASED)
def test_case_makes_no_difference(name: str) -> None:
    assert normalise(name.upper()) == normalise(name.lower()) == normalise(name)


@given(NAMES)
def test_the_way_a_letter_is_composed_makes_no_difference(name: str) -> None:
    assert normalise(unicodedata.normalize("NFD", name)) == normalise(unicodedata.normalize("NFC", name))


@given(CASED, st.sampled_from(["(feat. Bo)", "[ft. Bo]", "(with Bo)", "(Featuring Bo & Al)", "feat. Bo", "ft Bo"]))
def test_guests_make_no_difference(title: str, guests: str) -> None:
    if normalise(title) and not title.rstrip()[-1].isdigit():
        assert title_key(f"{title} {guests}") == title_key(title)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Beyoncé", "BEYONCE"),
        ("Sigur Rós", "sigur ros"),
        ("Guns N' Roses", "Guns N Roses"),
        ("Don't Stop", "Dont Stop"),
        ("Don’t Stop", "Don't Stop"),
        ("Don´t Stop", "Don`t Stop"),
        ("Simon & Garfunkel", "Simon and Garfunkel"),
        ("AC/DC", "ac dc"),
        ("ＡＢＣ", "abc"),
        ("Straße", "STRASSE"),
        ("Ёлка", "Елка"),
        ("soft\u00adhyphen", "softhyphen"),
        ("  spaced \t out ", "spaced out"),
        ("방탄소년단", unicodedata.normalize("NFD", "방탄소년단")),
    ],
)
def test_spellings_of_one_name_are_equal(one: str, other: str) -> None:
    assert normalise(one) == normalise(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("かき", "がき"),  # the voicing mark makes another letter
        ("दिल", "दाल"),  # so do vowel signs
        ("ทาง", "ทุง"),
        ("坂本龍一", "坂本"),
        ("방", "반"),
    ],
)
def test_letters_of_any_script_stay(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    "version",
    [
        "(Live)",
        "- Live",
        "[Acoustic]",
        "- Loud Luxury Remix",
        "(2011 Remaster)",
        "- Sped Up",
        "(Karaoke Version)",
        "II",
    ],
)
def test_another_version_is_another_recording(version: str) -> None:
    assert title_key(f"Luna {version}") != title_key("Luna")


@pytest.mark.parametrize("version", ["(Live)", "[Remix]", "- Live at Wembley", "– Radio Edit"])
@pytest.mark.parametrize("guests", ["feat. Bo", "ft. Bo Al", "(feat. Bo)", "featuring Bo"])
def test_guests_do_not_hide_the_version_behind_them(guests: str, version: str) -> None:
    assert title_key(f"Luna {guests} {version}") == title_key(f"Luna {version}") != title_key("Luna")


@pytest.mark.parametrize("title", ["(Feat. Nobody)", "Featuring", "feat.", "With You", "Ft", "10 Ft. Ganja Plant"])
def test_a_title_that_looks_like_guests_keeps_its_words(title: str) -> None:
    assert title_key(title) == normalise(title)


def test_a_key_is_the_first_creator_without_article_and_the_title() -> None:
    assert match_key(["The Beatles", "Billy Preston"], "Get Back (feat. Billy Preston)") == "beatles|get back"
    assert match_key(["Jay-Z feat. Alicia Keys"], "Empire State of Mind") == "jay z|empire state of mind"
    assert match_key(["The The"], "The The") == "the|the the"


@pytest.mark.parametrize(
    ("creators", "title"),
    [([], "Luna"), (["Bo"], None), (["Bo"], ""), (["!!!"], "Luna"), (["Bo"], "❤️"), ([""], "Luna")],
)
def test_no_key_where_nothing_would_be_identified(creators: list[str], title: str | None) -> None:
    assert match_key(creators, title) is None
