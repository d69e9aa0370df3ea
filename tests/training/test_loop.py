"""The training loop: steps, stopping, resumption, many processes."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.toy_task import TOY_SETTINGS, Toy
from training.checkpoint import random_state, restore, set_random_state
from training.loop import LoopSettings, Progress, learning_rate, train

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def start_toy(*args: object, **env: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.training.toy_task", *map(str, args)]
    given = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | given | env)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def test_a_run_killed_between_checkpoints_resumes_to_the_same_weights_bit_by_bit(tmp_path: Path) -> None:
    killed, whole, resumed = tmp_path / "killed", Toy(dropout=0.3), Toy(dropout=0.3)
    assert start_toy(killed, "--dropout", 0.3, "--kill-at", 6).wait() == -signal.SIGKILL
    left = restore(killed / "checkpoints")
    assert left is not None
    assert (left.counters.steps, left.counters.step) == (4, 1)
    history = train(resumed, TOY_SETTINGS, folder=killed)
    assert resumed.step == 9 - 4
    assert [row.loss for row in history] == [row.loss for row in train(whole, TOY_SETTINGS)]
    for name, expected in whole.module.state_dict().items():
        assert torch.equal(resumed.module.state_dict()[name], expected)


def test_two_processes_learn_what_one_learns_at_the_same_global_batch(tmp_path: Path) -> None:
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}  # as torchrun sets them
    both = [start_toy(tmp_path, **shared, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    one, state = Toy(), restore(tmp_path / "checkpoints")
    assert state is not None
    history = train(one, TOY_SETTINGS)
    for name, expected in one.module.state_dict().items():
        torch.testing.assert_close(state.weights[name], expected, rtol=0, atol=1e-5)
    assert [row.loss for row in state.counters.history] == pytest.approx([row.loss for row in history], rel=1e-5)
    assert len(state.random) == 2
    with pytest.raises(ValueError, match="checkpoint is of 2 processes, now 1"):
        train(Toy(), TOY_SETTINGS, folder=tmp_path)


def test_accumulated_parts_of_unequal_size_learn_what_the_whole_batch_teaches() -> None:
    whole, cut = Toy(), Toy(accumulation=3)
    settings = LoopSettings(epochs=4)
    expected = train(whole, settings)
    found = train(cut, LoopSettings(epochs=4, gradient_accumulation=3))
    for one, other in zip(whole.module.parameters(), cut.module.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert [row.loss for row in found] == pytest.approx([row.loss for row in expected], rel=1e-5)


def test_batches_that_do_not_fill_a_step_are_refused() -> None:
    with pytest.raises(ValueError, match="3 batches, expected a positive multiple of 2"):
        train(Toy(), LoopSettings(epochs=1, gradient_accumulation=2))


def test_it_stops_when_patience_ends_and_keeps_the_best_weights() -> None:
    # 1 % over -2 is -1.98: -1.99 is the best so far, but no improvement, so two epochs without one end the run.
    toy = Toy(scores=[-3.0, -2.0, -1.99, -2.5, 0.0])
    history = train(toy, LoopSettings(epochs=5, patience=2))
    assert [epoch.score for epoch in history] == [-3.0, -2.0, -1.99, -2.5]
    assert next(iter(toy.module.parameters())).sum().item() == toy.kept[2]
    assert not toy.module.training


def test_without_patience_all_epochs_run() -> None:
    toy = Toy(scores=[3.0, 2.0, 1.0, 0.0])
    assert len(train(toy, LoopSettings(epochs=4, patience=None))) == 4
    assert next(iter(toy.module.parameters())).sum().item() == toy.kept[0]


def test_a_score_that_is_no_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="epoch 1: validation gives nan"):
        train(Toy(scores=[1.0, float("nan")]), LoopSettings(epochs=2))


def test_a_loss_that_is_no_number_is_an_error() -> None:
    toy = Toy()
    torch.nn.init.constant_(toy.module[0].weight, float("nan"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the loss is nan"):
        train(toy, LoopSettings(epochs=1))


def test_a_finished_run_is_not_run_again_and_a_longer_one_goes_on(tmp_path: Path) -> None:
    train(Toy(), LoopSettings(epochs=2), folder=tmp_path)
    again, longer, whole = Toy(), Toy(), Toy()
    assert len(train(again, LoopSettings(epochs=2), folder=tmp_path)) == 2
    assert again.step == 0
    train(longer, LoopSettings(epochs=4), folder=tmp_path)
    train(whole, LoopSettings(epochs=4))
    for one, other in zip(longer.module.parameters(), whole.module.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    train(Toy(), LoopSettings(epochs=1), folder=tmp_path)
    with pytest.raises(ValueError, match=r"learning_rate 0\.001, now 0\.01: train in an empty folder"):
        train(Toy(), LoopSettings(epochs=1, learning_rate=0.01), folder=tmp_path)


def test_a_checkpoint_is_safetensors_and_json_alone_and_half_a_one_is_not_seen(tmp_path: Path) -> None:
    train(Toy(), LoopSettings(epochs=2), folder=tmp_path)
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    assert {path.suffix for path in checkpoint.iterdir()} == {".safetensors", ".json"}
    assert json.loads((checkpoint / "state.json").read_text())["counters"]["epoch"] == 2
    checkpoint.rename(tmp_path / "checkpoints" / ".draft-step-000000009-00003")
    assert restore(tmp_path / "checkpoints") is None


def test_progress_is_told_and_logs_are_written(tmp_path: Path) -> None:
    told: list[Progress] = []
    history = train(Toy(scores=[1.0]), LoopSettings(epochs=1, log_every_steps=2), folder=tmp_path, report=told.append)
    assert [(p.step, p.steps) for p in told] == [(2, 3), (3, 3)]
    assert told[-1].loss == history[0].loss
    assert told[-1].score == 1.0
    assert list((tmp_path / "logs").iterdir())


def test_bf16_learns_close_to_float32() -> None:
    full, half = (train(Toy(), LoopSettings(epochs=6, precision=p, learning_rate=0.05)) for p in ("no", "bf16"))
    assert half[-1].loss == pytest.approx(full[-1].loss, rel=0.1)
    assert half[-1].loss != full[-1].loss


def test_the_rate_rises_in_a_line_and_stays() -> None:
    settings = LoopSettings(learning_rate=1.0, warmup_steps=3)
    assert [learning_rate(settings, step) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_generators_go_on_where_they_were() -> None:
    import random

    import numpy as np

    random.gauss(0, 1)
    np.random.standard_normal()  # leaves a second number behind, which is part of the state
    state = random_state()
    expected = random.gauss(0, 1), np.random.standard_normal(), torch.rand(1).item()
    set_random_state(state)
    assert (random.gauss(0, 1), np.random.standard_normal(), torch.rand(1).item()) == expected
