"""Pictures are prepared as the processors of the transformers library prepare them."""

from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from featurizers.hf_pixels import by_processor, preparation
from tests.featurizers.pictures import saved

# As the known encoders have them: ResNet (ConvNeXT's), CLIP, DINOv2 (BiT's), DINO (ViT's).
PROCESSORS: dict[str, Any] = {
    "convnext": lambda: ConvNextImageProcessorPil(size={"shortest_edge": 224}, crop_pct=0.875),
    "convnext, warped": lambda: ConvNextImageProcessorPil(size={"shortest_edge": 384}),
    "clip": CLIPImageProcessorPil,
    "bit": lambda: BitImageProcessorPil(size={"shortest_edge": 256}),
    "vit": ViTImageProcessorPil,
}
SIZES = [(300, 450), (451, 299), (224, 224), (97, 120), (1000, 1500)]


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colours with some noise, as a picture has."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (9, 7, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return Image.fromarray((smooth + rng.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", PROCESSORS)
def test_pixels_are_those_of_the_processor(kind: str, size: tuple[int, int]) -> None:
    processor, picture = PROCESSORS[kind](), photo(*size)
    prepare = preparation(processor)
    assert prepare is not None
    found = prepare(saved(picture, "png"))
    expected = processor(images=[picture], return_tensors="np")["pixel_values"][0]
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    level = 1 / 255 / np.array(processor.image_std)[:, None, None]
    assert (np.abs(found - expected) <= level + 1e-5).all()


@pytest.mark.parametrize("kind", PROCESSORS)
def test_a_turned_photo_is_prepared_upright(kind: str) -> None:
    processor, picture = PROCESSORS[kind](), photo(300, 450)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(picture.rotate(90, expand=True), "png", exif=exif)
    prepare = preparation(processor)
    assert prepare is not None
    level = 1 / 255 / np.array(processor.image_std)[:, None, None]
    # Two levels: it is scaled before it is turned, and Pillow rounds after each axis.
    assert (np.abs(prepare(turned) - prepare(saved(picture, "png"))) <= 2 * level + 1e-5).all()


@pytest.mark.parametrize("processor", [CLIPImageProcessorPil(), ConvNextImageProcessorPil(size={"shortest_edge": 224})])
def test_a_large_jpeg_decoded_small_is_close(processor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = preparation(processor)
    assert prepare is not None
    data = saved(photo(1000, 1500), "jpeg", quality=92)
    asked: list[Any] = []
    draft = Image.Image.draft
    from PIL.JpegImagePlugin import JpegImageFile

    original = JpegImageFile.draft
    monkeypatch.setattr(JpegImageFile, "draft", lambda self, *a: asked.append(original(self, *a)) or asked[-1])
    small = prepare(data)
    assert asked[0][1][2:] == (500, 750)
    monkeypatch.setattr(JpegImageFile, "draft", draft)
    full = prepare(data)
    assert np.abs(small - full).mean() < 0.02  # of a range of 4
    assert np.corrcoef(small.ravel(), full.ravel())[0, 1] > 0.999


def test_a_processor_with_rules_of_its_own_does_its_work_itself() -> None:
    processor = CLIPImageProcessorPil(do_pad=True, size={"shortest_edge": 20}, crop_size={"height": 32, "width": 32})
    assert preparation(processor) is None
    picture = photo(60, 40)
    expected = processor(images=[picture], return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(by_processor(processor, saved(picture, "png")), expected, atol=1e-6)
