"""Weights from the Hugging Face hub: which, of which revision, where they lie, and their digest.

They are found on this machine only: in a folder that is named, or in the cache of `huggingface_hub` (HF_HUB_CACHE,
HF_HOME). `pull_weights` alone asks the network. Only safetensors are ever loaded: unpickling runs code.
"""

import hashlib
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

from featurizers.base import NoWeights

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

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A revision that is known, and the checksum of its weights."""

    revision: str
    sha256: str  # of model.safetensors
    formerly: str | None = None  # a name under which caches may hold it too


PINS = {
    "microsoft/resnet-18": Pin(
        revision="65a5785d9156231087c481e0c7dd33a5ff6f7e3e",
        sha256="1cf00ee468998c23d084361b02cffadabacb5074105564c596b8079f77ecb126",
    ),
    "google-bert/bert-base-uncased": Pin(
        revision="86b5e0934494bd15c9632b12f734a8a67f723594",
        sha256="68d45e234eb4a928074dfd868cead0219ab85354cc53d20e772753c6bb9169d3",
        formerly="bert-base-uncased",
    ),
}


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
        pin = PINS.get(self.model)
        return self.revision or (pin.revision if pin else "")

    @property
    def hint(self) -> str:
        """The command that fetches them."""
        return (
            f"hf download {self.model} --revision {self.commit} --include '*.safetensors' --include '*.json' "
            "--include '*.txt'"
        )


def weights_folder(weights: Weights) -> Path:
    """Where the weights lie on this machine; never asks the network.

    Raises:
        NoWeights: They are not here, or only as pickles; the message says what to run.
    """
    folder = _named(weights.model) if weights.is_folder else _cached(weights)
    if folder is None:
        raise NoWeights(f"the weights of {weights.model} are not on this machine; {weights.hint}")
    if not (folder / "config.json").is_file():
        raise NoWeights(f"{folder} has no config.json: not a folder that `save_pretrained` wrote")
    if not any(folder.glob("*.safetensors")):
        pickles = sorted(p.name for p in folder.iterdir() if any(fnmatch(p.name, ending) for ending in _PICKLES))
        found = f"only {', '.join(pickles)}, and pickles are never loaded" if pickles else "no weights"
        how = "save the model anew as safetensors" if weights.is_folder else weights.hint
        raise NoWeights(f"{folder} has {found}; {how}")
    return folder


def _named(model: str) -> Path | None:
    folder = Path(model).expanduser()
    return folder if folder.is_dir() else None


def _cached(weights: Weights) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    pin = PINS.get(weights.model)
    for name in (weights.model, pin.formerly if pin else None):
        found = try_to_load_from_cache(name, "config.json", revision=weights.commit) if name else None
        if isinstance(found, str):
            return Path(found).parent
    return None


def weights_digest(weights: Weights) -> str:
    """12 hex digits over every file that is loaded.

    Raises:
        NoWeights: They are not here.
    """
    folder, digest = weights_folder(weights), hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if any(fnmatch(p.name, pattern) for pattern in FILES)):
        stat = path.stat()
        digest.update(f"{path.name} {_content(path, stat.st_size, stat.st_mtime_ns)}\n".encode())
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


def check_weights(weights: Weights, folder: Path) -> None:
    """Compare the file with the pinned checksum, where one is known.

    Raises:
        ValueError: They differ.
    """
    pin, path = PINS.get(weights.model), folder / "model.safetensors"
    if pin is None or weights.commit != pin.revision:
        return
    stat = path.stat()
    found = sha256_of(path, stat.st_size, stat.st_mtime_ns)
    if found != pin.sha256:
        raise ValueError(
            f"{path}: sha256 {found[:12]}..., but {weights.model} at {pin.revision[:12]} has {pin.sha256[:12]}...; "
            "delete the folder and fetch the weights again"
        )


def pull_weights(weights: Weights) -> Path:
    """Fetch the weights from the hub at their revision, safetensors only, and check them; the folder.

    Raises:
        NoWeights: The hub cannot be reached (or HF_HUB_OFFLINE is set), or has no safetensors at that revision.
        ValueError: The checksum is not the pinned one.
    """
    if not weights.is_folder:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        try:
            snapshot_download(weights.model, revision=weights.commit, allow_patterns=list(FILES))
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as exc:
            raise NoWeights(f"{weights.model} at {weights.commit}: {type(exc).__name__}: {exc}"[:400]) from exc
    folder = weights_folder(weights)
    check_weights(weights, folder)
    return folder
