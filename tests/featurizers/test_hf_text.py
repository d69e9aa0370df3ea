"""Text encoders, proven with tiny random weights: padding does not leak, order stays, weights are pinned."""

import re
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request

import numpy as np
import pytest

from featurizers.base import NoWeights
from featurizers.encoders import known
from featurizers.hf_text import HfText
from featurizers.registry import featurizer
from featurizers.weights import Weights, pull_weights, weights_digest, weights_folder
from tests.featurizers.tiny import flip_a_weight, tiny_bert

TEXTS = [
    "a film about a shark",
    "",
    "sharks attack a beach town",
    "tax",
    "a quarterly tax report of the bank " * 5,
    " \n",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of most tests; not to be changed."""
    return tiny_bert(tmp_path_factory.mktemp("bert"))


def bert(folder: Path, **settings: object) -> HfText:
    return featurizer("bert", model=str(folder), **({"max_tokens": 64} | settings))


@pytest.mark.parametrize("pooling", ["cls", "mean", "pooler"])
def test_a_text_gives_the_same_alone_or_in_a_batch_in_order(folder: Path, pooling: str) -> None:
    encode = bert(folder, pooling=pooling, batch_size=3)
    batch = encode(TEXTS)
    assert batch.errors == (None, "empty", None, None, None, "empty")
    assert (batch.values.shape, batch.values.dtype) == ((6, 16), np.float32)
    assert not batch.values[[1, 5]].any()
    for i in (0, 2, 3, 4):
        np.testing.assert_allclose(encode([TEXTS[i]]).values[0], batch.values[i], atol=1e-5)
    assert len({row.tobytes() for row in batch.values[[0, 2, 3, 4]].round(3)}) == 4
    np.testing.assert_allclose(encode(TEXTS[::-1]).values[::-1], batch.values, atol=1e-5)
    assert (encode(TEXTS).values == batch.values).all()
    assert encode([]).values.shape == (0, 16)


def test_the_mean_is_over_the_word_pieces_of_the_text(folder: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(TEXTS[0], return_tensors="pt")
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0]
    assert hidden.shape[0] == 7  # five words between two marks
    np.testing.assert_allclose(bert(folder)(TEXTS).values[0], hidden.mean(0).numpy(), atol=1e-5)
    np.testing.assert_allclose(bert(folder, pooling="cls")(TEXTS).values[0], hidden[0].numpy(), atol=1e-5)


def test_texts_are_cut_at_max_tokens(folder: Path) -> None:
    long, cut = bert(folder), bert(folder, max_tokens=8)
    a, b = TEXTS[4], "a quarterly tax report of the shark"
    assert np.abs(cut([a]).values - cut([b]).values).max() < 1e-5
    assert np.abs(long([a]).values - long([b]).values).max() > 1e-2
    assert cut.version != long.version


def test_more_tokens_than_the_model_has_positions_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"max_tokens 65; .* has 64 positions"):
        bert(folder, max_tokens=65)(["a film"])


def test_the_version_changes_with_weights_tokenizer_and_settings(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert")
    versions = [bert(folder).version, bert(folder, pooling="cls").version]
    assert bert(folder).version == versions[0]
    assert bert(folder, batch_size=7, device="mps").version == versions[0]
    flip_a_weight(folder)
    versions.append(bert(folder).version)
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace("shark", "shirk"))
    versions.append(bert(folder).version)
    assert len(set(versions)) == 4


def test_a_head_beside_the_encoder_is_left_out_in_silence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tiny_bert(tmp_path / "classifier", kind="BertForSequenceClassification")
    capfd.readouterr()
    assert bert(folder)(["a film"]).values.any()
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_a_part_that_the_weights_lack_is_never_made_up(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "masked", kind="BertForMaskedLM")  # has no pooler
    assert bert(folder, pooling="mean")(["a film"]).values.any()
    with pytest.raises(ValueError, match=r"bert: .* lacks 2 weights, such as .*pooler"):
        bert(folder, pooling="pooler")(["a film"])


def test_a_gpu_that_is_asked_for_and_missing_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RuntimeError, match="device 'cuda' was asked for by the catalogue and torch finds no GPU"):
        bert(folder, device="cuda")(["a film"])


# --- weights


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no network."""

    def no_network(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("httpx.Client.send", no_network)
    monkeypatch.setattr("socket.create_connection", no_network)
    return tmp_path / "hub"


def cached(cache: Path, name: str) -> Path:
    """The snapshot folder of a pinned model in the cache."""
    pin = next(e for e in known().values() if name in (e.model, e.formerly))
    folder = cache / f"models--{name.replace('/', '--')}" / "snapshots" / pin.revision
    folder.mkdir(parents=True)
    return folder


def test_weights_that_are_not_here_are_told_at_once_with_what_to_run(cache: Path) -> None:
    encode = featurizer("bert")
    assert encode.version.startswith("text2-")
    assert encode.version.endswith("-no_weights")
    with pytest.raises(NoWeights, match="mediateca models pull bert"):
        encode(["a film"])
    assert not cache.exists()


@pytest.mark.parametrize("name", ["google-bert/bert-base-uncased", "bert-base-uncased"])
def test_the_cache_is_read_by_revision_under_either_name(cache: Path, name: str) -> None:
    folder = tiny_bert(cached(cache, name))
    assert weights_folder(Weights("google-bert/bert-base-uncased")) == folder
    assert "no_weights" not in featurizer("bert").version
    with pytest.raises(NoWeights):
        weights_folder(Weights("google-bert/bert-base-uncased", "f" * 40))


def test_other_bytes_than_the_pinned_ones_are_refused(cache: Path) -> None:
    tiny_bert(cached(cache, "bert-base-uncased"))
    with pytest.raises(ValueError, match=r"sha256 \w{12}\.\.\., but google-bert/bert-base-uncased at 86b5e0934494 has"):
        featurizer("bert")(["a film"])


def test_a_file_that_the_cache_names_by_its_sha256_is_not_read_again(cache: Path) -> None:
    folder = tiny_bert(cached(cache, "bert-base-uncased"))
    blob = folder.parents[1] / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    (folder / "model.safetensors").rename(blob)
    (folder / "model.safetensors").symlink_to(blob)
    weights = Weights("google-bert/bert-base-uncased")
    before = weights_digest(weights)
    blob.write_bytes(b"other")
    assert weights_digest(weights) == before
    renamed = blob.rename(blob.with_name("cd" * 32))
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(renamed)
    assert weights_digest(weights) != before


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    import torch

    folder = tiny_bert(tmp_path / "pickled")
    torch.save({"x": torch.zeros(1)}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "no_weights" in bert(folder).version
    with pytest.raises(NoWeights, match=r"only pytorch_model\.bin, and pickles are never loaded; save the model anew"):
        bert(folder)(["a film"])


def test_a_pickle_beside_the_weights_is_not_opened(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "both")
    expected = bert(folder)(["a film"]).values
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    assert (bert(folder)(["a film"]).values == expected).all()


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "code")
    config = folder / "config.json"
    config.write_text(config.read_text().replace("{", '{"auto_map": {"AutoModel": "evil.Evil"},', 1))
    (folder / "evil.py").write_text("raise SystemExit('ran')\n")
    assert bert(folder)(["a film"]).values.any()


@pytest.mark.parametrize(
    ("model", "revision", "said"),
    [
        ("some/model", None, "revision '' is not a commit"),
        ("some/model", "main", "revision 'main' is not a commit"),
        ("google-bert/bert-base-uncased", "v1.0", "revision 'v1.0' is not a commit"),
        ("./folder", "f" * 40, "is a folder and has no revision"),
    ],
)
def test_what_comes_from_the_hub_is_pinned(model: str, revision: str | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        featurizer("bert", model=model, revision=revision)


@pytest.mark.parametrize("content", [None, "text"])
def test_a_folder_without_a_model_is_told(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / "model").mkdir()
    with pytest.raises(NoWeights):
        featurizer("bert", model=str(tmp_path / "model"))(["a film"])


def test_pulling_fetches_the_revision_without_pickles_and_checks_it(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def download(name: str, *, revision: str, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.append((name, revision))
        assert not local_files_only
        assert not [pattern for pattern in allow_patterns if "bin" in pattern]
        return str(tiny_bert(cached(cache, "google-bert/bert-base-uncased")))

    def answer(*_: Any, **__: Any) -> None:  # one that a hub gives to a HEAD of its front page is none of our business
        raise HTTPError("https://huggingface.co", 404, "Not Found", Message(), None)

    monkeypatch.setattr("urllib.request.urlopen", answer)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(ValueError, match="delete the folder and fetch the weights again"):
        pull_weights(Weights("google-bert/bert-base-uncased"))
    assert asked == [("google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594")]


@pytest.mark.parametrize("why", ["HF_HUB_OFFLINE is set", "https://huggingface.co cannot be reached (no route)"])
def test_pulling_without_a_network_says_at_once_what_to_do(
    cache: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    def unanswered(request: Request, *, timeout: float) -> None:
        assert timeout < 3
        raise URLError(OSError("no route"))

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", "OFFLINE" in why)
    monkeypatch.setattr("urllib.request.urlopen", unanswered)
    said = f"microsoft/resnet-18 at 65a5785d9156231087c481e0c7dd33a5ff6f7e3e: {why}; connect and run it again, copy"
    with pytest.raises(NoWeights, match=re.escape(said)):  # the hub's library tries six times: `cache` lets it not once
        pull_weights(Weights("microsoft/resnet-18"))


def test_what_is_fetched_already_is_pulled_without_a_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("featurizers.weights.check_weights", lambda *_: None)  # of random weights it would say no
    there = tiny_bert(cached(cache, "google-bert/bert-base-uncased"))
    assert pull_weights(Weights("google-bert/bert-base-uncased")) == there


def test_pulling_a_folder_only_checks_it(folder: Path) -> None:
    assert pull_weights(Weights(str(folder))) == folder
