"""A user tower as ONNX, which services run without torch; its inputs are those that `training.models.base` names."""

import copy
from pathlib import Path

import torch
from torch import nn


def export_user_tower(tower: nn.Module, path: Path, *, length: int) -> None:
    """Write `tower(items, lengths, profile)`, (B, L), (B,), (B, 2) to (B, D); B is free, L is `length`."""
    example = (torch.zeros(2, length, dtype=torch.int64), torch.ones(2).long(), torch.zeros(2, 2).long())
    rows = {0: torch.export.Dim("rows", min=1)}
    torch.onnx.export(
        copy.deepcopy(tower).cpu().eval(),
        example,
        path,
        dynamo=True,
        external_data=False,
        input_names=["items", "lengths", "profile"],
        output_names=["vector"],
        dynamic_shapes=(rows, rows, rows),
        verbose=False,
    )
