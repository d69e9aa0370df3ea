"""A pickled checkpoint to safetensors, once, in a process of its own that loads tensors and nothing else.

    python -m featurizers.convert SOURCE.bin TARGET.safetensors

Some models of the hub come as pickles only. Unpickling can run code; `weights_only=True` refuses all but tensors, and
the child process has no environment but its path, so that what it loads finds no secret.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featurizers.base import NoWeights
from featurizers.encoders import Encoder
from featurizers.weights import CONVERTED, FILES, Weights, sha256_of

_PICKLE = "pytorch_model.bin"
_CHILD_S = 1_800  # the largest of the known ones takes seconds


def convert(encoder: Encoder, source: Path | None = None) -> Path:
    """Make safetensors of the encoder's pinned pickle, beside its configuration and tokenizer; the folder.

    Args:
        encoder: One with `pickle_sha256`.
        source: A folder with the pickle and the other files; None: fetched from the hub at the pinned commit.

    Raises:
        NoWeights: The hub cannot be reached, or a file is not there.
        ValueError: The encoder has no pinned pickle, the file is not that one, or it holds more than tensors.
    """
    if not encoder.pickle_sha256:
        raise ValueError(
            f"'{encoder.name}' has safetensors and needs no conversion; mediateca models pull {encoder.name}"
        )
    folder = source or _fetched(encoder)
    pickle = folder / _PICKLE
    if not pickle.is_file():
        raise NoWeights(f"{folder} has no {_PICKLE}")
    found = _sha256(pickle)
    if found != encoder.pickle_sha256:
        raise ValueError(
            f"{pickle}: sha256 {found[:12]}..., but {encoder.model} at {encoder.revision[:12]} has "
            f"{encoder.pickle_sha256[:12]}...; fetch it again"
        )
    target = Weights(encoder.model).converted
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".draft-") as draft:
        _write(folder, pickle, Path(draft, target.name), found)
        if target.exists():
            shutil.rmtree(target)
        Path(draft, target.name).rename(target)
    return target


def _write(folder: Path, pickle: Path, target: Path, pickle_sha256: str) -> None:
    target.mkdir()
    for pattern in (p for p in FILES if "safetensors" not in p):
        for path in folder.glob(pattern):
            shutil.copyfile(path, target / path.name)
    weights = target / "model.safetensors"
    _in_a_child(pickle, weights)
    said = {"pickle_sha256": pickle_sha256, "sha256": _sha256(weights)}
    (target / CONVERTED).write_text(json.dumps(said, indent=1), encoding="utf-8")


def _in_a_child(pickle: Path, target: Path) -> None:
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "featurizers.convert", str(pickle), str(target)],
        env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=_CHILD_S, check=False,
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it was killed"]
        raise ValueError(f"{pickle}: not converted: {said[-1][:300]}")


def _fetched(encoder: Encoder) -> Path:
    from featurizers.hub import fetch

    return fetch(encoder.model, encoder.revision, [_PICKLE, *(p for p in FILES if "safetensors" not in p)])


def _sha256(path: Path) -> str:
    stat = path.stat()
    return sha256_of(path, stat.st_size, stat.st_mtime_ns)


def _named(name: str, among: Mapping[str, Any]) -> str:
    """A tensor's name in the installed torch: weight norm was `weight_g` and `weight_v` before 2.0 (HuBERT, MERT)."""
    stem, _, last = name.rpartition(".")
    if last in ("weight_g", "weight_v") and {f"{stem}.weight_g", f"{stem}.weight_v"} <= among.keys():
        return f"{stem}.parametrizations.weight.original{'gv'.index(last[-1])}"
    return name


def main(source: str, target: str) -> None:
    """What the child does."""
    import torch
    from safetensors.torch import save_file

    loaded = torch.load(source, map_location="cpu", weights_only=True)
    tensors = {name: value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise ValueError("no tensors in it")
    tensors = {_named(name, tensors): value for name, value in tensors.items()}
    # Clones: safetensors refuses tensors that share memory, such as tied embeddings.
    save_file({name: value.detach().clone().contiguous() for name, value in tensors.items()}, target, {"format": "pt"})


if __name__ == "__main__":
    main(*sys.argv[1:3])
