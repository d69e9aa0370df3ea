"""Linear layers in int8 on CPU: a scale per channel of the weights, and a scale per token of what goes in.

The scale of a token is its own largest number over 127, so a vector is the same alone and in a batch, and no outlier of
one text costs another its digits (torch's dynamic int8 has one scale for the whole batch: mean cosine .937 where this
gives .997 on all-MiniLM-L6-v2). The product is torch's own (`_int_mm`, oneDNN), exact in int32: nothing is installed,
exported or calibrated. Everything between the layers stays in fp32.
"""

from typing import Any

import torch
from torch import nn

from featurizers.base import NoDevice

_KEPT = ("pooler", "projection")  # once per text, not per token: nothing to gain
# torch has public names for neither; the pin of torch in pyproject.toml holds both.
_int_mm: Any = torch._int_mm  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
_vnni: Any = torch.cpu._is_vnni_supported  # pyright: ignore[reportPrivateUsage]
_TINY = 1e-12  # a token of zeros has the scale of this, not of 0


class Int8Linear(nn.Module):
    """A linear layer, (..., K) to (..., N), whose weights are int8."""

    levels: torch.Tensor  # (K, N), int8
    scale: torch.Tensor  # (N,): what a level is worth
    bias: torch.Tensor  # (N,)

    def __init__(self, linear: nn.Linear) -> None:
        """The layer as it was trained, in fp32."""
        super().__init__()
        scale = linear.weight.detach().abs().amax(1).clamp_(min=_TINY) / 127
        levels = (linear.weight.detach() / scale[:, None]).round_().to(torch.int8)
        self.register_buffer("levels", levels.t().contiguous())
        self.register_buffer("scale", scale)
        self.register_buffer("bias", _bias(linear))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The layer's output, in fp32."""
        tokens = x.reshape(-1, x.shape[-1])
        scale = tokens.abs().amax(1, keepdim=True).clamp_(min=_TINY).div_(127)
        product = _int_mm(tokens.div(scale).round_().to(torch.int8), self.levels)
        return product.float().mul_(scale).mul_(self.scale).add_(self.bias).view(*x.shape[:-1], -1)


def in_int8(model: Any) -> Any:
    """The model with its linear layers replaced, in place.

    Raises:
        NoDevice: The processor has no VNNI instructions; without them sums overflow, and nothing is faster.
    """
    if not has_vnni():
        raise NoDevice("`precision: int8` needs a processor with VNNI instructions (AVX-512 or AVX); write fp32")
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and not any(part in name for part in _KEPT):
            model.set_submodule(name, Int8Linear(module))
    return model


def _bias(linear: Any) -> torch.Tensor:
    return torch.zeros(linear.out_features) if linear.bias is None else linear.bias.detach().clone()


def has_vnni() -> bool:
    """Whether the processor multiplies int8 four at a time into int32."""
    return bool(torch.backends.mkldnn.is_available() and _vnni())
