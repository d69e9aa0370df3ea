"""Descriptors of drawn pictures are what was drawn."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from featurizers.image_descriptors import NAMES, SCALARS, ImageDescriptors, describe
from featurizers.registry import featurizer
from tests.featurizers.pictures import corners, files, saved


def described(image: Image.Image) -> dict[str, float]:
    """Descriptors of a picture by name."""
    return dict(zip(NAMES, (float(v) for v in describe(np.array(image.convert("RGB")))), strict=True))


def flat(colour: str, width: int = 60, height: int = 60) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def stripes(angle: float) -> Image.Image:
    """Soft light and dark stripes whose edges run at `angle` degrees from the vertical, clockwise."""
    y, x = np.mgrid[0:240, 0:240]
    phase = x * math.cos(math.radians(angle)) + y * math.sin(math.radians(angle))
    return Image.fromarray(np.uint8(127.5 + 120 * np.sin(phase / 4)))


def test_one_grey_has_light_and_nothing_else() -> None:
    found = described(flat("#808080"))
    assert found["brightness"] == pytest.approx(128 / 255)
    for name in ("contrast", "saturation", "colourfulness", "hue_x", "hue_y", "entropy", "sharpness", "edge_density"):
        assert found[name] == pytest.approx(0, abs=1e-5), name
    assert (found["symmetry"], found["aspect_ratio"], found["rgb_222"]) == (1, 0, 1)
    assert not any(value for name, value in found.items() if name.startswith("shape"))


@pytest.mark.parametrize(
    ("colour", "bin", "hue_x", "hue_y"),
    [
        ("red", "rgb_300", 1, 0),
        ("lime", "rgb_030", -0.5, 0.866),
        ("blue", "rgb_003", -0.5, -0.866),
        ("yellow", "rgb_330", 0.5, 0.866),
        ("cyan", "rgb_033", -1, 0),
    ],
)
def test_pure_colours_are_saturated_and_lie_on_the_colour_wheel(
    colour: str, bin: str, hue_x: float, hue_y: float
) -> None:
    found = described(flat(colour))
    assert (found["saturation"], found[bin]) == (1, 1)
    assert (found["hue_x"], found["hue_y"]) == pytest.approx((hue_x, hue_y), abs=1e-3)


def test_colourfulness_is_that_of_the_paper() -> None:
    # Half red, half lime: rg = +-1, yb = 1/2 throughout; M = sqrt(1 + 0) + 0.3 sqrt(0 + 1/4).
    image = flat("red")
    image.paste("lime", (30, 0, 60, 60))
    assert described(image)["colourfulness"] == pytest.approx(1 + 0.3 * 0.5, abs=1e-5)
    assert described(image.convert("L"))["colourfulness"] == 0


def test_halves_of_black_and_white_have_all_contrast_one_bit_and_one_edge() -> None:
    image = flat("black")
    image.paste("white", (30, 0, 60, 60))
    found = described(image)
    assert (found["brightness"], found["contrast"]) == pytest.approx((0.5, 0.5))
    assert found["entropy"] == pytest.approx(1 / 8)
    assert found["edge_density"] == pytest.approx(2 / 60)
    assert found["symmetry"] == pytest.approx(0, abs=1e-6)
    assert (found["rgb_000"], found["rgb_333"]) == (0.5, 0.5)
    assert [found[f"shape_{row}1_0"] for row in range(3)] == pytest.approx([1 / 3] * 3)
    # The Laplacian is +1 and -1 along the edge, 0 elsewhere.
    assert found["sharpness"] == pytest.approx(2 / 60)


@pytest.mark.parametrize("turn", range(8))
def test_edges_are_counted_in_their_direction(turn: int) -> None:
    found = described(stripes(turn * 22.5))
    shares = [sum(found[f"shape_{y}{x}_{n}"] for y in range(3) for x in range(3)) for n in range(8)]
    assert np.argmax(shares) == turn
    assert shares[turn] > 0.85


def test_edges_are_counted_where_they_are() -> None:
    image = flat("white", 90, 90)
    ImageDraw.Draw(image).rectangle((68, 8, 82, 22), fill="black")
    found = described(image)
    assert sum(value for name, value in found.items() if name.startswith("shape_02")) == pytest.approx(1)


def test_blurring_lowers_sharpness_and_noise_has_high_entropy() -> None:
    noise = Image.fromarray(np.random.default_rng(7).integers(0, 256, (120, 120), np.uint8))
    blurred = described(noise.filter(ImageFilter.GaussianBlur(3)))
    assert described(noise)["sharpness"] > 50 * blurred["sharpness"]
    assert described(noise)["entropy"] > 0.98


def test_aspect_ratio_is_that_of_the_upright_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(flat("red", 90, 60), "jpeg", exif=exif)
    upright = saved(flat("red", 600, 900), "png")
    long = saved(flat("red", 4_000, 2), "png")
    found = ImageDescriptors()([turned, upright, long]).values[:, NAMES.index("aspect_ratio")]
    np.testing.assert_allclose(found, [math.log2(2 / 3), math.log2(2 / 3), math.log2(2_000)], atol=0.01)


def test_histograms_add_up_and_all_is_finite_down_to_one_pixel() -> None:
    for size in ((1, 1), (1, 7), (2, 2), (5, 1), (64, 48)):
        found = describe(np.array(corners().resize(size)))
        assert np.isfinite(found).all()
        colours = found[len(SCALARS) : len(SCALARS) + 64]
        shape = found[len(SCALARS) + 64 :]
        assert colours.sum() == pytest.approx(1)
        assert shape.sum() == pytest.approx(1) or not shape.any()


def test_a_picture_gives_the_same_alone_or_in_a_batch_and_a_broken_one_a_reason() -> None:
    encode = featurizer("image_descriptors")
    good = [files()["png RGB"], files()["jpeg CMYK"], files()["gif animated"]]
    batch = encode([good[0], b"no picture", good[1], good[0][:-30], good[2], b""])
    assert batch.errors == (None, "decode_error", None, "decode_error", None, "decode_error")
    assert batch.values.shape == (6, *encode.spec.shape)
    assert batch.values.dtype == np.float32
    assert not batch.values[[1, 3, 5]].any()
    for at, data in zip((0, 2, 4), good, strict=True):
        assert (encode([data]).values[0] == batch.values[at]).all()
    assert encode([]).values.shape == (0, len(NAMES))


def test_scale_matters_little() -> None:
    image = Image.radial_gradient("L").resize((512, 768)).convert("RGB")
    small, large = (ImageDescriptors()([saved(image.resize(s), "png")]).values[0] for s in ((256, 384), (1024, 1536)))
    np.testing.assert_allclose(small, large, atol=0.02)


def test_every_number_is_documented() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "image-descriptors.md").read_text(encoding="utf-8")
    assert len(set(NAMES)) == len(NAMES) == 147
    assert f"{len(NAMES)} numbers" in page
    named = [*SCALARS, NAMES[len(SCALARS)], NAMES[len(SCALARS) + 63], NAMES[len(SCALARS) + 64], NAMES[-1]]
    assert [name for name in named if f"`{name}`" not in page] == []
