"""Precisions of encoders: near fp32, the same alone and in a batch, in the version, refused where they fail."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurizers.base import NoDevice
from featurizers.encoders import known, usual_precision
from featurizers.hf_int8 import can_int8
from featurizers.hf_text import HfText
from featurizers.registry import featurizer
from tests.featurizers.tiny import (
    tiny_bert,
    tiny_clap,
    tiny_clip,
    tiny_deberta,
    tiny_hubert,
    tiny_resnet,
    tiny_vit,
)

TEXTS = ["a film about a shark", "sharks attack a beach town", "tax", "report of the bank " * 12, "a bank report", " "]
needs_int8 = pytest.mark.skipif(not can_int8(), reason="no VNNI instructions, or OpenVINO is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of most tests; not to be changed."""
    return tiny_bert(tmp_path_factory.mktemp("bert"), hidden_size=64, num_attention_heads=4)


def bert(folder: Path, **settings: Any) -> HfText:
    return featurizer("bert", model=str(folder), **({"max_tokens": 64, "normalise": True} | settings))


@needs_int8
@pytest.mark.parametrize("settings", [{}, {"layer": 1, "pooling": "cls"}, {"pooling": "pooler"}])
def test_int8_is_near_fp32_and_no_other_text_of_a_batch_moves_a_vector(folder: Path, settings: dict[str, Any]) -> None:
    encode = bert(folder, precision="int8", **settings)
    found, exact = encode(TEXTS), bert(folder, **settings)(TEXTS)
    assert found.errors == exact.errors == (None, None, None, None, None, "empty")
    cosines = (found.values * exact.values).sum(1)[:5]
    assert 0.99 <= cosines.min() < 1 - 1e-6  # near, and int8 indeed
    alone = np.vstack([encode([text]).values for text in TEXTS[:5]])
    assert 1 - (alone * found.values[:5]).sum(1).min() <= 1e-6


@needs_int8
def test_int8_takes_the_words_side_of_clip(tmp_path: Path) -> None:
    said: dict[str, Any] = {"model": str(tiny_clip(tmp_path / "clip")), "max_tokens": 16}
    said |= {"architecture": "CLIPTextModelWithProjection"}
    exact, found = featurizer("clip_text", **said)(TEXTS), featurizer("clip_text", precision="int8", **said)(TEXTS)
    assert (found.values * exact.values).sum(1)[:5].min() >= 0.99


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ({"has_vnni": False}, "needs a processor with VNNI instructions"),
        ({"has_vnni": True, "find_spec": None}, r"needs OpenVINO; pip install 'mediateca\[int8\]', or write fp32"),
    ],
)
def test_int8_is_refused_where_the_machine_cannot(
    folder: Path, monkeypatch: pytest.MonkeyPatch, gone: dict[str, Any], said: str
) -> None:
    for name, found in gone.items():
        monkeypatch.setattr(f"featurizers.hf_int8.{name}", lambda *_, found=found: found)
    with pytest.raises(NoDevice, match=said):
        bert(folder, precision="int8")(["a film"])


def test_int8_is_of_texts_and_not_of_deberta(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`precision: int8` is of encoders of texts"):
        _ = featurizer("resnet18", model=str(tiny_resnet(tmp_path / "resnet")), precision="int8").model
    with pytest.raises(ValueError, match="mdeberta: DeBERTa cannot be computed in int8"):
        _ = featurizer("mdeberta", model=str(tiny_deberta(tmp_path / "deberta")), precision="int8").model


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precisions_are_near_fp32_alone_and_in_a_batch(folder: Path, precision: str) -> None:
    encode = bert(folder, precision=precision)
    found, exact = encode(TEXTS).values[:5], bert(folder)(TEXTS).values[:5]
    assert found.dtype == np.float32
    assert 1e-8 < 1 - (found * exact).sum(1).min() < 1e-2
    alone = np.vstack([encode([text]).values for text in TEXTS[:5]])
    assert 1 - (alone * found).sum(1).min() <= 1e-3


def test_compiled_an_encoder_gives_the_same_vectors_at_the_same_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    asked: list[dict[str, Any]] = []
    compiled = torch.compile

    def on_any_machine(model: Any, **how: Any) -> Any:  # the graph that a GPU's compiler would get, run as it is
        asked.append(how)
        return compiled(model, backend="eager", **how)

    monkeypatch.setattr(torch, "compile", on_any_machine)
    small = tiny_bert(tmp_path / "bert", num_hidden_layers=1)
    encode, plain = bert(small, compile=True), bert(small)
    assert encode.version == plain.version
    found, expected = encode(TEXTS[:4]).values, plain(TEXTS[:4]).values
    assert asked == [{"dynamic": True}]
    assert (1 - (found * expected).sum(1)).max() <= 1e-6
    torch._dynamo.reset()


def test_where_torch_cannot_compile_it_says_what_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    compiled = torch.compile

    def no_compiler(*_: Any) -> Any:
        raise RuntimeError("Cannot find a working triton installation")

    monkeypatch.setattr(torch, "compile", lambda model, **how: compiled(model, backend=no_compiler, **how))
    with pytest.raises(RuntimeError, match=r"bert: `compile: true`.*working triton.*needs Triton and a C\+\+ compiler"):
        bert(folder, compile=True)(["a film"])
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("name", "made", "attention"),
    [
        ("bert", tiny_bert, "sdpa"),
        ("clip", tiny_clip, "sdpa"),
        ("clip_text", tiny_clip, "sdpa"),
        ("dino", tiny_vit, "sdpa"),
        ("mert", tiny_hubert, "sdpa"),
        ("clap", tiny_clap, "eager"),
        ("mdeberta", tiny_deberta, "eager"),
    ],
)
def test_attention_is_the_fused_one_where_the_family_has_it(
    tmp_path: Path, name: str, made: Callable[[Path], Path], attention: str
) -> None:
    architecture = known()[name].settings.get("architecture", "AutoModel")
    model = featurizer(name, model=str(made(tmp_path / name)), architecture=architecture).model
    parts = [module.config for module in model.modules() if hasattr(module, "config")]
    assert {part._attn_implementation for part in parts} == {attention}


def test_pictures_have_precisions_too(tmp_path: Path) -> None:
    from tests.featurizers.pictures import corners, saved

    folder = tiny_resnet(tmp_path / "resnet")
    data = [saved(corners(40, 40), "png")]
    exact = featurizer("resnet18", model=str(folder))(data).values
    rough = featurizer("resnet18", model=str(folder), precision="bf16")(data).values
    assert (rough != exact).any()
    np.testing.assert_allclose(rough, exact, atol=0.05)


def test_a_precision_is_its_own_version_and_a_gpu_has_bf16_by_default(folder: Path) -> None:
    versions = {bert(folder, precision=name).version for name in ("fp32", "bf16", "fp16", "int8")}
    assert len(versions) == 4
    assert bert(folder).version == bert(folder, precision="fp32", device="cuda").version
    assert bert(folder, device="cuda:1").version == bert(folder, precision="bf16").version
    assert [usual_precision(device) for device in ("cpu", "mps", "cuda")] == ["fp32", "fp32", "bf16"]


def test_deberta_is_never_run_in_fp16(tmp_path: Path) -> None:
    folder = tiny_deberta(tmp_path / "deberta")
    with pytest.raises(ValueError, match="DeBERTa gives no numbers in fp16; write `precision: bf16` or fp32"):
        featurizer("mdeberta", model=str(folder), max_tokens=64, precision="fp16")(["a film"])


def test_a_gpu_without_bf16_is_told_what_to_write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: False)
    with pytest.raises(RuntimeError, match="this GPU has no bf16; write `precision: fp16` or fp32"):
        bert(folder, device="cuda")(["a film"])


def test_what_goes_to_a_gpu_is_pinned_and_copied_without_waiting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    pinned: list[torch.Tensor] = []
    copies: list[tuple[Any, Any]] = []
    move = torch.Tensor.to

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(tensor)
        return tensor

    def to(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if args == ("cuda",):
            copies.append((args, kwargs))
            return tensor
        return move(tensor, *args, **kwargs)

    encode, here = bert(folder, device="cuda", precision="fp32"), bert(folder)
    encode.__dict__["model"] = here.model  # as if it lay there
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(torch.Tensor, "to", to)
    found = encode(TEXTS).values
    assert len(pinned) == len(copies) > 0
    assert all(kwargs == {"non_blocking": True} for _, kwargs in copies)
    np.testing.assert_allclose(found, here(TEXTS).values, atol=1e-6)


def test_the_model_is_loaded_once_per_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    import pyarrow as pa
    import transformers

    from storage.store import Store
    from tasks.features import encode_texts

    loads: list[object] = []
    load = transformers.AutoModel.from_pretrained

    def counted(*args: Any, **kwargs: Any) -> Any:
        loads.append(args)
        return load(*args, **kwargs)

    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", counted)
    said: dict[str, Any] = {"family": "text", "model": str(tiny_bert(tmp_path / "bert")), "max_tokens": 64}
    encode = partial(encode_texts, name="mine", settings=json.dumps(said), version=featurizer("mine", **said).version)
    for chunk in (["a film"], ["tax"], ["a shark", "the bank"]):
        rows = pa.table({"item_id": [f"i{n}" for n in range(len(chunk))], "value": chunk})
        assert encode(rows, Store(str(tmp_path))).num_rows == len(chunk)
    assert len(loads) == 1
