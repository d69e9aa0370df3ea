"""Image encoders, proven with tiny random weights and without torchvision."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import AutoModel

from featurizers.base import NoWeights
from featurizers.hf_vision import HfVision
from featurizers.registry import featurizer
from tests.featurizers.pictures import corners, files, saved
from tests.featurizers.tiny import flip_a_weight, tiny_clip, tiny_resnet, tiny_vit

PICTURES = [
    files()["jpeg RGB"],
    b"no picture",
    files()["png I;16"],
    files()["gif animated"],
    files()["jpeg RGB"][:-200],
    saved(corners(90, 200), "webp"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of most tests; not to be changed."""
    return tiny_resnet(tmp_path_factory.mktemp("resnet"))


def resnet(folder: Path, **settings: object) -> HfVision:
    return featurizer("resnet18", model=str(folder), **settings)


@pytest.mark.parametrize("pooling", ["mean", "pooler"])
def test_a_picture_gives_the_same_alone_or_in_a_batch_and_a_broken_one_a_reason(folder: Path, pooling: str) -> None:
    encode = resnet(folder, pooling=pooling, batch_size=2)
    batch = encode(PICTURES)
    assert batch.errors == (None, "decode_error", None, None, "decode_error", None)
    assert (batch.values.shape, batch.values.dtype) == ((6, 16), np.float32)
    assert encode.spec.shape == (16,)
    assert not batch.values[[1, 4]].any()
    for i in (0, 2, 3, 5):
        np.testing.assert_allclose(encode([PICTURES[i]]).values[0], batch.values[i], atol=1e-5)
    assert len({row.tobytes() for row in batch.values[[0, 2, 3, 5]].round(3)}) == 4
    np.testing.assert_allclose(encode(PICTURES[::-1]).values[::-1], batch.values, atol=1e-5)
    assert (encode(PICTURES).values == batch.values).all()
    assert encode([]).values.shape == (0, 16)
    assert encode([b"broken"]).errors == ("decode_error",)


def test_a_picture_is_prepared_as_the_model_says(folder: Path) -> None:
    import torch
    from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil

    processor = ConvNextImageProcessorPil.from_pretrained(folder)
    with torch.inference_mode():
        pixels = processor(images=[corners(90, 200)], return_tensors="pt")["pixel_values"]
        expected = AutoModel.from_pretrained(folder).eval()(pixels).pooler_output.flatten()
    np.testing.assert_allclose(resnet(folder)([saved(corners(90, 200), "png")]).values[0], expected.numpy(), atol=1e-5)


def test_the_turned_file_gives_what_the_upright_one_gives(folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = saved(corners().rotate(180), "png", exif=exif)
    encode = resnet(folder)
    np.testing.assert_allclose(encode([turned]).values, encode([saved(corners(), "png")]).values, atol=1e-5)


def test_a_line_takes_no_more_memory_than_a_picture(folder: Path) -> None:
    encode = resnet(folder)
    lines = encode([saved(Image.new("RGB", (60_000, 1), "red"), "png"), saved(Image.new("RGB", (8, 1), "red"), "png")])
    assert lines.errors == (None, None)
    np.testing.assert_allclose(lines.values[0], lines.values[1], atol=1e-5)


def test_a_transformer_is_pooled_by_its_cls_token_or_its_patches(tmp_path: Path) -> None:
    import torch

    folder = tiny_vit(tmp_path / "vit")
    encode = resnet(folder, pooling="cls")
    pixels = torch.from_numpy(encode._prepared(PICTURES[0]))[None]
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(folder).eval()(pixels).last_hidden_state[0].numpy()
    assert hidden.shape == (17, 16)
    np.testing.assert_allclose(encode(PICTURES[:1]).values[0], hidden[0], atol=1e-5)
    patches = resnet(folder, pooling="mean")(PICTURES[:1]).values[0]
    np.testing.assert_allclose(patches, hidden[1:].mean(0), atol=1e-5)


def test_a_transformer_without_a_cls_token_loses_no_patch(tmp_path: Path) -> None:
    """Swin merges its patches; SigLIP has them alone; DeiT has two places before them."""
    import torch

    for kind, before in (("Swin", 0), ("SiglipVision", 0), ("DeiT", 2)):
        folder = tiny_vit(tmp_path / kind, kind=kind)
        encode = resnet(folder, pooling="mean", architecture="SiglipVisionModel" if "Sig" in kind else "AutoModel")
        pixels = torch.from_numpy(encode._prepared(PICTURES[0]))[None]
        with torch.inference_mode():
            hidden = type(encode.model).from_pretrained(folder).eval()(pixels).last_hidden_state[0].numpy()
        np.testing.assert_allclose(encode(PICTURES[:1]).values[0], hidden[before:].mean(0), atol=1e-5)
    with pytest.raises(ValueError, match=r"has no cls token; write `pooling: mean`$"):
        resnet(tmp_path / "Swin", pooling="cls")(PICTURES[:1])


@pytest.mark.parametrize("family", ["text", "image"])
def test_a_model_of_two_towers_says_which_to_name(tmp_path: Path, family: str) -> None:
    folder, tower = tiny_clip(tmp_path / "clip"), "Text" if family == "text" else "Vision"
    given = ["a film"] if family == "text" else PICTURES[:1]
    named = f"`architecture: CLIP{tower}ModelWithProjection` and `pooling: projection`"
    with pytest.raises(ValueError, match=rf"^mine: .* has two towers; write {named}, or the folder of one as `model`"):
        featurizer("mine", family=family, model=str(folder))(given)
    # Both ways that are told lead to vectors.
    said: dict[str, Any] = {"family": family, "max_tokens": 16} if family == "text" else {"family": family}
    whole = f"CLIP{tower}ModelWithProjection"
    assert featurizer("mine", **said, model=str(folder), architecture=whole, pooling="projection")(given).values.any()
    getattr(AutoModel.from_pretrained(folder), f"{tower.lower()}_model").save_pretrained(tmp_path / "tower")
    for beside in ("vocab.txt", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        if (folder / beside).exists():
            shutil.copy(folder / beside, tmp_path / "tower")
    assert featurizer("mine", **said, model=str(tmp_path / "tower"))(given).values.any()


def test_a_model_that_leaves_out_patches_at_random_is_refused(tmp_path: Path) -> None:
    folder = tiny_vit(tmp_path / "mae", kind="ViTMAE")
    with pytest.raises(ValueError, match=r"^mine: .*mae leaves out places at random \(`mask_ratio` .* is 0.75\)"):
        featurizer("mine", family="image", model=str(folder))(PICTURES[:1])
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"mask_ratio": 0.75', '"mask_ratio": 0.0'))
    encode = featurizer("mine", family="image", model=str(folder))
    np.testing.assert_allclose(encode(PICTURES[:1]).values, encode(PICTURES[:1]).values, atol=1e-6)


def test_places_that_look_for_objects_are_no_patches(tmp_path: Path) -> None:
    """YOLOS: a cls token, the patches, then places for what it detects."""
    import torch

    folder = tiny_vit(tmp_path / "yolos", kind="Yolos")
    encode = resnet(folder, pooling="mean")
    with torch.inference_mode():
        pixels = torch.from_numpy(encode._prepared(PICTURES[0]))[None]
        hidden = encode.model(pixels).last_hidden_state[0].numpy()
    assert len(hidden) == 1 + 16 + 3
    np.testing.assert_allclose(encode(PICTURES[:1]).values[0], hidden[1:17].mean(0), atol=1e-5)


def test_a_convolutional_net_has_no_cls_token(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"has no cls token; write `pooling: mean`$"):
        resnet(folder, pooling="cls")(PICTURES[:1])


def test_a_classifier_gives_the_vectors_of_its_encoder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tiny_resnet(tmp_path / "classifier", kind="ResNetForImageClassification")
    capfd.readouterr()
    assert resnet(folder)(PICTURES[:1]).values.any()
    assert capfd.readouterr().err == ""


def test_the_version_changes_with_weights_and_preparation(tmp_path: Path) -> None:
    folder = tiny_resnet(tmp_path / "resnet")
    versions = [resnet(folder).version]
    flip_a_weight(folder)
    versions.append(resnet(folder).version)
    preparation = folder / "preprocessor_config.json"
    preparation.write_text(preparation.read_text().replace("0.875", "0.9"))
    versions.append(resnet(folder).version)
    assert len(set(versions)) == 3


def test_weights_that_are_not_here_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert featurizer("resnet18").version.startswith("image4-")
    assert featurizer("resnet18").version.endswith("-no_weights")
    with pytest.raises(NoWeights, match="mediateca models pull resnet18"):
        featurizer("resnet18")(PICTURES)
