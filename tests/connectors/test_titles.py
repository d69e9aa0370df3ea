"""Titles are read as people read them."""

import pytest

from connectors.titles import names, pieces, read_name, window
from connectors.versions import marks, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Beyoncé – Halo", ("beyonce", "halo")),
        ("Группа крови", ("gruppa", "krovi")),
        ("ヨルシカ", ("yorushika",)),
        ("现场版", ("xian", "chang", "ban")),
        ("Ke$ha", ("kesha",)),
        ("P!nk", ("pink",)),
        ("Rock & Roll, Pt. II", ("rock", "and", "roll", "part", "2")),
        ("★", ()),
    ],
)
def test_words_are_plain_latin_in_any_script(text: str, found: tuple[str, ...]) -> None:
    assert words(text) == found


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Live at the Moth Hall", ["live"]),
        ("Live and Let Die", []),
        ("Live Your Life", []),
        ("En Vivo", ["live"]),
        ("ao vivo", ["live"]),
        ("ライブ", ["live"]),
        ("ドライブ", []),  # "drive" ends like "live" in kana
        ("кавер", ["cover"]),
        ("slowed + reverb", ["slow"]),
        ("sped up", ["fast"]),
        ("1 Hour Loop", ["bulk", "bulk"]),
        ("2011 Remaster", ["edition"]),
        ("Radio Edit", ["edit"]),
        ("In the Style of Nimbo", ["cover"]),
    ],
)
def test_version_words_are_known_in_several_languages(text: str, kinds: list[str]) -> None:
    assert [kind for _, _, kind in marks(words(text))] == kinds


@pytest.mark.parametrize(
    ("title", "name", "versions", "details"),
    [
        ("Old Lamp - 2009 Remaster", "old lamp", set(), set()),
        ("Old Lamp (feat. Bo) - Kolibri Remix", "old lamp", {"remix"}, {"kolibri"}),
        ("Old Lamp (Live at Copper Room 1986)", "old lamp", {"live"}, {"copper", "room", "1986"}),
        ("(No) Old Lamp - Mono", "no old lamp", set(), set()),
        ("Live and Let Lamp", "live and let lamp", set(), set()),
        ("Nimbo - Old Lamp (Official Video)", "old lamp", set(), set()),
    ],
)
def test_an_items_title_is_split_into_name_and_version(
    title: str, name: str, versions: set[str], details: set[str]
) -> None:
    found = read_name(title, ("Nimbo",))
    assert " ".join(found.ways[0]) == name
    assert (found.versions, found.details) == (versions, details)


def test_guests_are_no_part_of_the_title() -> None:
    first, second = pieces("Nimbo - Old Lamp ft. Bo & Al")
    assert (first.tokens, second.tokens, second.guests) == (("nimbo",), ("old", "lamp"), ("bo", "and", "al"))
    assert read_name("Old Lamp (with Bo)", ()).guests == ("bo",)
    assert read_name("Dance with Me", ()).ways[0] == ("dance", "with", "me")


def test_a_band_of_several_names_is_also_each_of_them() -> None:
    assert names("Nimbo & Copper Antlers") == (("nimbo", "and", "copper", "antlers"), ("nimbo",), ("copper", "antlers"))
    assert names("Nimbo x Bo feat. Al")[1:] == (("nimbo",), ("bo",), ("al",))
    assert names("Maxx") == (("maxx",),)


def test_a_name_is_found_though_it_is_spaced_in_another_way() -> None:
    tokens = words("Nimbo Ice Cream Official")
    assert window(tokens, ("icecream",), [True] * 4) == (1.0, 1, 3)
    assert window(tokens, ("thunder",), [True] * 4)[0] == 0.0
    assert window(tokens, ("icecream",), [True, True, False, True])[0] < 0.8
