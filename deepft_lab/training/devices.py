"""What a run computes on: the processes and the devices that it was started for, and the precision there."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs

from deepft_lab.errors import DeepFTError
from deepft_lab.spec import JobSpec

# How long ranks wait for each other. The first one decodes a whole dataset while the others wait, and the ten minutes
# that NCCL waits by itself would end them; a rank that died is noticed by the launcher, at once.
PATIENCE = timedelta(days=7)


def precision(wanted: str, on_gpu: bool) -> tuple[str, str]:
    """Accelerate's name of a precision, and what a person should know."""
    if wanted == "auto":
        # Older GPUs only emulate bf16, which is slower than float32 there.
        return ("bf16" if on_gpu and torch.cuda.is_bf16_supported(including_emulation=False) else "no"), ""
    if wanted == "fp16" and not on_gpu:
        return "no", "mixed_precision = fp16 needs a GPU: here the precision is float32."
    return wanted, ""


def choose_kernels(*, one_size: bool, repeatable: bool) -> None:
    """On a GPU: those that were quickest in a trial, or those that give the same bits each time.

    Called before anything is computed there. What has no repeatable kernel is told in the log, and computed.
    """
    torch.backends.cudnn.benchmark = one_size and not repeatable
    if repeatable:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def accelerator(spec: JobSpec, precision: str) -> Accelerator:
    """The processes of a job, ready to work together. Raises DeepFTError where they are not those that it asked for."""
    if spec.gpus and not torch.cuda.is_available():
        built = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is built for CPUs alone"
        raise DeepFTError(
            f"The machine has a GPU, and PyTorch {torch.__version__} cannot use it: it {built}. Install a build that "
            "fits the GPU's driver, or start the server with CUDA_VISIBLE_DEVICES= to train on the CPU."
        )
    AcceleratorState._reset_state()  # of a run before in this process, which may have had another precision
    patience = InitProcessGroupKwargs(timeout=PATIENCE)
    made = Accelerator(mixed_precision=precision, cpu=not spec.gpus, kwargs_handlers=[patience])
    if made.num_processes != spec.ranks:
        raise DeepFTError(f"The launcher started {made.num_processes} processes where the job asked for {spec.ranks}.")
    return made
