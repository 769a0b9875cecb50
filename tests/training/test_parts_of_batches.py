"""A batch in parts, or shared among processes, has the gradients of the whole, whatever is known of its examples."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import parted
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from deepft_lab.training import memory
from deepft_lab.training.gradients import Gradients

RANK = """
import sys
import parted
import torch
from accelerate import Accelerator
from deepft_lab import worker
from test_parts_of_batches import share, gradients_of
from deepft_lab.training.task import Batch

accelerator = Accelerator(cpu=True)
found = {}
for name in parted.CASES:
    for parts in (1, 2):
        case = parted.made(name)
        mine = share(case.batch, accelerator.process_index, accelerator.num_processes)
        wrapped = accelerator.prepare(case.model)
        loss, gradients = gradients_of(case, mine, -(-len(mine) // parts), accelerator, wrapped)
        found[name, parts] = float(accelerator.reduce(loss, "mean")), gradients
if accelerator.is_main_process:
    torch.save({"ranks": accelerator.num_processes, "found": found}, sys.argv[1])
accelerator.end_training()
worker.end(0)
"""


def gradients_of(
    case: parted.Case, batch: parted.Batch, micro_batch: int, accelerator: Accelerator, model: torch.nn.Module
) -> tuple[Tensor, dict[str, Tensor]]:
    def unexpected(words: str) -> None:
        raise AssertionError(words)

    computed = Gradients(
        case.task, accelerator, model, micro_batch=micro_batch, seed=1, pretrained=True, warn=unexpected
    )
    loss = computed.of(batch, 0)
    own = case.model.named_parameters()
    return loss, {name: parameter.grad.clone() for name, parameter in own if parameter.grad is not None}


def share(batch: parted.Batch, rank: int, ranks: int) -> parted.Batch:
    """The first ranks know more of their examples than the last."""
    each = len(batch) // ranks
    return batch.part(rank * each, (rank + 1) * each)


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys() and wanted
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def whole(name: str) -> tuple[float, dict[str, Tensor]]:
    AcceleratorState._reset_state(True)
    case = parted.made(name)
    loss, gradients = gradients_of(case, case.batch, len(case.batch), Accelerator(cpu=True), case.model)
    assert any(gradient.abs().max() > 1e-4 for gradient in gradients.values())
    return float(loss), gradients


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 4])
@pytest.mark.parametrize("name", parted.CASES)
def test_parts_have_the_gradients_of_the_whole_batch(name: str, micro_batch: int) -> None:
    wanted_loss, wanted = whole(name)
    case = parted.made(name)
    loss, gradients = gradients_of(case, case.batch, micro_batch, Accelerator(cpu=True), case.model)
    assert float(loss) == pytest.approx(wanted_loss, rel=1e-5)
    assert_same(gradients, wanted)


@pytest.mark.timeout(200)
def test_two_processes_with_parts_have_the_gradients_of_the_whole_batch(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    here = Path(__file__).parent
    paths = os.pathsep.join(map(str, [here, here.parents[1] / "bench", here.parents[1]]))
    variables = {
        **os.environ, "PYTHONPATH": paths, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(tmp_path / "found.pt")],
            env={**variables, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]
    try:
        assert [process.wait(150) for process in ranks] == [0, 0]
    finally:
        for process in ranks:
            process.kill()
            process.wait()
    answer = torch.load(tmp_path / "found.pt", weights_only=True)
    assert answer["ranks"] == 2 and len(answer["found"]) == 2 * len(parted.CASES)
    for (name, _), (loss, gradients) in answer["found"].items():
        wanted_loss, wanted = whole(name)
        assert loss == pytest.approx(wanted_loss, rel=1e-5), name
        assert_same(gradients, wanted)


def test_what_is_only_nearly_the_same_is_said() -> None:
    exact, nearly = parted.made("binary").task, parted.detector("detector-yolox")
    assert memory.effective_batch(exact, nn.Conv2d(1, 1, 1)) == "The effective batch stays the same."
    words = memory.effective_batch(nearly, nn.BatchNorm2d(1))
    assert words.startswith("The effective batch stays nearly the same; batch norm") and "places" in words


def test_memory_that_is_full_halves_what_is_computed_at_a_time_and_no_answer_moves() -> None:
    parts, asked = memory.Parts(8), []

    def compute(start: int, stop: int) -> list[int]:
        asked.append(stop - start)
        if stop - start > 3:
            raise torch.OutOfMemoryError("out of memory")
        return list(range(start, stop))

    assert parts.of(compute, 9) == list(range(9))
    assert (asked, parts.most) == ([8, 4, 2, 2, 2, 2, 1], 2)
    assert parts.of(compute, 0) == []
    with pytest.raises(torch.OutOfMemoryError):
        memory.Parts(1).of(lambda start, stop: compute(0, 9), 1)
