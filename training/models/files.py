"""How a recommender is kept: `model.json` (name, config) beside `weights.safetensors` (arrays); nothing pickled."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy import sparse

from training.models.matrices import Csr

Arrays = dict[str, NDArray[Any]]
_PARTS = ("data", "indices", "indptr")


class Stored:
    """A recommender whose whole state is its frozen config and named arrays."""

    name: ClassVar[str]
    config_type: ClassVar[type[Any]]

    def __init__(self, config: Any) -> None:
        self.config = config
        self._arrays: Arrays | None = None

    @property
    def arrays(self) -> Arrays:
        """What `fit` learnt.

        Raises:
            ValueError: Nothing yet.
        """
        if self._arrays is None:
            raise ValueError(f"{self.name}: asked before it was fitted; call `fit` or `load` first")
        return self._arrays

    def save(self, folder: Path) -> None:
        """Write config and arrays."""
        write_model(folder, self.name, asdict(self.config), self.arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote."""
        settings, arrays = read_model(folder, cls.name)
        loaded = cls(cls.config_type(**settings))
        loaded._arrays = arrays
        return loaded


def write_model(folder: Path, name: str, settings: dict[str, Any], arrays: Arrays) -> None:
    """Both files, into a folder that is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    # safetensors writes the memory as it lies: a transposed view would come back as another matrix.
    save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, folder / "weights.safetensors")
    (folder / "model.json").write_text(json.dumps({"model": name, "config": settings}, indent=2) + "\n")


def read_model(folder: Path, name: str) -> tuple[dict[str, Any], Arrays]:
    """Settings and arrays.

    Raises:
        ValueError: The folder holds another model.
    """
    kept = json.loads((folder / "model.json").read_text())
    if kept["model"] != name:
        raise ValueError(f"{folder}: holds model '{kept['model']}', expected '{name}'; load it as what it is")
    settings = {key: tuple(v) if isinstance(v, list) else v for key, v in kept["config"].items()}
    return settings, load_file(folder / "weights.safetensors")


def parts_of(key: str, matrix: Csr) -> Arrays:
    """A sparse matrix as arrays that can be written."""
    return {**{f"{key}.{part}": getattr(matrix, part) for part in _PARTS}, f"{key}.shape": np.array(matrix.shape)}


def matrix_of(key: str, arrays: Arrays) -> Csr:
    """The sparse matrix whose `parts_of` these are."""
    rows, columns = arrays[f"{key}.shape"]
    return sparse.csr_array(tuple(arrays[f"{key}.{part}"] for part in _PARTS), shape=(int(rows), int(columns)))
