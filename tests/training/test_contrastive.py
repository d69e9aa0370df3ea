"""The loss of two towers against arithmetic by hand, finite differences and itself in two processes."""

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from training.contrastive import NO_ITEM, Contrastive, ContrastiveConfig, Pairs, among, triplet

# Users 0, 1, 2, 0 chose items 0, 1, 0, 2. Of 10 training positives item 0 has 5, item 1 has 3, item 2 has 2; user 0 has
# 6, user 1 has 1, user 2 has 3. User 1 has item 2 in the history. tau = 0.5, so logits are 2 u.v - log q.
#
#   u.v        v0=(1,0)  v1=(0,1)  v2=(1,0)  v3=(.6,.8)
#   u0=(1,0)      1         0         1         .6
#   u1=(0,1)      0         1         0         .8
#   u2=(.6,.8)    .6        .8        .6        1
#   u3=(.8,.6)    .8        .6        .8        .96
USERS = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, 0.6]]
ITEMS = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.6, 0.8]]


def four_pairs() -> Pairs:
    return Pairs(
        user_vectors=torch.tensor(USERS, dtype=torch.float64, requires_grad=True),
        item_vectors=torch.tensor(ITEMS, dtype=torch.float64, requires_grad=True),
        users=torch.tensor([0, 1, 2, 0]),
        items=torch.tensor([0, 1, 0, 2]),
        history=torch.tensor([[NO_ITEM, NO_ITEM], [2, NO_ITEM], [NO_ITEM, NO_ITEM], [NO_ITEM, NO_ITEM]]),
        user_share=torch.tensor([0.6, 0.1, 0.3, 0.6], dtype=torch.float64),
        item_share=torch.tensor([0.5, 0.3, 0.5, 0.2], dtype=torch.float64),
        negative_vectors=torch.zeros(0, 2, dtype=torch.float64),
        negatives=torch.zeros(0, dtype=torch.int64),
        negative_share=torch.zeros(0, dtype=torch.float64),
    )


def loss_of(pairs: Pairs, **settings: object) -> float:
    config = ContrastiveConfig(temperature=0.5, **settings)  # type: ignore[arg-type]
    return float(Contrastive(config, drawable=3).double()(pairs).detach())


def of_exponentials(rows: list[list[float]]) -> float:
    """Mean over rows of -log(first / sum)."""
    return sum(-math.log(row[0] / sum(row)) for row in rows) / len(rows)


def test_infonce_is_the_mean_of_both_directions_worked_by_hand() -> None:
    e = math.exp
    # exp(2 u.v - log q) = exp(2 u.v) / q, the row's own column first.
    forth = [
        [e(2.0) / 0.5, e(0.0) / 0.3],  # column 2 has the row's item, column 3 its user
        [e(2.0) / 0.3, e(0.0) / 0.5, e(0.0) / 0.5],  # column 3 is of its history
        [e(1.2) / 0.5, e(1.6) / 0.3, e(2.0) / 0.2],  # column 0 has the row's item
        [e(1.92) / 0.2, e(1.2) / 0.3, e(1.6) / 0.5],  # column 0 has the row's user
    ]
    back = [
        [e(2.0) / 0.6, e(0.0) / 0.1],
        [e(2.0) / 0.1, e(0.0) / 0.6, e(1.6) / 0.3, e(1.2) / 0.6],
        [e(1.2) / 0.3, e(0.0) / 0.1, e(1.6) / 0.6],
        [e(1.92) / 0.6, e(2.0) / 0.3],  # column 0 has the row's user; user 1 has the row's item in the history
    ]
    # Row by row: forth 0.20340, 0.15049, 2.20279, 0.47931; back 0.59444, 0.27830, 0.97437, 1.15265.
    assert of_exponentials(forth) == pytest.approx(0.758997, abs=1e-6)
    assert of_exponentials(back) == pytest.approx(0.749940, abs=1e-6)
    assert loss_of(four_pairs()) == pytest.approx((0.758997 + 0.749940) / 2, abs=1e-6)


def test_without_log_q_and_history_the_masks_of_user_and_item_stay() -> None:
    e = math.exp
    forth = [
        [e(2.0), e(0.0)],
        [e(2.0), e(0.0), e(0.0), e(1.6)],
        [e(1.2), e(1.6), e(2.0)],
        [e(1.92), e(1.2), e(1.6)],
    ]
    back = [
        [e(2.0), e(0.0)],
        [e(2.0), e(0.0), e(1.6), e(1.2)],
        [e(1.2), e(0.0), e(1.6)],
        [e(1.92), e(1.6), e(2.0)],
    ]
    expected = (of_exponentials(forth) + of_exponentials(back)) / 2
    assert loss_of(four_pairs(), log_q=False, mask_history=False) == pytest.approx(expected, abs=1e-7)


def test_uniform_negatives_are_columns_of_a_mixture_of_draws() -> None:
    # One negative, item 1, beside 4 pairs, drawn of 3 items: q' = (4 q + 1/3) / 5.
    q = {0: 0.466667, 1: 0.306667, 2: 0.226667}
    e = math.exp
    forth = [
        [e(2.0) / q[0], e(0.0) / q[1], e(0.0) / q[1]],
        [e(2.0) / q[1], e(0.0) / q[0], e(0.0) / q[0]],  # the negative is the row's own item
        [e(1.2) / q[0], e(1.6) / q[1], e(2.0) / q[2], e(1.6) / q[1]],
        [e(1.92) / q[2], e(1.2) / q[1], e(1.6) / q[0], e(1.2) / q[1]],
    ]
    mixed = replace(
        four_pairs(),
        negatives=torch.tensor([1]),
        negative_vectors=torch.tensor([[0.0, 1.0]], dtype=torch.float64),
        negative_share=torch.tensor([0.3], dtype=torch.float64),
    )
    assert loss_of(mixed) == pytest.approx((of_exponentials(forth) + 0.749940) / 2, abs=1e-5)


def test_the_triplet_loss_is_the_mean_hinge_of_what_is_no_false_negative() -> None:
    cosines = torch.tensor([[0.9, 0.8, 0.1], [0.5, 0.4, 0.35]])
    barred = torch.tensor([[False, False, False], [True, False, False]])
    # Row 0: .2 - .9 + .8 = .1 and .2 - .9 + .1 < 0, mean .05; row 1: .2 - .4 + .35 = .15 alone.
    assert float(triplet(cosines, barred, torch.tensor([0, 1]), 0.2)) == pytest.approx(0.1, abs=1e-7)


@pytest.mark.parametrize("objective", ["infonce", "triplet"])
def test_gradients_are_those_of_finite_differences(objective: str) -> None:
    pairs = four_pairs()
    # At a margin of 0.2 two hinges would stand at their kink, where there is no derivative.
    config = ContrastiveConfig(temperature=0.5, objective=objective, margin=0.25)  # type: ignore[arg-type]
    loss = Contrastive(config, drawable=3).double()

    def of(users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return loss(replace(pairs, user_vectors=users, item_vectors=items))

    assert torch.autograd.gradcheck(of, (pairs.user_vectors, pairs.item_vectors), eps=1e-6, atol=1e-7)


def test_the_gradient_of_the_temperature_is_that_of_finite_differences() -> None:
    loss = Contrastive(ContrastiveConfig(temperature=0.5), drawable=3).double()
    loss(four_pairs()).backward()
    values: list[float] = []
    for step in (1e-5, -2e-5):
        loss.free.data += step
        values.append(float(loss(four_pairs()).detach()))
    assert loss.free.grad is not None
    assert float(loss.free.grad) == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-8)


def test_a_learnt_temperature_never_falls_below_its_floor() -> None:
    loss = Contrastive(ContrastiveConfig(), drawable=1)
    assert loss.temperature.item() == pytest.approx(0.07, abs=1e-7)
    loss.free.data.fill_(-50.0)
    assert loss.temperature.item() == pytest.approx(0.01, abs=1e-7)
    assert not Contrastive(ContrastiveConfig(learn_temperature=False), drawable=1).free.requires_grad


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temperature": 0.005}, "temperature is 0.005, expected at least 0.01"),
        ({"objective": "bce"}, "objective is 'bce', expected 'infonce' or 'triplet'"),
        ({"uniform_negatives": -1}, "uniform_negatives is -1, expected 0 or more"),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ContrastiveConfig(**settings)  # type: ignore[arg-type]


def test_among_finds_the_items_of_histories_in_columns() -> None:
    history = torch.tensor([[7, 2, NO_ITEM], [NO_ITEM, NO_ITEM, NO_ITEM], [9, 9, 1]])
    found = among(history, torch.tensor([2, 9, 2, 5]))
    assert found.tolist() == [[True, False, True, False], [False] * 4, [False, True, False, False]]


def batch_of_eight(first: int, rows: int, weights: torch.Tensor) -> Pairs:
    dice = np.random.default_rng(0)
    inputs = torch.from_numpy(dice.normal(size=(20, 3)))
    users, items = torch.from_numpy(dice.integers(0, 5, 8)), torch.from_numpy(dice.integers(0, 6, 8))
    history = torch.from_numpy(dice.integers(-1, 6, (8, 3)))
    negatives = torch.from_numpy(dice.integers(0, 6, 4))
    mine = slice(first, first + rows)
    drawn = slice(first // 2, (first + rows) // 2)
    vectors = torch.nn.functional.normalize(inputs @ weights, dim=1)
    return Pairs(
        user_vectors=vectors[:8][mine],
        item_vectors=vectors[8:16][mine],
        users=users[mine],
        items=items[mine],
        history=history[mine],
        user_share=((users + 1.0) / 20)[mine].double(),
        item_share=((items + 1.0) / 30)[mine].double(),
        negative_vectors=vectors[16:][drawn],
        negatives=negatives[drawn],
        negative_share=((negatives + 1.0) / 30)[drawn].double(),
    )


def gradient_of(first: int, rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    weights = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 4))).requires_grad_()
    loss = Contrastive(ContrastiveConfig(), drawable=6).double()
    value = loss(batch_of_eight(first, rows, weights))
    value.backward()
    assert weights.grad is not None
    assert loss.free.grad is not None
    return value.detach(), weights.grad, loss.free.grad


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = gradient_of(4 * rank, 4)
    for value in found:  # what DistributedDataParallel does to gradients
        dist.all_reduce(value)
        value /= 2
    if rank == 0:
        torch.save(list(found), f"{folder}/found.pt")
    dist.destroy_process_group()


def test_two_processes_equal_one_at_the_same_global_batch(tmp_path: Path) -> None:
    mp.spawn(one_of_two, args=(str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    two, one = torch.load(tmp_path / "found.pt"), gradient_of(0, 8)
    for of_two, of_one in zip(two, one, strict=True):
        torch.testing.assert_close(of_two, of_one, rtol=0, atol=1e-10)
