"""The reliability diagram of `benchmarks.linking`, drawn with Pillow alone."""

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

SIDE, MARGIN = 400, 70
COLOURS = {"youtube": (200, 60, 50), "spotify": (30, 140, 80)}
INK, GREY = (40, 40, 40), (170, 170, 170)


def draw(result: dict[str, Any], path: Path) -> None:
    """Per source: what was said against what was right; the dot's size tells how many pairs, the line is perfect."""
    picture = Image.new("RGB", (MARGIN + (SIDE + MARGIN) * len(result), SIDE + 2 * MARGIN), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    for place, (source, found) in enumerate(result.items()):
        left, top = MARGIN + place * (SIDE + MARGIN), MARGIN
        pen.rectangle((left, top, left + SIDE, top + SIDE), outline=GREY)
        pen.line((left, top + SIDE, left + SIDE, top), fill=GREY, width=2)
        for tenth in range(0, 11, 2):
            at = tenth * SIDE // 10
            pen.text((left + at - 8, top + SIDE + 6), f"{tenth / 10:.1f}", fill=INK, font=font)
            pen.text((left - 30, top + SIDE - at - 8), f"{tenth / 10:.1f}", fill=INK, font=font)
        points = [(left + r["predicted"] * SIDE, top + SIDE - r["right"] * SIDE) for r in found["reliability"]]
        pen.line(points, fill=COLOURS.get(source, INK), width=2)
        for (x, y), row in zip(points, found["reliability"], strict=True):
            size = 3 + 9 * (row["pairs"] / found["pairs"]) ** 0.25
            pen.ellipse((x - size, y - size, x + size, y + size), fill=COLOURS.get(source, INK))
        title = f"{source}: calibration error {found['calibration_error']:.3f}"
        pen.text((left, top - 46), title, fill=INK, font=font)
        scores = f"precision {found['precision']:.3f}, recall {found['recall']:.3f}, {found['pairs']:,} pairs"
        pen.text((left, top - 26), scores, fill=INK, font=font)
        pen.text((left + SIDE // 2 - 80, top + SIDE + 28), "said by the model", fill=INK, font=font)
    pen.text((8, 8), "share that is right, by what the model said", fill=INK, font=font)
    picture.save(path, optimize=True)
