"""What a blocked build says on its one screen."""

from expectations.gate import Found, refusal


def failed(table: str, check: str) -> Found:
    return Found(
        table=table,
        check=check,
        severity="block",
        success=False,
        observed={"value": 0.5, "rows": 5, "of": 10},
        expected="none",
        examples=[{"item_id": "a"}],
        about="rows that must not be",
        compared_with=None,
    )


def test_every_table_is_shown_before_a_second_check_of_one() -> None:
    found = [failed("features/a", f"check{n}") for n in range(6)] + [failed("items", "ids"), failed("media", "files")]
    said = refusal(found, current="v1", docs="here")
    shown = [line.split(":")[0].strip() for line in said.splitlines() if line.startswith("  ") and line[2] != " "]
    assert shown[:4] == ["features/a.check0", "items.ids", "media.files", "features/a.check1"]
    assert "no release: 8 of 8 checks failed that must pass; v1 stays current" in said
    assert len(said.splitlines()) <= 24
