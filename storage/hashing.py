"""Digests: stable over machines, runs and library versions."""

# Annotations stay text: pyarrow is imported at its first use.
from __future__ import annotations

import hashlib
import json
from base64 import b32encode
from collections.abc import Iterator, Sequence
from typing import Any

from storage.lazy import pa

_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str)


def entity_id(namespace: str, source_id: str) -> str:
    """Id of a source's entity, 16 letters and digits (80 bits: 10 M ids collide with probability 4e-11)."""
    return b32encode(hashlib.blake2b(f"{namespace}:{source_id}".encode(), digest_size=10).digest()).decode().lower()


def digest(data: bytes) -> int:
    """64-bit signed digest."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True)


def digest_of(value: Any) -> str:
    """Short hex digest of anything that JSON can hold."""
    return hashlib.blake2b(_canonical(value), digest_size=8).hexdigest()


def hash_rows(table: pa.Table, columns: Sequence[str]) -> list[int]:
    """64-bit digest of each row over the given columns."""
    vectors = [name for name in columns if table.column(name).type == pa.list_(pa.float32())]
    plain = [table.column(name).to_pylist() for name in columns if name not in vectors]
    # One encoding per row: one per cell costs ten times as much.
    rows = map(_canonical, zip(*plain, strict=True)) if plain else [b""] * table.num_rows
    cells = [_vector_bytes(table.column(name)) for name in vectors]
    return [digest(b"\x1f".join(parts)) for parts in zip(rows, *cells, strict=True)]


def _vector_bytes(column: pa.ChunkedArray) -> Iterator[bytes]:
    # 384 floats as JSON cost 60 times what their bytes cost.
    for chunk in column.chunks:
        values = chunk.values.to_numpy(zero_copy_only=False)
        offsets = chunk.offsets.to_numpy()
        valid = chunk.is_valid().to_pylist()
        for i, ok in enumerate(valid):
            yield values[offsets[i] : offsets[i + 1]].tobytes() if ok else b"\x00"


def _canonical(value: Any) -> bytes:
    return _ENCODER.encode(value).encode("utf-8", "surrogatepass")
