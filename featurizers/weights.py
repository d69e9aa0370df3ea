"""Weights of encoders: which, of which revision, where they lie, and their digest.

They are found on this machine only: in a folder that is named, in an installed package, among those that `mediateca
models convert` made, or in the cache of `huggingface_hub` (HF_HUB_CACHE, HF_HOME). `pull_weights` alone asks the
network. Only safetensors are ever loaded: unpickling runs code.
"""

import base64
import hashlib
import json
import os
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from featurizers.base import NoWeights
from featurizers.encoders import Encoder, by_model

FILES = (
    *("*.safetensors", "*.safetensors.index.json", "*config.json"),
    *(
        "tokenizer.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.txt",
        "vocab.json",
        "merges.txt",
        "*.model",
    ),
)
"""What is loaded of a model's files, and so what is fetched and what the digest is over."""

CONVERTED = "converted.json"
"""Beside converted weights: the sha256 of the pickle, and of what became of it."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True)
class Weights:
    """The weights that a catalogue names.

    `model` is a folder when it begins with `/`, `.` or `~`, else a name of the hub; `revision` is the commit on the
    hub, known for `PINS`, and None for a folder, whose digest says all.
    """

    model: str
    revision: str | None = None

    def __post_init__(self) -> None:
        """Check that what comes from the hub is pinned.

        Raises:
            ValueError: It is not; a branch such as `main` moves.
        """
        if not self.is_folder and not _REPOSITORY.fullmatch(self.model):
            raise ValueError(
                f"model '{self.model}' is no name of the Hugging Face hub, such as google-bert/bert-base-uncased; "
                "write a folder as ./folder"
            )
        if self.is_folder:
            if self.revision is not None:
                raise ValueError(f"model '{self.model}' is a folder and has no revision; leave `revision` out")
        elif not _COMMIT.fullmatch(self.commit):
            raise ValueError(
                f"model '{self.model}' of the Hugging Face hub: revision '{self.commit}' is not a commit; "
                "copy its 40 hex digits from the model's page, or write a folder as ./folder"
            )

    @property
    def is_folder(self) -> bool:
        """Whether they are named by their place."""
        return self.model.startswith(("/", ".", "~"))

    @property
    def commit(self) -> str:
        """The revision, or the pinned one; empty where there is none."""
        return self.revision or (self.known.revision if self.known else "")

    @property
    def known(self) -> Encoder | None:
        """What we know of this model."""
        return by_model(self.model)

    @property
    def hint(self) -> str:
        """What to do to have them: the command that fetches them, where there is one."""
        if self.is_folder:
            return "correct `model`, or put there what `save_pretrained` writes"
        if self.packaged:
            return f"pip install {self.packaged}"
        if self.known and self.commit == self.known.revision:
            return f"mediateca models {'convert' if self.known.pickle_sha256 else 'pull'} {self.known.name}"
        return (
            f"hf download {self.model} --revision {self.commit} --include '*.safetensors' --include '*.json' "
            "--include '*.txt' --include '*.model'"
        )

    @property
    def packaged(self) -> str:
        """The package that carries them, as name==version; empty where none does."""
        return self.known.package if self.known and self.commit == self.known.revision else ""

    @property
    def converted(self) -> Path:
        """Where `models convert` writes them: beside the hub's cache, by name and commit."""
        from huggingface_hub import constants

        folder = os.environ.get("MEDIATECA_MODELS") or Path(constants.HF_HUB_CACHE).parent / "mediateca-models"
        return Path(folder, f"{self.model.replace('/', '--')}@{self.commit}")


def weights_folder(weights: Weights) -> Path:
    """Where the weights lie on this machine; never asks the network.

    Raises:
        NoWeights: They are not here, or only as pickles; the message says what to run.
    """
    folder = _named(weights.model) if weights.is_folder else _here(weights)
    if folder is None:
        raise NoWeights(
            f"there is no folder {weights.model}; {weights.hint}"
            if weights.is_folder
            else f"the weights of {weights.model} are not on this machine; {weights.hint}"
        )
    if not (folder / "config.json").is_file():
        raise NoWeights(f"{folder} has no config.json: not a folder that `save_pretrained` wrote")
    if not any(path.exists() for path in folder.glob("*.safetensors")):  # the hub's cache is links
        pickles = sorted(p.name for p in folder.iterdir() if any(fnmatch(p.name, ending) for ending in _PICKLES))
        found = f"only {', '.join(pickles)}, and pickles are never loaded" if pickles else "no weights"
        how = "save the model anew as safetensors" if weights.is_folder else weights.hint
        raise NoWeights(f"{folder} has {found}; {how}")
    return folder


def _named(model: str) -> Path | None:
    try:
        folder = Path(model).expanduser()
    except RuntimeError:  # the home of nobody
        return None
    return folder if folder.is_dir() else None


def _here(weights: Weights) -> Path | None:
    config = next((path for path in _packaged_files(weights) if path.name == "config.json"), None)
    if config is not None:
        return config.parent
    if (weights.converted / "config.json").is_file():
        return weights.converted
    return _cached(weights)


def _cached(weights: Weights) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for name in (weights.model, weights.known.formerly if weights.known else ""):
        found = try_to_load_from_cache(name, "config.json", revision=weights.commit) if name else None
        if isinstance(found, str):
            return Path(found).parent
    return None


def _packaged_files(weights: Weights) -> dict[Path, str]:
    """The files that come with the weights' package, beside its model.safetensors, and the sha256 its RECORD gives."""
    name, _, _ = weights.packaged.partition("==")
    try:
        listed = (files(name) or []) if name else []
    except PackageNotFoundError:
        return {}
    folder = next((f.parent for f in listed if f.name == "model.safetensors"), None)
    return {
        Path(str(f.locate())): base64.urlsafe_b64decode(f"{f.hash.value}=").hex()
        for f in listed
        if f.parent == folder and f.hash is not None and f.hash.mode == "sha256"
    }


def weights_digest(weights: Weights) -> str:
    """12 hex digits over every file that is loaded.

    Raises:
        NoWeights: They are not here.
    """
    folder, digest = weights_folder(weights), hashlib.sha256()
    recorded = _packaged_files(weights)
    for path in sorted(p for p in folder.iterdir() if any(fnmatch(p.name, pattern) for pattern in FILES)):
        try:
            stat = path.stat()
            content = recorded.get(path) or _content(path, stat.st_size, stat.st_mtime_ns)
        except FileNotFoundError:
            raise NoWeights(f"{path} is gone; {weights.hint}") from None
        digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()[:12]


def _content(path: Path, size: int, mtime_ns: int) -> str:
    # The hub's cache names a large file by its sha256: reading BERT's 440 MB would cost more than a plan.
    name = path.resolve().name
    return name if path.is_symlink() and _SHA256.fullmatch(name) else sha256_of(path, size, mtime_ns)


@lru_cache(maxsize=256)
def sha256_of(path: Path, size: int, mtime_ns: int) -> str:
    """Checksum of a file, computed once per process unless its size or time changes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_weights(weights: Weights, folder: Path) -> bool:
    """Compare the file with its checksum, where one is known; whether one is.

    Raises:
        ValueError: They differ, or the hub's cache has lost the file.
    """
    path = folder / "model.safetensors"
    if path.is_symlink() and not path.exists():
        raise ValueError(f"{path}: the file it points at is gone; delete the folder and fetch the weights again")
    expected = _expected(weights, folder, path)
    if not expected or not path.is_file():  # of weights in several files the index is no checksum
        return False
    stat = path.stat()
    found = sha256_of(path, stat.st_size, stat.st_mtime_ns)
    if found != expected:
        raise ValueError(
            f"{path}: sha256 {found[:12]}..., but {weights.model} at {weights.commit[:12]} has {expected[:12]}...; "
            "delete the folder and fetch the weights again"
        )
    return True


def _expected(weights: Weights, folder: Path, path: Path) -> str:
    """The checksum they must have: as published, as recorded when converted, as the hub named it; empty: none."""
    if weights.is_folder:
        return ""
    if folder == weights.converted:
        return _recorded(folder / CONVERTED, weights.hint)
    known = weights.known
    if known and known.sha256 and weights.commit == known.revision:
        return known.sha256
    name = path.resolve().name
    return name if path.is_symlink() and _SHA256.fullmatch(name) else ""


def _recorded(path: Path, hint: str) -> str:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["sha256"]
        if not _SHA256.fullmatch(found):
            raise ValueError(f"'{found}' is no sha256")
    except (OSError, ValueError, LookupError, TypeError) as exc:
        raise ValueError(f"{path}: no checksum of what was converted ({type(exc).__name__}); {hint}") from exc
    return str(found)


def pull_weights(weights: Weights) -> Path:
    """Fetch the weights from the hub at their revision, safetensors only, and check them; the folder.

    Raises:
        NoWeights: The hub cannot be reached (or HF_HUB_OFFLINE is set), or has no safetensors at that revision.
        ValueError: The checksum is not the pinned one.
    """
    if weights.known and weights.known.pickle_sha256 and weights.commit == weights.known.revision:
        raise NoWeights(f"{weights.model} comes as a pickle only; {weights.hint}")
    if not weights.is_folder and not _packaged_files(weights):
        from featurizers.hub import fetch

        fetch(weights.model, weights.commit, FILES)
    folder = weights_folder(weights)
    check_weights(weights, folder)
    return folder
