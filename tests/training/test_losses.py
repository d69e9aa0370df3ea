"""Losses: equal to what they stand for, and worked by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from training.losses import (
    IGNORED,
    chunked_cross_entropy,
    cross_entropy,
    gbce,
    negatives,
    sampled_softmax,
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def given(kind: torch.dtype = torch.float64, targets: int = 23, items: int = 41, width: int = 4) -> list[Tensor]:
    dice = torch.Generator().manual_seed(1)
    made = [torch.randn(size, generator=dice, dtype=kind) for size in ((targets, width), (items, width), (items,))]
    return [*made, torch.randint(items, (targets,), generator=dice)]


def with_gradients(loss: Tensor, *of: Tensor) -> list[Tensor]:
    return [loss, *torch.autograd.grad(loss, of)]


@pytest.mark.parametrize("chunk", [1, 200, 10_000])  # rows at a time: 4 (not fewer than the width), 4, all
@pytest.mark.parametrize("biased", [True, False])
def test_chunks_give_the_loss_and_gradients_of_the_whole(chunk: int, biased: bool) -> None:
    hidden, items, bias, targets = given()
    targets[::5] = IGNORED
    asked = [tensor.requires_grad_() for tensor in ((hidden, items, bias) if biased else (hidden, items))]
    bias_or_none = bias if biased else None
    whole = with_gradients(3 * cross_entropy(hidden, items, targets, bias_or_none), *asked)
    chunked = with_gradients(3 * chunked_cross_entropy(hidden, items, targets, bias_or_none, chunk=chunk), *asked)
    for expected, found in zip(whole, chunked, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert not whole[1][0].any()  # an ignored target moves nothing
    with torch.no_grad():
        torch.testing.assert_close(
            3 * chunked_cross_entropy(hidden, items, targets, bias_or_none, chunk=chunk), whole[0]
        )


def test_cross_entropy_by_hand() -> None:
    # Scores 0, ln 2, ln 5: the second of three has 2 / 8.
    hidden, items = torch.ones(1, 1), torch.tensor([[0.0], [math.log(2)], [math.log(5)]])
    for loss in (cross_entropy, chunked_cross_entropy):
        assert loss(hidden, items, torch.tensor([1])).item() == pytest.approx(math.log(4))


def test_scores_out_of_the_range_of_exponents_stay_finite() -> None:
    hidden, items = torch.ones(1, 1), torch.tensor([[0.0], [-500.0]])
    assert chunked_cross_entropy(hidden, items, torch.tensor([1])).item() == 500.0


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_sums_in_float32(kind: torch.dtype) -> None:
    hidden, items, bias, targets = given(torch.float32)
    asked = [tensor.requires_grad_() for tensor in (hidden, items, bias)]
    expected = with_gradients(cross_entropy(hidden, items, targets, bias), *asked)
    found = with_gradients(chunked_cross_entropy(hidden.to(kind), items, targets, bias), *asked)
    assert [one.dtype for one in found] == [torch.float32] * 4
    for one, other in zip(expected, found, strict=True):
        assert F.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.9999
    torch.testing.assert_close(found[0], expected[0], rtol=2e-3, atol=0)


def test_no_target_is_no_loss_and_moves_nothing() -> None:
    hidden, items, bias, targets = given()
    hidden.requires_grad_()
    loss = chunked_cross_entropy(hidden, items, torch.full_like(targets, IGNORED), bias)
    loss.backward()
    assert loss.item() == 0
    assert hidden.grad is not None
    assert not hidden.grad.any()


def test_sampled_softmax_by_hand() -> None:
    # Scores ln 1, ln 2, ln 3; q = .5, .25, .25; drawn: 0, 2, 2. For target 1: 2 + 1 / (3 x .5) + 2 x 3 / (3 x .25).
    # For target 2 its own draws are left out: 3 + 1 / 1.5.
    items = torch.tensor([[1.0], [2.0], [3.0]]).log()
    log_q = torch.tensor([0.5, 0.25, 0.25]).log()
    loss = sampled_softmax(torch.ones(2, 1), items, torch.tensor([1, 2]), torch.tensor([0, 2, 2]), log_q)
    assert loss.item() == pytest.approx(math.log((2 + 2 / 3 + 8) / 2) + math.log((3 + 2 / 3) / 3))


def test_sampled_softmax_comes_to_the_full_one_with_many_negatives() -> None:
    hidden, items, bias, targets = given(torch.float32)
    q = (torch.arange(len(items)) + 1.0) / (torch.arange(len(items)) + 1.0).sum()
    drawn = torch.multinomial(q, 200_000, replacement=True, generator=torch.Generator().manual_seed(0))
    sampled = sampled_softmax(hidden, items, targets, drawn, q.log(), bias)
    torch.testing.assert_close(sampled, cross_entropy(hidden, items, targets, bias), rtol=5e-3, atol=0)


def test_gbce_by_hand() -> None:
    # V = 5, K = 2: a = 1/2; t = .5: beta = .5 (.5 (1 - 2) + 2) = .75. Scores: target 0, negatives ln 3 twice.
    items = torch.tensor([[0.0], [math.log(3)], [math.log(3)], [9.0], [9.0]])
    loss = gbce(torch.ones(1, 1), items, torch.tensor([0]), torch.tensor([[1, 2]]), 0.5)
    assert loss.item() == pytest.approx((0.75 * math.log(2) + 2 * math.log(4)) / 3)


def test_gbce_without_calibration_is_binary_cross_entropy() -> None:
    hidden, items, bias, targets = given()
    drawn = negatives(targets, len(items), 1)
    scores = (hidden @ items.T + bias).gather(1, torch.cat([targets[:, None], drawn], 1))
    expected = F.binary_cross_entropy_with_logits(scores, torch.tensor([[1.0, 0.0]]).expand_as(scores).double())
    found = gbce(hidden, items, targets, drawn, 0.0, bias) / len(targets)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_negatives_are_all_items_but_the_target_evenly() -> None:
    torch.manual_seed(0)
    drawn = negatives(torch.tensor([0, 2, 3]), 4, 30_000)
    for target, row in zip([0, 2, 3], drawn, strict=True):
        shares = torch.bincount(row, minlength=4) / 30_000
        expected = torch.full((4,), 1 / 3)
        expected[target] = 0
        torch.testing.assert_close(shares, expected, rtol=0, atol=0.015)
