"""numpy, pyarrow and polars, imported at their first use: most commands need none, and they cost half a second."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
else:

    class _Later:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Any:
            found = getattr(import_module(self._name), name)
            setattr(self, name, found)  # from now on it is found without asking
            return found

    np, pl, pa = _Later("numpy"), _Later("polars"), _Later("pyarrow")
    pc, pq = _Later("pyarrow.compute"), _Later("pyarrow.parquet")

__all__ = ["np", "pa", "pc", "pl", "pq"]
