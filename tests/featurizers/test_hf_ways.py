"""The ways an encoder can be run: layers, poolings, pieces, two towers, little memory, numbers that are none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurizers.base import FeatureBatch
from featurizers.hf_text import HfText
from featurizers.hf_vision import HfVision
from featurizers.registry import featurizer
from tests.featurizers.pictures import corners, saved
from tests.featurizers.tiny import tiny_bert, tiny_clip, tiny_deberta

LONG = "a quarterly tax report of the bank " * 9
TEXTS = ["a film about a shark", "sharks attack a beach town", "tax", LONG, "report of the bank"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of most tests; not to be changed."""
    return tiny_bert(tmp_path_factory.mktemp("bert"))


def bert(folder: Path, **settings: Any) -> HfText:
    return featurizer("bert", model=str(folder), **({"max_tokens": 64} | settings))


def hidden(folder: Path, text: str) -> tuple[Any, ...]:
    """Every layer's places for one text, by the library itself."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.inference_mode():
        found = AutoModel.from_pretrained(folder).eval()(**tokens, output_hidden_states=True).hidden_states
    return tuple(layer[0].numpy() for layer in found)


@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
@pytest.mark.parametrize("layer", [0, 1, -1, -2])
def test_any_layer_is_pooled_in_any_way_alone_as_in_a_batch(folder: Path, pooling: str, layer: int) -> None:
    layers = hidden(folder, TEXTS[0])
    of = {"cls": layers[layer][0], "mean": layers[layer].mean(0), "last": layers[layer][-1]}
    found = bert(folder, pooling=pooling, layer=layer)(TEXTS).values
    np.testing.assert_allclose(found[0], of[pooling], atol=1e-5)
    for i, text in enumerate(TEXTS):
        alone = bert(folder, pooling=pooling, layer=layer)([text]).values[0]
        assert 1 - alone @ found[i] / np.linalg.norm(alone) / np.linalg.norm(found[i]) <= 1e-6


def test_a_layer_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"bert: layer 7; .* has 0 \(embeddings\) to 2"):
        bert(folder, layer=7)(TEXTS)


def test_a_long_text_is_read_in_pieces_weighed_by_their_tokens(folder: Path) -> None:
    encode = bert(folder, max_tokens=12, overflow="chunk")
    cut = bert(folder, max_tokens=12)
    found = encode(TEXTS).values
    np.testing.assert_allclose(found[[0, 1, 2, 4]], cut(TEXTS).values[[0, 1, 2, 4]], atol=1e-5)
    words = LONG.split()
    pieces = [" ".join(words[i : i + 10]) for i in range(0, len(words), 10)]  # 12 with the marks at both ends
    weight = np.array([len(piece.split()) + 2 for piece in pieces], np.float32)
    expected = (cut(pieces).values * weight[:, None]).sum(0) / weight.sum()
    np.testing.assert_allclose(found[3], expected, atol=1e-5)
    assert np.abs(found[3] - cut(TEXTS).values[3]).max() > 1e-3


def test_a_prompt_stands_before_every_text_and_lengths_are_1_where_asked(folder: Path) -> None:
    plain = bert(folder)(["report a film about a shark"]).values[0]
    found = bert(folder, prompt="report ", normalise=True)(["a film about a shark", " "])
    np.testing.assert_allclose(found.values[0], plain / np.linalg.norm(plain), atol=1e-5)
    assert found.errors == (None, "empty")


@pytest.mark.parametrize("budget", [8, 64, 100_000])
def test_batches_hold_a_budget_of_tokens_and_give_the_same(
    folder: Path, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = bert(folder, batch_tokens=budget, batch_size=4)
    sizes: list[tuple[int, int]] = []
    run = encode.run

    def counted(**tokens: Any) -> Any:
        sizes.append(tuple(tokens["input_ids"].shape))
        return run(**tokens)

    monkeypatch.setattr(encode, "run", counted)
    np.testing.assert_allclose(encode(TEXTS).values, bert(folder)(TEXTS).values, atol=1e-5)
    assert all(n <= 4 and (n == 1 or n * width <= budget) for n, width in sizes)
    assert sum(n for n, _ in sizes) == len(TEXTS)
    assert sizes[0][1] == 64  # the longest first


@pytest.mark.parametrize("error", ["CUDA out of memory. Tried to allocate 2 GiB", "can't allocate memory: you tried"])
def test_where_memory_does_not_suffice_batches_are_halved(
    folder: Path, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = bert(folder)
    run = encode.run

    def little(most: int) -> Any:
        def run_or_fail(**tokens: Any) -> Any:
            if len(tokens["input_ids"]) > most:
                raise RuntimeError(error)
            return run(**tokens)

        return run_or_fail

    expected = encode(TEXTS).values
    monkeypatch.setattr(encode, "run", little(2))
    np.testing.assert_allclose(encode(TEXTS).values, expected, atol=1e-5)
    monkeypatch.setattr(encode, "run", little(0))
    found = encode(TEXTS)
    assert set(found.errors) == {"internal_error"}
    assert not found.values.any()


@pytest.mark.parametrize("overflow", ["cut", "chunk"])
def test_a_text_that_does_not_fit_into_memory_alone_costs_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, overflow: str
) -> None:
    encode = bert(folder, overflow=overflow, max_tokens=16, batch_size=8)
    run, texts = encode.run, ["a film", "a shark " * 40, "tax report"]
    expected = encode(texts).values

    def run_or_fail(**tokens: Any) -> Any:
        if tokens["input_ids"].shape[1] == 16:
            raise MemoryError
        return run(**tokens)

    monkeypatch.setattr(encode, "run", run_or_fail)
    found = encode(texts)
    assert found.errors == (None, "internal_error", None)
    np.testing.assert_allclose(found.values[[0, 2]], expected[[0, 2]], atol=1e-5)
    assert not found.values[1].any()


def test_another_error_of_the_model_is_not_taken_for_little_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = bert(folder)
    calls: list[int] = []

    def broken(**_: Any) -> Any:
        calls.append(1)
        raise RuntimeError("size mismatch")

    monkeypatch.setattr(encode, "run", broken)
    with pytest.raises(RuntimeError, match="size mismatch"):
        encode(TEXTS)
    assert len(calls) == 1


def test_a_vector_that_is_not_finite_is_a_reason(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = bert(folder, normalise=True)
    vectors = encode._vectors  # pyright: ignore[reportPrivateUsage]

    def odd(pieces: Any) -> Any:
        found, lost = vectors(pieces)
        found[1, 3] = np.inf
        return found, lost

    monkeypatch.setattr(encode, "_vectors", odd)
    found: FeatureBatch = encode(TEXTS)
    assert found.errors == (None, "not_finite", None, None, None)
    assert not found.values[1].any()
    assert np.isfinite(found.values).all()


def test_a_tokenizer_of_sentencepiece_alone_is_read(tmp_path: Path) -> None:
    folder = tiny_deberta(tmp_path / "deberta")
    assert not (folder / "tokenizer.json").exists()
    encode: HfText = featurizer("mdeberta", model=str(folder), max_tokens=32)
    found = encode(TEXTS)
    assert found.errors == (None,) * 5
    assert len({row.tobytes() for row in found.values.round(4)}) == 5
    np.testing.assert_allclose(encode(TEXTS[:1]).values[0], found.values[0], atol=1e-5)


def test_both_towers_of_a_clip_give_vectors_of_its_joint_space(tmp_path: Path) -> None:
    import torch
    from transformers import AutoTokenizer, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tiny_clip(tmp_path / "clip")
    picture = corners(90, 60)
    model = CLIPModel.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(TEXTS[0], return_tensors="pt")
    pixels = CLIPImageProcessorPil.from_pretrained(folder)(images=[picture], return_tensors="pt")
    with torch.inference_mode():
        both = model(**tokens, **pixels)
    words: HfText = featurizer(
        "clip_text", model=str(folder), architecture="CLIPTextModelWithProjection", max_tokens=16
    )
    sight: HfVision = featurizer("clip", model=str(folder), architecture="CLIPVisionModelWithProjection")
    assert words.spec.shape == sight.spec.shape == (8,)
    np.testing.assert_allclose(words(TEXTS).values[0], both.text_embeds[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(sight([saved(picture, "png")]).values[0], both.image_embeds[0].numpy(), atol=1e-5)
