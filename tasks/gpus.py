"""Which GPUs there are, and which one a worker process has: one process per GPU, pinned before torch looks for it."""

import os
from typing import Any

PINNED = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA names them; () where there is none.

    Where the variable is set its list counts, numbers or UUIDs, up to one that is none, as CUDA reads it.
    """
    said = os.environ.get(PINNED)
    if said is None:
        import torch

        return tuple(str(number) for number in range(torch.cuda.device_count()))
    named = [name.strip() for name in said.split(",")]
    end = next((at for at, name in enumerate(named) if name in ("", "-1")), len(named))
    return tuple(named[:end])


def pin(devices: Any) -> None:
    """In a worker that has just begun: take one of the GPUs in the queue, and see no other."""
    os.environ[PINNED] = devices.get()
