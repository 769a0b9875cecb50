"""The training loop: the only one, for every task. Read it from top to bottom.

    train(spec, folder, say) -> Result

`say(kind, step, **data)` reports; only the first rank's words are kept. What a kind of training is made of stands in
`task.py`, and each kind in its own file below `tasks/`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import torch
from accelerate import Accelerator
from torch import nn

from deepft_lab import manifest as manifests
from deepft_lab import params
from deepft_lab.errors import DeepFTError
from deepft_lab.spec import JobSpec, Result
from deepft_lab.training import checkpoints, data, optimizers, pictures, schedules, tasks
from deepft_lab.training.architectures import normalisation_layers
from deepft_lab.training.evaluation import Evaluation
from deepft_lab.training.progress import Progress

Say = Callable[..., Any]
_UNREADABLE = 0.05  # share of pictures that may be unreadable (the tolerance of 5 % is the reference service's)
NORM_STEPS = 10  # of plain averaging in batch norm from a random start; its usual momentum of 0.1 is reached then
_STOP_EVERY = 10  # steps between two looks at the stop file where ranks must agree on GPUs; on CPUs each step


def train(spec: JobSpec, folder: Path, say: Say) -> Result:
    """Trains the model of a job folder: leaves `model/` there and returns the outcome. Raises DeepFTError."""
    values = spec.values
    task = tasks.make(spec.type, spec.template.recipe, values, spec.concepts, exclusive=spec.exclusive)
    task.check()
    batch_size, epochs = values["batch_size"], values["num_epochs"]
    warnings: list[str] = []

    def warn(message: str) -> None:
        warnings.append(message)
        say("warning", message=message)

    # Processes, devices, seeds.
    torch.set_num_threads(spec.threads)
    on_gpu = bool(spec.gpus)
    precision = "bf16" if on_gpu and torch.cuda.is_bf16_supported() else "no"
    accelerator = Accelerator(mixed_precision=precision, cpu=not on_gpu)
    rank, ranks, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    if ranks != spec.ranks:
        raise DeepFTError(f"The launcher started {ranks} processes where the job asked for {spec.ranks}.")
    torch.manual_seed(spec.seed)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.benchmark = on_gpu

    # Pictures: decoded once, by the first rank, into the cache that jobs share.
    training = manifests.load(folder / "train.jsonl")
    validation = _validation(folder)
    entries = training.entries + validation.entries
    side = pictures.stored_side(task)
    stored = pictures.gather(
        spec, folder, entries, side,
        threads=spec.threads * ranks, first=accelerator.is_main_process, wait=accelerator.wait_for_everyone,
    )  # fmt: skip
    if stored.refused:
        warn(stored.refused)
    unreadable = list(stored.unreadable.items())
    for place, reason in unreadable[:10]:
        warn(f"Input {entries[place].input} is left out: {reason}")
    if len(unreadable) > 10:
        warn(f"{len(unreadable) - 10} more inputs are left out because they cannot be read.")
    if len(unreadable) > _UNREADABLE * len(entries):
        raise DeepFTError(f"{len(unreadable)} of {len(entries)} inputs cannot be read; first: {unreadable[0][1]}")

    # Examples and their batches.
    def examples(manifest: manifests.Manifest, first: int) -> data.Examples:
        targets = task.targets(manifest)
        kept = [row for row in range(len(manifest.entries)) if first + row not in stored.unreadable]
        places = [first + row for row in kept]
        known = targets[kept] if isinstance(targets, torch.Tensor) else [targets[row] for row in kept]
        return data.Examples(stored, places, [manifest.entries[row] for row in kept], known, task, spec.seed)

    train_examples = examples(training, 0)
    validation_examples = examples(validation, len(training.entries))
    if not len(train_examples):
        raise DeepFTError("There is no input to train on.")
    for message in task.complaints(train_examples.targets):
        warn(message)
    if not len(validation_examples):
        warn("There is no input to validate on: no metrics, and the last epoch's checkpoint is the model.")
    workers = min(8, max(1, spec.threads - 1)) if on_gpu else 0  # on a CPU they would only take turns with the network
    order = data.TrainingOrder(
        len(train_examples),
        batch_size=batch_size,
        seed=spec.seed,
        items=params.items_per_epoch(values, len(train_examples)),
        repeats=task.repeats,
        rank=rank,
        ranks=ranks,
    )
    validation_order = data.ValidationOrder(len(validation_examples), batch_size=batch_size, rank=rank, ranks=ranks)
    train_batches = data.batches(train_examples, order, workers=workers, pin=on_gpu)
    validation_batches = data.batches(validation_examples, validation_order, workers=min(workers, 2), pin=on_gpu)

    # Network, optimizer, learning rates.
    pretrained = spec.weights is not None
    model: nn.Module = task.build(spec.weights)
    optimizer = optimizers.build(
        task.plan.optimizer,
        model,
        weight_decay=values.get("weight_decay", task.plan.optimizer.weight_decay),
        factor=lambda name: task.lrate_factor(name, pretrained=pretrained),
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    bare: nn.Module = accelerator.unwrap_model(model)
    norms = normalisation_layers(bare)
    torch.manual_seed(spec.seed + rank)  # all began with the same network; what is dropped differs from rank to rank
    steps = len(order) * epochs
    lrate = params.effective_lrate(values, ranks) or 0.0
    rates = schedules.plan(
        values, lrate=lrate, images_a_step=batch_size * ranks, steps=steps, schedule=task.plan.schedule
    )
    lrate_at = schedules.SCHEDULES[task.plan.schedule.name]
    if rates.warmup < (values.get("warmup_iters") or 0):
        warn(f"The run has {steps} steps: warm-up takes {rates.warmup} of them, not {values['warmup_iters']}.")
    if (values.get("num_gpus") or 1) != ranks:
        warn(f"num_gpus is {values['num_gpus']}, but there is room for {ranks} here.")

    progress = Progress(say, steps=steps, images_a_step=batch_size * ranks, epochs=epochs, gpu=on_gpu)
    best_metric = task.best_metric(validation_examples.targets)
    evaluation = Evaluation(task, validation_examples, validation_batches, validation_order, accelerator)
    say(
        "started",
        ranks=ranks,
        device=torch.cuda.get_device_name(device) if on_gpu else "CPU",
        precision="bf16" if precision == "bf16" else "float32",
        threads=spec.threads,
        train=len(train_examples),
        validation=len(validation_examples),
        epochs=epochs,
        steps_per_epoch=len(order),
        steps=steps,
        lrate=lrate,
        best_metric=best_metric,
        stored_side=side,
        decoded=stored.decoded,
    )

    best: tuple[float, ...] | None = None
    best_epoch = 0
    metrics: dict[str, float | None] = {}
    by_concept: dict[str, dict[str, float | None]] = {}
    step, stopping = 0, False
    for epoch in range(1, epochs + 1):
        # Train for an epoch, or until somebody asks to stop.
        epoch_started, order.epoch = time.monotonic(), epoch
        total_loss, counted = torch.zeros((), device=device), 0
        model.train()
        if batch_size == 1:  # batch norm keeps its statistics where there is nothing to take them from
            for layer in norms:
                layer.eval()
        for batch in train_batches:
            if not pretrained and step < NORM_STEPS:  # the invented first statistics leave at once, not slowly
                for layer in norms:
                    layer.momentum = 1 / (step + 1)
            for group in optimizer.param_groups:
                group["lr"] = lrate_at(rates, step) * group["factor"]
            prepared = task.prepare(batch.to(device), numpy.random.default_rng((spec.seed, epoch, step, rank)))
            with accelerator.autocast():
                loss = task.loss(model, prepared)
            accelerator.backward(loss)
            if task.plan.optimizer.clip_norm is not None:
                accelerator.clip_grad_norm_(model.parameters(), task.plan.optimizer.clip_norm)
            optimizer.step()
            optimizer.zero_grad()

            step, counted = step + 1, counted + 1
            total_loss += loss.detach()
            if progress.due(step):
                _require_finite(float(loss.detach()), epoch, step)
                progress.report(step, epoch=epoch, loss=float(loss.detach()), lrate=lrate_at(rates, step - 1))
            stopping = _asked_to_stop(folder, accelerator, step)
            if stopping:
                say("stopping", step, reason="asked to stop and keep the best")
                break
        train_loss = float(accelerator.reduce(total_loss / max(counted, 1), "mean"))
        _require_finite(train_loss, epoch, step)
        if stopping and best is not None and step < epoch * len(order):
            break  # the best of the finished epochs stands

        # Evaluate, and keep the best.
        evaluation_started = time.monotonic()
        metrics_now, by_concept_now = evaluation.run(bare)
        figure = _place(metrics_now, best_metric, epoch)
        is_best = best is None or figure > best
        if is_best:
            best, best_epoch, metrics, by_concept = figure, epoch, metrics_now, by_concept_now
            if accelerator.is_main_process:
                say("checkpoint", step, epoch=epoch, path=checkpoints.save_best(folder, bare))
        progress.evaluated(time.monotonic() - evaluation_started)
        if evaluation.previews:
            say("preview", step, epoch=epoch, images=evaluation.previews)
        say(
            "epoch",
            step,
            epoch=epoch,
            train_loss=train_loss,
            metrics=metrics_now,
            metrics_by_concept=by_concept_now,
            best=is_best,
            seconds=time.monotonic() - epoch_started,
        )
        if stopping:
            break

    if accelerator.is_main_process:
        card = checkpoints.Card(
            type=spec.type,
            recipe=spec.template.recipe,
            values=values,
            concepts=spec.concepts,
            exclusive=spec.exclusive,
            template=spec.template.id,
            template_hash=spec.template.hash,
            job=spec.job,
            version=spec.version,
            best_epoch=best_epoch,
            metrics=metrics,
            code_version=spec.code_version,
        )
        checkpoints.publish(folder, card)
    say("finished", step, metrics=metrics, metrics_by_concept=by_concept, best_epoch=best_epoch)
    accelerator.end_training()
    return Result(
        outcome="trained", metrics=metrics, metrics_by_concept=by_concept, best_epoch=best_epoch, warnings=warnings
    )


def _validation(folder: Path) -> manifests.Manifest:
    path = folder / "validation.jsonl"
    return manifests.load(path) if path.is_file() else manifests.Manifest([], [])


def _asked_to_stop(folder: Path, accelerator: Accelerator, step: int) -> bool:
    """True when the file `stop` is there; all ranks say the same."""
    if accelerator.num_processes == 1:
        return os.path.exists(folder / "stop")  # noqa: PTH110 - a third of Path.exists, at every step
    if accelerator.device.type == "cuda" and step % _STOP_EVERY:
        return False
    seen = torch.tensor(float(accelerator.is_main_process and (folder / "stop").exists()), device=accelerator.device)
    return bool(accelerator.reduce(seen, "sum") > 0)


def _require_finite(loss: float, epoch: int, step: int) -> None:
    if not math.isfinite(loss):
        raise DeepFTError(
            f"The loss is {loss} at step {step} (epoch {epoch}): training has come apart. "
            "Try a smaller per_item_lrate, or a longer warm-up."
        )


def _place(metrics: dict[str, float | None], best_metric: str, epoch: int) -> tuple[float, ...]:
    """Greater is better. Equal figures are told apart by the loss; without validation the last epoch is the best."""
    if not metrics:
        return (float(epoch),)
    loss = metrics.get("loss")
    low_loss = -math.inf if loss is None else -loss
    figure = metrics.get(best_metric)
    return (low_loss if best_metric == "loss" else figure if figure is not None else -math.inf, low_loss)
