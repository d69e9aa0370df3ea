"""Encoders as data, and their weights: found, checked, converted."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurizers import convert as conversion
from featurizers.base import NoWeights
from featurizers.convert import convert
from featurizers.encoders import Encoder, known, with_defaults
from featurizers.registry import featurizer, spec_of
from featurizers.weights import Weights, check_weights, pull_weights, weights_digest, weights_folder
from tests.featurizers.tiny import flip_a_weight, tiny_bert, tiny_hubert

NAMES = (
    *("minilm", "bert", "bert_multilingual", "sbert", "modernbert", "mdeberta", "clip_text"),
    *("resnet18", "resnet50", "dino", "dinov2", "clip", "clap", "mert"),
)


def test_every_encoder_of_the_seeds_is_known_and_pinned() -> None:
    assert tuple(known()) == NAMES
    for encoder in known().values():
        assert re.fullmatch("[0-9a-f]{40}", encoder.revision)
        assert re.fullmatch("([0-9a-f]{64})?", encoder.sha256 + encoder.pickle_sha256)
        assert Weights(encoder.model).commit == encoder.revision
        assert "fp32" not in featurizer(encoder.name).version  # settings are a digest in it
        spec = spec_of(encoder.name)
        assert spec is not None
        assert spec.shape == (encoder.dimension,)


def test_versions_differ_by_revision_and_by_what_changes_bytes() -> None:
    said: list[dict[str, object]] = [
        {}, {"pooling": "cls"}, {"layer": 3}, {"prompt": "query: "}, {"max_tokens": 64}, {"overflow": "chunk"},
        {"precision": "bf16"}, {"revision": "f" * 40},
    ]  # fmt: skip
    versions = [featurizer("bert", **settings).version for settings in said]
    assert len(set(versions)) == len(versions)
    same = featurizer("bert", batch_size=1, batch_tokens=512, device="cuda", precision="fp32").version
    assert same == versions[0]


def test_other_weights_bring_their_own_architecture() -> None:
    assert with_defaults("clip", {})["architecture"] == "CLIPVisionModelWithProjection"
    assert "architecture" not in with_defaults("clip", {"model": "./mine"})
    assert with_defaults("mine", {"family": "text"}) == {"family": "text"}


def test_installed_weights_are_those_of_the_hub_and_their_record_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = Weights("sentence-transformers/all-MiniLM-L6-v2")
    assert check_weights(weights, weights_folder(weights))
    monkeypatch.setattr("featurizers.weights.sha256_of", lambda *_: pytest.fail("90 MB were read for a plan"))
    assert re.fullmatch("[0-9a-f]{12}", weights_digest(weights))


def test_weights_of_the_hub_have_the_checksum_that_names_them_in_its_cache(tmp_path: Path) -> None:
    weights, content = Weights("somebody/model", "f" * 40), b"weights"
    (folder := tmp_path / "snapshot").mkdir()
    blob = tmp_path / hashlib.sha256(content).hexdigest()
    (folder / "model.safetensors").symlink_to(blob)
    with pytest.raises(ValueError, match="the file it points at is gone"):
        check_weights(weights, folder)
    blob.write_bytes(content)
    assert check_weights(weights, folder)
    blob.write_bytes(b"weighty")
    with pytest.raises(ValueError, match=rf"sha256 .*, but somebody/model .* has {blob.name[:12]}"):
        check_weights(weights, folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.safetensors").write_bytes(content)
    assert not check_weights(Weights(str(tmp_path / "mine")), tmp_path / "mine")


def test_installed_weights_are_fetched_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("the hub was asked"))
    weights = Weights("sentence-transformers/all-MiniLM-L6-v2")
    assert pull_weights(weights) == weights_folder(weights)


def test_a_folder_that_is_not_there_is_not_to_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(NoWeights, match=r"there is no folder .*/gone; correct `model`, or put there what"):
        weights_folder(Weights(str(tmp_path / "gone")))


def _without(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _changed(folder: Path, **said: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | said), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "settings", "said"),
    [
        (lambda folder: None, {"architecture": "Nope"}, "as Nope: AttributeError"),
        (lambda folder: None, {"architecture": "BertTokenizer"}, "as BertTokenizer: "),
        (lambda folder: (folder / "config.json").write_text('{"hidden'), {}, "JSONDecodeError"),
        (lambda folder: _without(folder, "tokenizer.json", "vocab.txt"), {}, "has none of tokenizer.json, vocab.txt"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 99), {}, "SafetensorError"),
        (lambda folder: _changed(folder, model_type="own", auto_map={"AutoConfig": "own.Own"}), {}, "code of its own,"),
        (lambda folder: _changed(folder, hidden_size=32), {}, "cannot be loaded"),
    ],
)
def test_files_that_make_no_encoder_are_told_in_a_line(
    tmp_path: Path, spoil: Callable[[Path], object], settings: dict[str, Any], said: str
) -> None:
    folder = tiny_bert(tmp_path / "bert")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    spoil(folder)
    encode = featurizer("mine", family="text", model=str(folder), max_tokens=64, **settings)
    with pytest.raises(ValueError, match=r"^mine: .*bert ") as told:
        encode(["a film about a shark"])
    assert type(told.value) is ValueError  # what the command shows without a traceback
    assert said in str(told.value)
    assert not (tmp_path / "ran").exists()


def test_positions_that_are_numbered_behind_the_padding_are_none_for_tokens(tmp_path: Path) -> None:
    """RoBERTa's 64 rows of positions are 62 tokens at most."""
    import torch
    import transformers

    folder = tiny_bert(tmp_path / "roberta")
    shape: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    shape |= {"intermediate_size": 32, "vocab_size": 18, "max_position_embeddings": 64, "pad_token_id": 1}
    torch.manual_seed(0)
    transformers.RobertaModel(transformers.RobertaConfig(**shape)).save_pretrained(folder)
    with pytest.raises(ValueError, match=r"^mine: max_tokens 63; .*roberta has 62 positions"):
        featurizer("mine", family="text", model=str(folder), max_tokens=63)(["a film " * 60])
    assert featurizer("mine", family="text", model=str(folder), max_tokens=62)(["a film " * 60]).errors == (None,)


def test_an_endless_number_of_positions_is_no_bound(tmp_path: Path) -> None:
    import transformers

    folder = tiny_bert(tmp_path / "xlnet")
    config = transformers.XLNetConfig(vocab_size=18, d_model=16, n_layer=1, n_head=2, d_inner=16)
    transformers.XLNetModel(config).save_pretrained(folder)
    assert featurizer("mine", family="text", model=str(folder))(["a film"]).errors == (None,)


def test_a_model_that_wants_something_else_is_told_by_its_name(tmp_path: Path) -> None:
    import transformers

    folder = tiny_bert(tmp_path / "t5")
    config = transformers.T5Config(
        vocab_size=18, d_model=16, d_ff=16, d_kv=8, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    transformers.T5Model(config).save_pretrained(folder)
    with pytest.raises(ValueError, match=r"^mine: .*t5, loaded as AutoModel, does not take input_ids, .* alone: "):
        featurizer("mine", family="text", model=str(folder), max_tokens=16)(["a film"])
    named = {"architecture": "T5EncoderModel", "max_tokens": 16}
    assert featurizer("mine", family="text", model=str(folder), **named)(["a film"]).errors == (None,)


def test_a_prompt_that_leaves_no_place_for_a_text_is_told(tmp_path: Path) -> None:
    said = {"family": "text", "model": str(tiny_bert(tmp_path / "bert")), "max_tokens": 16}
    with pytest.raises(ValueError, match=r"^mine: `prompt` takes 42 of max_tokens 16; no text is left"):
        featurizer("mine", **said, prompt="shark " * 40)(["a film"])


def test_weights_that_the_hubs_cache_has_lost_are_not_here(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "lost")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "gone")
    with pytest.raises(NoWeights, match="has no weights"):
        weights_digest(Weights(str(folder)))
    (folder / "vocab.txt").unlink()
    (folder / "vocab.txt").symlink_to(tmp_path / "gone")
    tiny_bert(tmp_path / "whole")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "whole" / "model.safetensors")
    with pytest.raises(NoWeights, match=r"vocab\.txt is gone; "):
        weights_digest(Weights(str(folder)))


def test_the_home_of_nobody_is_no_folder() -> None:
    with pytest.raises(NoWeights, match="there is no folder ~nobody-of-that-name/model"):
        weights_folder(Weights("~nobody-of-that-name/model"))


@pytest.mark.parametrize("key", ["d_model", "dim", "n_embd", "hidden_sizes"])
def test_the_width_of_a_model_has_the_names_that_models_give_it(tmp_path: Path, key: str) -> None:
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "config.json").write_text(json.dumps({key: [8, 16] if key == "hidden_sizes" else 16}))
    encode = featurizer("mine", family="text", model=str(tmp_path))
    assert encode.spec.shape == (16,)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"mine: config.json of .* has none of hidden_size, "):
        _ = encode.spec


@pytest.fixture
def pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Encoder, Path]:
    """An encoder whose pinned weights are a pickle, and the folder where that lies."""
    import torch
    from safetensors.torch import load_file

    monkeypatch.setenv("MEDIATECA_MODELS", str(tmp_path / "models"))
    folder = tiny_bert(tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    sha256 = conversion._sha256(folder / "pytorch_model.bin")
    encoder = Encoder(
        name="tiny", about="", family="text", model="some/tiny", revision="a" * 40, pickle_sha256=sha256,
        licence="MIT", dimension=16, seconds=0.01, settings={"max_tokens": 64},
    )  # fmt: skip
    monkeypatch.setattr("featurizers.encoders.known", lambda: {"tiny": encoder})
    monkeypatch.setattr("featurizers.registry.known", lambda: {"tiny": encoder})
    return encoder, folder


def test_a_pinned_pickle_becomes_safetensors_that_give_the_same_vectors(pickled: tuple[Encoder, Path]) -> None:
    encoder, folder = pickled
    with pytest.raises(NoWeights, match="comes as a pickle only; mediateca models convert tiny"):
        pull_weights(Weights(encoder.model))
    made = convert(encoder, folder)
    assert sorted(p.name for p in made.parent.iterdir()) == [made.name]  # no draft
    assert not list(made.glob("*.bin"))
    found = featurizer("tiny")(["a film about a shark"]).values
    expected = featurizer("tiny", model=str(tiny_bert(folder.parent / "same")))(["a film about a shark"]).values
    np.testing.assert_allclose(found, expected, atol=1e-6)
    flip_a_weight(made)
    with pytest.raises(ValueError, match="delete the folder and fetch the weights again"):
        check_weights(Weights(encoder.model), made)


def test_a_pickle_that_runs_code_is_refused_and_runs_none(pickled: tuple[Encoder, Path], tmp_path: Path) -> None:
    from dataclasses import replace

    encoder, folder = pickled
    evil = folder / "pytorch_model.bin"
    evil.write_bytes(b"cposix\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin: sha256 .* fetch it again"):
        convert(encoder, folder)
    with pytest.raises(ValueError, match=r"pytorch_model\.bin: not converted: "):
        convert(replace(encoder, pickle_sha256=conversion._sha256(evil)), folder)
    assert not (tmp_path / "ran").exists()
    assert not Weights(encoder.model).converted.exists()


def test_weight_norm_of_a_pickle_gets_the_names_of_the_installed_torch(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = tiny_hubert(tmp_path / "hubert")
    expected = load_file(folder / "model.safetensors")
    g, v = "parametrizations.weight.original0", "parametrizations.weight.original1"
    old = {name.replace(g, "weight_g").replace(v, "weight_v"): value for name, value in expected.items()}
    assert old.keys() != expected.keys()
    torch.save({**old, "head.weight_g": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    conversion.main(str(tmp_path / "pytorch_model.bin"), str(tmp_path / "model.safetensors"))
    found = load_file(tmp_path / "model.safetensors")
    assert found.pop("head.weight_g") == 1  # of no pair: left as it is
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    save_file(found, folder / "model.safetensors", {"format": "pt"})
    assert featurizer("mert", model=str(folder), architecture="HubertModel").model is not None


@pytest.mark.parametrize("content", [None, "{}", "[", "[1]", '{"sha256": ""}'])
def test_converted_weights_without_their_checksum_are_told(pickled: tuple[Encoder, Path], content: str | None) -> None:
    encoder, source = pickled
    record = convert(encoder, source) / "converted.json"
    record.unlink() if content is None else record.write_text(content)
    with pytest.raises(
        ValueError, match=rf"no checksum of what was converted .*; mediateca models convert {encoder.name}"
    ):
        check_weights(Weights(encoder.model), record.parent)


def test_what_has_safetensors_is_not_converted() -> None:
    with pytest.raises(ValueError, match="'bert' has safetensors and needs no conversion; mediateca models pull bert"):
        convert(known()["bert"])
