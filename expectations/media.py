"""What is expected of `media`: what decoding showed, as the table's contract says."""

from expectations.checks import Suite, kept_values, rows_where, twice

KINDS = ("audio_window", "audio_native", "image")
RATE_HZ = 22_050
WINDOW_S = 30.0
_SHOWN = "item_id, kind, sha256, rate_hz, duration_s, width, height"
_THERE = "reason is null"


def media_suite() -> Suite:
    """Hashes, windows, rates, sizes, known items, and coverage per kind against the last release."""
    return Suite(
        table="media",
        reads=("media", "items"),
        source="(select m.*, known.item_id is not null as known "
        "from media m left join (select distinct item_id from items) known using (item_id))",
        before={
            "before_items": "select count(*) as n from items having count(*) > 0",
            **{
                f"before_{kind}": f"select item_id, kind from media where kind = '{kind}' and {_THERE}"
                for kind in KINDS
            },
        },
        checks=(
            twice("item_id, kind", "an item has two media of one kind"),
            rows_where("item_known", "the item is not in `items`", "not known", "item_id, kind, reason"),
            rows_where("kind_known", f"the kind is none of {', '.join(KINDS)}", f"kind not in {KINDS}", _SHOWN),
            rows_where(
                "sha256_shape",
                "there is a value without the hash of its file",
                f"{_THERE} and not (length(coalesce(sha256, '')) = 64 and regexp_full_match(sha256, '[0-9a-f]+'))",
                _SHOWN,
            ),
            rows_where(
                "window_length",
                "an audio window is empty or longer than a window",
                # A frame more: resampling rounds the last sample up.
                f"{_THERE} and kind = 'audio_window' "
                "and not (coalesce(duration_s, 0) > 0 and duration_s <= {threshold} + 0.05)",
                _SHOWN,
                threshold=WINDOW_S,
                meaning="seconds of a window",
                expected="more than 0 and at most {threshold:g} s",
            ),
            rows_where(
                "window_rate",
                f"an audio window is not sampled at {RATE_HZ:,} Hz",
                f"{_THERE} and kind = 'audio_window' and rate_hz is distinct from {RATE_HZ}",
                _SHOWN,
            ),
            rows_where(
                "image_size",
                "a picture has no width or height",
                f"{_THERE} and kind = 'image' and not (coalesce(width, 0) > 0 and coalesce(height, 0) > 0)",
                _SHOWN,
            ),
            *(
                check
                for kind in KINDS
                for check in kept_values(
                    f"_{kind}",
                    f"media of kind {kind}",
                    f"kind = '{kind}' and {_THERE}",
                    "item_id, kind",
                    f"before_{kind}",
                    "item_id, kind, reason, detail",
                )
            ),
        ),
    )
