"""A text is held against the language it declares; what is short, mixed or unknown contradicts nothing."""

import pytest

from expectations.language import contradicts

ENGLISH = "The story of a man and his dog who travel to the sea."
GERMAN = "Der Film erzählt die Geschichte einer Frau, die mit ihrem Mann und dem Kind nach Berlin zieht."
FRENCH = "Une jeune femme est dans la ville avec son père et sa mère, qui cherchent les enfants."
SPANISH = "Un niño y su perro se pierden en la ciudad y buscan el camino a casa con la ayuda de los vecinos."
ITALIAN = "Una donna e il marito di sua sorella sono nella città che non hanno più visto dopo la guerra."
DUTCH = "Een man die niet weet wie hij is zoekt met de hulp van zijn zus naar het huis van de familie."
RUSSIAN = "Это фильм о любви и смерти"
JAPANESE = "映画の物語は東京で始まる、そして"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (GERMAN, "de"),
        (FRENCH, "fr"),
        (SPANISH, "es"),
        (ITALIAN, "it"),
        (DUTCH, "nl"),
        (RUSSIAN, "cyrillic"),
        (JAPANESE, "hiragana"),
    ],
)
def test_what_is_not_english_contradicts_it(text: str, found: str) -> None:
    assert contradicts(text, "en") == found


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        (ENGLISH, "en"),
        (GERMAN, "de"),
        (FRENCH, "fr"),
        (RUSSIAN, "ru"),
        (RUSSIAN, "uk"),
        (JAPANESE, "ja"),
        (GERMAN, "xx"),
    ],
)
def test_a_text_in_its_language_contradicts_nothing(text: str, declared: str) -> None:
    assert contradicts(text, declared) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1917",
        "Нет",  # four letters say nothing
        "La dolce vita",
        "Amélie and Les Misérables in the cinema of Los Angeles: the making of a film.",
        "A retelling of Наше кино, shown at the festival of the city for the first time.",
    ],
)
def test_short_or_mixed_texts_contradict_nothing(text: str) -> None:
    assert contradicts(text, "en") is None


def test_latin_letters_contradict_a_language_of_another_script() -> None:
    assert contradicts(ENGLISH, "ru") == "latin"
    assert contradicts("Ovo je priča o ljubavi i smrti", "sr") is None  # written in both
