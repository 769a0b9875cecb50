"""The training loop: the only one, for every task. Read it from top to bottom.

    train(spec, folder, say) -> Result

`say(kind, step, **data)` reports; only the first rank's words are kept. What a kind of training is made of stands in
`task.py`, and each kind in its own file below `tasks/`. A folder that holds a checkpoint is gone on with (`state.py`).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy
import torch
from accelerate import Accelerator
from torch import nn

from deepft_lab import params
from deepft_lab.errors import DeepFTError
from deepft_lab.spec import JobSpec, Result
from deepft_lab.training import (
    checkpoints,
    data,
    devices,
    fitting,
    inheriting,
    material,
    optimizers,
    schedules,
    tasks,
    weights,
)
from deepft_lab.training.averaging import Average
from deepft_lab.training.evaluation import Evaluation
from deepft_lab.training.fitting import fit
from deepft_lab.training.gradients import Gradients
from deepft_lab.training.losses import Losses, NotFinite, check_weights
from deepft_lab.training.preparing import Preparing
from deepft_lab.training.progress import Progress, since_launch
from deepft_lab.training.signals import asked
from deepft_lab.training.state import LAST, Remaining, Run, States, restore

Say = Callable[..., Any]
_NAMED = 12  # inputs of a batch that an error names


def train(spec: JobSpec, folder: Path, say: Say) -> Result:
    """Trains the model of a job folder: leaves `model/` there and returns the outcome. Raises DeepFTError."""
    values = spec.values
    task = tasks.of_job(spec)
    task.check()
    batch_size, epochs = values["batch_size"], values["num_epochs"]

    # Processes, devices, and what an attempt before has left.
    torch.set_num_threads(spec.threads)
    on_gpu = bool(spec.gpus)
    if on_gpu:
        devices.choose_kernels(one_size=task.one_size, repeatable=int(values.get("seed", -1)) >= 0)
    precision, precision_fault = devices.precision(values.get("mixed_precision", "auto"), on_gpu)
    accelerator = devices.accelerator(spec, precision)
    rank, ranks, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    torch.manual_seed(spec.seed)  # all ranks begin with the same network
    torch.set_flush_denormal(True)
    launching, states = since_launch(folder), States(folder)  # whose seconds count from here
    left = states.read(ranks)
    run, tensors = left or (Run(ranks=ranks), None)
    if left is not None or _has_events(folder):
        say("resumed", run.step, from_step=run.step)

    steps = 0  # of the whole run; 0 until training begins

    def warn(message: str) -> None:
        if message not in run.warnings:
            run.warnings.append(message)
            say("warning", min(run.step + 1, steps), message=message)

    if precision_fault:
        warn(precision_fault)

    # Examples and their batches.
    begun = time.monotonic()
    preparing = Preparing(say, run.step)
    found = material.gather(spec, folder, task, accelerator, warn, preparing.tell)
    gathering = time.monotonic() - begun
    if values.get("class_weights") == "balanced" and (words := task.balance(found.training.targets)):
        warn(words)
    workers = min(8, max(1, spec.threads - 1)) if on_gpu else 0  # on a CPU they would only take turns with the network
    order = data.TrainingOrder(
        len(found.training),
        batch_size=batch_size,
        seed=spec.seed,
        items=params.items_per_epoch(values, len(found.training)),
        repeats=task.repeats,
        rank=rank,
        ranks=ranks,
    )
    remaining = Remaining(order)
    validation_order = data.ValidationOrder(len(found.validation), batch_size=batch_size, rank=rank, ranks=ranks)
    ahead = data.processes(found.training, workers, batch_size, share=0.6 / ranks)
    if ahead < workers:
        warn(
            f"{data.SHARED_MEMORY} has so little room that {ahead} of {workers} processes prepare batches, which is "
            "slower. Give the container more shared memory (docker run --shm-size=8g)."
        )
    ahead_of_validation = data.processes(found.validation, min(workers, 2), batch_size, share=0.3 / ranks)
    train_batches = data.batches(found.training, remaining, workers=ahead, pin=on_gpu)  # type: ignore[arg-type]
    validation_batches = data.batches(found.validation, validation_order, workers=ahead_of_validation, pin=on_gpu)

    # Network, optimizer, learning rates.
    pretrained = spec.weights is not None or spec.resume_model is not None
    model: nn.Module = task.build(None if spec.resume_model else spec.weights)
    if spec.resume_model and (words := inheriting.inherit(task, model, Path(spec.resume_model))):
        warn(words)
    began_from = weights.identify(spec.weights) if spec.weights and accelerator.is_main_process else {}
    optimizer = optimizers.build(
        task.plan.optimizer,
        model,
        weight_decay=values.get("weight_decay", task.plan.optimizer.weight_decay),
        factor=lambda name: task.lrate_factor(name, pretrained=pretrained),
    )
    model, optimizer = accelerator.prepare(model, optimizer)
    bare: nn.Module = accelerator.unwrap_model(model)
    begun = time.monotonic()
    task.continued, task.tell = left is not None, preparing.tell
    task.settle(bare, found.training, found.validation)  # before the average, which begins as the network stands
    settling = time.monotonic() - begun
    average = Average(bare, values["ema"]) if values.get("ema") else None
    total_steps = len(order) * epochs
    lrate = params.effective_lrate(values, ranks) or 0.0
    rates = schedules.plan(
        values, lrate=lrate, images_a_step=batch_size * ranks, steps=total_steps, schedule=task.plan.schedule
    )
    lrate_at = schedules.find(task.plan.schedule)
    if rates.warmup < (values.get("warmup_iters") or 0):
        warn(f"The run has {total_steps} steps: warm-up takes {rates.warmup} of them, not {values['warmup_iters']}.")
    if (values.get("num_gpus") or 1) != ranks:
        warn(f"num_gpus is {values['num_gpus']}, but there is room for {ranks} here.")

    # How much of a batch memory holds at a time.
    micro_batch = fit(
        spec, folder, task, bare, found.training, accelerator,
        known=run.micro_batch, steps=total_steps, warn=warn, say=say,
    )  # fmt: skip
    task.together = micro_batch
    gradients = Gradients(
        task, accelerator, model, micro_batch=micro_batch, seed=spec.seed, pretrained=pretrained,
        warn=warn, note=lambda part: fitting.note(folder, part),
    )  # fmt: skip
    if tensors is not None:
        restore(tensors, bare, optimizer, accelerator, average)
        tensors = left = None
    if values.get("compile"):
        torch._dynamo.config.suppress_errors = True  # what cannot be compiled runs as it is
        bare.compile()

    evaluated = average.model if average is not None else bare
    best_metric = task.best_metric(found.validation.targets)
    evaluation = Evaluation(task, found.validation, validation_batches, validation_order, accelerator)
    losses = Losses(device)
    progress = Progress(
        say, steps=total_steps, images_a_step=batch_size * ranks, epochs=epochs,
        evaluated=task.evaluated(len(found.training), len(found.validation)), gpu=on_gpu,
        step=run.step, used=lambda: states.seconds, before=launching,
    )  # fmt: skip
    if run.step == 0:
        say(
            "started",
            ranks=ranks,
            device=torch.cuda.get_device_name(device) if on_gpu else "CPU",
            precision="float32" if precision == "no" else precision,
            threads=spec.threads,
            train=len(found.training),
            validation=len(found.validation),
            epochs=epochs,
            steps_per_epoch=len(order),
            steps=total_steps,
            lrate=lrate,
            best_metric=best_metric,
            stored_side=found.side,
            decoded=found.decoded,
            gathering=gathering,
            settling=settling,
            micro_batch=micro_batch,
            weights=began_from,
        )

    def save() -> None:
        """Writes the state of the run; a full disk is a warning, and the state before stays."""
        begun = time.monotonic()
        run.total_loss, run.micro_batch = losses.total, gradients.micro_batch
        fault = states.write(run, bare, optimizer, accelerator, average) if accelerator.is_main_process else ""
        if fault:
            warn(f"{fault}: the run could not be written down at step {run.step}. What was written before stays.")
        else:
            say("checkpoint", run.step, epoch=run.epoch, path=LAST, seconds=states.cost)
        progress.paused(time.monotonic() - begun)

    def card() -> checkpoints.Card:
        return checkpoints.Card(
            type=spec.type,
            recipe=spec.template.recipe,
            values=values,
            concepts=spec.concepts,
            exclusive=spec.exclusive,
            template=spec.template.id,
            template_hash=spec.template.hash,
            job=spec.job,
            version=spec.version,
            best_epoch=run.best_epoch,
            metrics=run.metrics,
            code_version=spec.code_version,
            weights=began_from,
        )

    steps, stopping = total_steps, False
    patience, seconds_allowed = values.get("early_stopping_patience") or 0, 60 * (values.get("max_minutes") or 0.0)
    try:
        while run.epoch <= epochs and not stopping:
            # Train for an epoch, or until somebody asks to stop.
            epoch_started = time.monotonic()
            order.epoch, remaining.first = run.epoch, run.in_epoch
            losses.begin(run.total_loss, run.in_epoch)
            gradients.begin_epoch()
            for batch in train_batches:
                step = run.step
                for group in optimizer.param_groups:
                    group["lr"] = lrate_at(rates, step) * group["factor"]
                prepared = task.prepare(batch.to(device), numpy.random.default_rng((spec.seed, run.epoch, step, rank)))
                loss = gradients.of(prepared, step)
                if task.plan.optimizer.clip_norm is not None:
                    accelerator.clip_grad_norm_(model.parameters(), task.plan.optimizer.clip_norm)
                if ranks > 1:
                    loss = accelerator.reduce(loss, "mean")
                losses.add(loss, step + 1)
                optimizer.step()
                optimizer.zero_grad()
                if average is not None:
                    average.update(step + 1)

                run.step, run.in_epoch = step + 1, run.in_epoch + 1
                if values.get("compile") and progress.warm_up is None:
                    progress.warm_up = time.monotonic() - epoch_started
                if progress.due(run.step):
                    losses.check()
                    progress.micro_batch = gradients.micro_batch
                    progress.report(run.step, epoch=run.epoch, loss=float(loss), lrate=lrate_at(rates, step))
                late = 0 < seconds_allowed < states.seconds
                wish = asked(folder, accelerator, run.step, late=late, due=states.due)
                inside = run.in_epoch < len(order)  # at its end an epoch is evaluated before it is written down
                if (wish.save or wish.end) and inside:
                    losses.check()
                    check_weights(bare, run.step)
                    save()
                if wish.end and inside:
                    raise DeepFTError(_ended(run, states))
                if wish.stop or wish.late:
                    stopping = True
                    why = f"the {values['max_minutes']:g} minutes are over" if wish.late else "asked to stop"
                    say("stopping", run.step, reason=f"{why}, the best is kept")
                    break
            losses.check()
            if stopping and run.best is not None and run.in_epoch < len(order):
                break  # the best of the finished epochs stands
            check_weights(bare, run.step)

            # Evaluate, and keep the best.
            evaluation_started = time.monotonic()
            metrics, metrics_by_concept = evaluation.run(evaluated)
            figure = _place(metrics, best_metric, run.epoch)
            is_best = run.best is None or figure > run.best
            if is_best:
                kept = _keep(folder, evaluated, run, accelerator, states, warn, say)
                if kept:
                    run.best, run.best_epoch = figure, run.epoch
                    run.metrics, run.metrics_by_concept = metrics, metrics_by_concept
                is_best = kept
            progress.evaluated(time.monotonic() - evaluation_started)
            if evaluation.previews:
                say("preview", run.step, epoch=run.epoch, images=evaluation.previews)
            say(
                "epoch",
                run.step,
                epoch=run.epoch,
                train_loss=losses.mean,
                metrics=metrics,
                metrics_by_concept=metrics_by_concept,
                best=is_best,
                seconds=time.monotonic() - epoch_started,
            )
            run.epoch, run.in_epoch, run.total_loss = run.epoch + 1, 0, 0.0
            if stopping:
                break
            if patience and run.epoch - 1 - run.best_epoch >= patience and run.epoch <= epochs:
                say(
                    "stopping", run.step, reason=f"{patience} epochs brought nothing better than epoch {run.best_epoch}"
                )
                break
            losses.begin()
            first = not states.tried and run.epoch <= epochs  # short runs too can be gone on with
            at_end = asked(folder, accelerator, run.step, late=False, due=states.due or wish.save or first)
            if at_end.save or at_end.end:
                save()
            if at_end.end:
                raise DeepFTError(_ended(run, states))
    except NotFinite as error:
        raise DeepFTError(
            _not_finite(error, run, order, found.training, lrate_at(rates, error.step - 1))
            + _what_is_kept(folder, run, card, accelerator, states)
        ) from error

    if accelerator.is_main_process:
        checkpoints.publish(folder, card())
    say("finished", run.step, metrics=run.metrics, metrics_by_concept=run.metrics_by_concept, best_epoch=run.best_epoch)
    accelerator.end_training()
    return Result(
        outcome="trained",
        metrics=run.metrics,
        metrics_by_concept=run.metrics_by_concept,
        best_epoch=run.best_epoch,
        warnings=run.warnings,
    )


def _has_events(folder: Path) -> bool:
    path = folder / "events.jsonl"
    return path.is_file() and path.stat().st_size > 0


def _keep(
    folder: Path, model: nn.Module, run: Run, accelerator: Accelerator, states: States,
    warn: Callable[[str], None], say: Say,
) -> bool:  # fmt: skip
    """Writes the best weights so far. False where the disk is full and there are others; all ranks say the same."""
    kept = True
    if accelerator.is_main_process:
        begun = time.monotonic()
        try:
            path = checkpoints.save_best(folder, model, run.epoch)
            checkpoints.forget(folder, {run.epoch, states.best_epoch})
            say("checkpoint", run.step, epoch=run.epoch, path=path, seconds=time.monotonic() - begun)
        except OSError as error:
            if run.best is None:
                raise
            warn(f"The weights of epoch {run.epoch} could not be written ({error.strerror}): the best before stay.")
            kept = False
    if accelerator.num_processes > 1:
        said = torch.tensor(float(accelerator.is_main_process and not kept), device=accelerator.device)
        kept = not bool(accelerator.reduce(said, "sum") > 0)
    return kept


def _ended(run: Run, states: States) -> str:
    kept = f"Its state of step {run.step} is kept: resume it" if states.path.is_file() else "Train again"
    return f"The worker was told to end (SIGTERM), as when the machine shuts down. {kept}."


def _not_finite(error: NotFinite, run: Run, order: data.TrainingOrder, examples: data.Examples, lrate: float) -> str:
    """What was computed when the loss was lost: the step's inputs, of all ranks."""
    inputs: list[str] = []
    for rank in range(order.ranks):
        mine = copy.copy(order)
        mine.rank = rank
        place = (error.step - 1) % len(order)
        inputs += [examples.entries[key[0]].input for key in next(islice(iter(mine), place, None))]
    named = ", ".join(inputs[:_NAMED]) + (f" and {len(inputs) - _NAMED} more" if len(inputs) > _NAMED else "")
    return (
        f"{error.what} at step {error.step} (epoch {run.epoch}, learning rate {lrate:g}, inputs {named}): "
        "training has come apart. Try a smaller per_item_lrate, or a longer warm-up; look at these inputs."
    )


def _what_is_kept(
    folder: Path, run: Run, card: Callable[[], checkpoints.Card], accelerator: Accelerator, states: States
) -> str:
    """Makes the best so far the version's model; says what is there."""
    if not run.best_epoch:
        return ""
    if accelerator.is_main_process:
        checkpoints.publish(folder, card())
    return f" The best until then, epoch {run.best_epoch}, is kept in the version's model folder."


def _place(metrics: dict[str, float | None], best_metric: str, epoch: int) -> list[float]:
    """Greater is better. Equal figures are told apart by the loss; the last is the best where nothing is validated."""
    if not metrics or not best_metric:
        return [float(epoch)]
    loss = metrics.get("loss")
    low_loss = -math.inf if loss is None else -loss
    figure = metrics.get(best_metric)
    return [low_loss if best_metric == "loss" else figure if figure is not None else -math.inf, low_loss]
