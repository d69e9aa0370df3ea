"""What is expected of `texts`, among others that they are in the language they say."""

from typing import Any

from expectations.checks import Suite, kept_values, rows_where, twice
from expectations.language import KNOWN_BY_WORDS, contradicts, word_pattern
from storage.lazy import pa

KINDS = ("overview", "document", "lyrics")
_SHOWN = "item_id, kind, language, left(value, 80) as value"
_THERE = "(reason is null or reason = 'empty')"


def texts_suite() -> Suite:
    """Kinds, values, languages, known items, and coverage per kind against the last release."""
    return Suite(
        table="texts",
        reads=("texts", "items"),
        source="(select t.*, known.item_id is not null as known, wrong.found as found from texts t "
        "left join (select distinct item_id from items) known using (item_id) "
        "left join wrong_language wrong using (item_id, kind))",
        before={
            "before_items": "select count(*) as n from items having count(*) > 0",
            **{
                f"before_{kind}": f"select item_id, kind from texts where kind = '{kind}' and {_THERE}"
                for kind in KINDS
            },
        },
        prepare=find_wrong_languages,
        checks=(
            twice("item_id, kind", "an item has two texts of one kind"),
            rows_where("item_known", "the item is not in `items`", "not known", "item_id, kind, reason"),
            rows_where("kind_known", f"the kind is none of {', '.join(KINDS)}", f"kind not in {KINDS}", _SHOWN),
            rows_where(
                "value_not_empty",
                "there is neither a text nor a reason why not",
                "reason is null and trim(coalesce(value, '')) = ''",
                _SHOWN,
            ),
            rows_where(
                "language_as_declared",
                "script or stop words are not those of the declared language",
                "found is not null",
                "item_id, kind, language as declared, found, left(value, 80) as value",
                threshold=0.005,  # sources hold some texts in a language of their own; a guess
            ),
            *(
                check
                for kind in KINDS
                for check in kept_values(
                    f"_{kind}",
                    f"a text of kind {kind}",
                    f"kind = '{kind}' and {_THERE}",
                    "item_id, kind",
                    f"before_{kind}",
                    "item_id, kind, reason, detail",
                )
            ),
        ),
    )


def find_wrong_languages(con: Any, former: Any) -> None:
    """Make the table `wrong_language` (item_id, kind, found) of the texts that contradict what they declare.

    DuckDB clears what plainly has the words of its language, 99 of 100 overviews; the rest is looked at one by one.
    """
    words = " ".join(
        f"when language = '{code}' then len(regexp_extract_all(prose, '{word_pattern(code)}'))"
        for code in KNOWN_BY_WORDS
    )
    # A document is names and keywords but for its overview: those may be in any language (420 of 119,014 tracks' were).
    prose = "case when kind = 'document' then regexp_extract(value, '(?s)\\nOverview: (.*)', 1) else value end"
    suspects = con.sql(
        f"select item_id, kind, language, left(prose, 2000) as text from (select *, {prose} as prose from texts "
        "where reason is null and value is not null and language is not null) where prose <> '' "
        f"and coalesce(case {words} end, 0) < 0.15 * len(string_split(prose, ' '))"
    )
    wrong: list[tuple[str, str, str]] = []
    for batch in suspects.to_arrow_reader(10_000):
        rows = batch.to_pylist()
        wrong += [(r["item_id"], r["kind"], f) for r in rows if (f := contradicts(r["text"], r["language"]))]
    columns = zip(("item_id", "kind", "found"), zip(*wrong, strict=True) if wrong else ((), (), ()), strict=True)
    con.register("wrong_language", pa.table({name: pa.array(list(cells), pa.string()) for name, cells in columns}))
