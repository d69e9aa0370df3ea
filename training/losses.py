"""Losses over a large catalogue: which item comes next.

All give the SUM over targets, which the caller weights; scores are hidden_ND @ items_VD.T (+ bias_V).
"""

# N targets, V items, D width, K negatives per target, R targets of a chunk

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

IGNORED = -100
"""A target that is none, as in torch."""
CHUNK = 2**21
"""Scores held at a time: 8 MiB, which lie in a processor's cache. More where D rows of scores are more."""


def cross_entropy(hidden_ND: Tensor, items_VD: Tensor, targets_N: Tensor, bias_V: Tensor | None = None) -> Tensor:
    """Full cross-entropy, all N x V scores in memory at once: the reference of `chunked_cross_entropy`.

    Args:
        hidden_ND: One vector per target.
        items_VD: One vector per item.
        targets_N: Items, or IGNORED.
        bias_V: One number per item.

    Returns:
        (): the sum over targets that are not ignored.
    """
    return F.cross_entropy(F.linear(hidden_ND, items_VD, bias_V), targets_N, ignore_index=IGNORED, reduction="sum")


def chunked_cross_entropy(
    hidden_ND: Tensor, items_VD: Tensor, targets_N: Tensor, bias_V: Tensor | None = None, *, chunk: int = CHUNK
) -> Tensor:
    """The same as `cross_entropy`, with at most max(chunk, D x V) scores in memory at a time.

    Gradients are made in the forward pass, while a chunk's scores are there, so nothing is computed twice: its memory
    is that of the gradients and a chunk. Scores are multiplied in the type of `hidden_ND` (bfloat16 under autocast),
    and summed in float32 or better.
    """
    if not torch.is_grad_enabled():
        rows = _rows(items_VD, chunk)
        pairs = zip(hidden_ND.split(rows), targets_N.split(rows), strict=True)
        return torch.stack([cross_entropy(hidden, items_VD, targets, bias_V) for hidden, targets in pairs]).sum()
    if hidden_ND.dtype == torch.float16:  # gradients of most items are below its least number, and not scaled yet
        hidden_ND = hidden_ND.float()
    kept = targets_N != IGNORED
    if not bool(kept.all()):
        hidden_ND, targets_N = hidden_ND[kept], targets_N[kept]
    return _ChunkedCrossEntropy.apply(hidden_ND, items_VD, bias_V, targets_N, chunk)  # type: ignore[no-any-return]


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, items: Tensor, bias: Tensor | None, targets: Tensor, chunk: int) -> Tensor:
        with torch.autocast(hidden.device.type, enabled=False):
            loss, *gradients = _loss_and_gradients(hidden, items, bias, targets, chunk)
        ctx.save_for_backward(*gradients)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        scaled = [None if gradient is None else gradient.mul_(upstream) for gradient in ctx.saved_tensors]
        return *scaled, None, None


def _loss_and_gradients(
    hidden_ND: Tensor, items_VD: Tensor, bias_V: Tensor | None, targets_N: Tensor, chunk: int
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    kind = torch.promote_types(hidden_ND.dtype, torch.float32)
    multiplied_VD = items_VD.to(hidden_ND.dtype)
    for_hidden = torch.empty_like(hidden_ND)
    for_items = torch.zeros_like(items_VD, dtype=kind)
    for_bias = None if bias_V is None else torch.zeros_like(bias_V, dtype=kind)
    loss = hidden_ND.new_zeros((), dtype=kind)
    rows = _rows(items_VD, chunk)
    for at in range(0, len(hidden_ND), rows):
        hidden_RD, targets_R1 = hidden_ND[at : at + rows], targets_N[at : at + rows, None]
        scores_RV = (hidden_RD @ multiplied_VD.T).to(kind)
        if bias_V is not None:
            scores_RV += bias_V
        torch.log_softmax(scores_RV, 1, out=scores_RV)
        loss -= scores_RV.gather(1, targets_R1).sum()
        slope_RV = scores_RV.exp_().scatter_add_(1, targets_R1, torch.full_like(scores_RV[:, :1], -1.0))
        if for_bias is not None:
            for_bias += slope_RV.sum(0)
        slope_RV = slope_RV.to(hidden_ND.dtype)
        torch.mm(slope_RV, multiplied_VD, out=for_hidden[at : at + rows])
        if kind == hidden_ND.dtype:
            for_items.addmm_(slope_RV.T, hidden_RD)
        else:
            for_items += slope_RV.T @ hidden_RD
    return loss, for_hidden, for_items.to(items_VD.dtype), for_bias


def _rows(items_VD: Tensor, chunk: int) -> int:
    return max(1, chunk // len(items_VD), items_VD.shape[1])  # fewer would make D x V of gradients move for each few


def sampled_softmax(
    hidden_ND: Tensor,
    items_VD: Tensor,
    targets_N: Tensor,
    negatives_K: Tensor,
    log_q_V: Tensor,
    bias_V: Tensor | None = None,
) -> Tensor:
    """Cross-entropy whose sum over the catalogue is estimated from K items drawn with probabilities q, for all targets.

    The target's own score stands as it is; a negative's is lowered by log(K q), so that the sum of exponents is the
    catalogue's in expectation; where a negative is the target it is left out (importance sampling; Bengio & Senécal
    2008). With many negatives it is the full cross-entropy.

    Args:
        hidden_ND: One vector per target.
        items_VD: One vector per item.
        targets_N: Items.
        negatives_K: Items drawn independently from q, shared by all targets.
        log_q_V: Natural logarithm of q.
        bias_V: One number per item.

    Returns:
        (): the sum over targets.
    """
    positive_N1 = _scores(hidden_ND, items_VD, targets_N[:, None], bias_V)
    negative_NK = F.linear(hidden_ND, items_VD[negatives_K], None if bias_V is None else bias_V[negatives_K]).float()
    negative_NK = negative_NK - (log_q_V[negatives_K] + torch.log(torch.tensor(float(len(negatives_K)))))
    negative_NK = negative_NK.masked_fill(targets_N[:, None] == negatives_K, -torch.inf)
    return (torch.logsumexp(torch.cat([positive_N1, negative_NK], 1), 1) - positive_N1[:, 0]).sum()


def gbce(
    hidden_ND: Tensor,
    items_VD: Tensor,
    targets_N: Tensor,
    negatives_NK: Tensor,
    calibration: float,
    bias_V: Tensor | None = None,
) -> Tensor:
    """Generalised binary cross-entropy of gSASRec: sampled negatives without their overconfidence.

    The positive's probability is raised to beta = a (t (1 - 1/a) + 1/a), a = K / (V - 1) being the share of negatives
    that is drawn and t the calibration: 0 is plain binary cross-entropy, 1 gives the probabilities that full
    cross-entropy would (Petrov & Macdonald 2023, arXiv 2308.07192). Averaged over the K + 1 items of a target.

    Args:
        hidden_ND: One vector per target.
        items_VD: One vector per item.
        targets_N: Items.
        negatives_NK: Items other than the target, drawn evenly (see `negatives`).
        calibration: t, 0 to 1.
        bias_V: One number per item.

    Returns:
        (): the sum over targets.
    """
    drawn = negatives_NK.shape[1] / (len(items_VD) - 1)
    beta = drawn * (calibration * (1 - 1 / drawn) + 1 / drawn)
    positive_N1 = _scores(hidden_ND, items_VD, targets_N[:, None], bias_V)
    negative_NK = _scores(hidden_ND, items_VD, negatives_NK, bias_V)
    total = beta * F.softplus(-positive_N1).sum() + F.softplus(negative_NK).sum()
    return total / (negatives_NK.shape[1] + 1)


def negatives(targets_N: Tensor, items: int, count: int) -> Tensor:
    """(N, K): items drawn evenly from all but the target, by torch's generator of the device."""
    drawn_NK = torch.randint(items - 1, (len(targets_N), count), device=targets_N.device)
    return drawn_NK + (drawn_NK >= targets_N[:, None])


def _scores(hidden_ND: Tensor, items_VD: Tensor, chosen_NK: Tensor, bias_V: Tensor | None) -> Tensor:
    """(N, K): of K items per target."""
    scores_NK = torch.einsum("nd,nkd->nk", hidden_ND, F.embedding(chosen_NK, items_VD).to(hidden_ND.dtype)).float()
    return scores_NK if bias_V is None else scores_NK + bias_V[chosen_NK]
