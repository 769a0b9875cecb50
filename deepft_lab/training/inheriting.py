"""Training that goes on from a finished model: its weights, and what it learned of the concepts that it knew."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from deepft_lab.training import checkpoints, weights
from deepft_lab.training.task import Task


def inherit(task: Task, model: nn.Module, model_folder: Path) -> str:
    """Fills a new network with a model folder's weights; returns what a person should know of the concepts.

    Rows of the head go by the names of their concepts: a new concept keeps its random start, one that is gone leaves.
    Raises WrongWeights where anything but the head has another key or shape.
    """
    card = checkpoints.read_card(model_folder)
    found = weights.read(model_folder / checkpoints.WEIGHTS)
    own = model.state_dict()
    same = card.concepts == task.concepts
    heads = {} if same else _head_sizes(task, own)
    given: dict[str, Tensor] = {}
    faults = []
    for key, tensor in own.items():
        old = found.get(key)
        if old is None:
            faults.append(f"it has no {key}")
        elif key in heads:
            given[key] = _rows_by_name(task, key, tensor, old, card.concepts, heads[key])
        elif old.shape != tensor.shape:
            faults.append(f"{key} is {list(old.shape)}, wanted {list(tensor.shape)}")
        else:
            given[key] = old
    faults += [f"{key} is not known here" for key in sorted(found.keys() - own.keys())]
    if faults:
        raise weights.WrongWeights(
            f"The version that resume_from names has another architecture ({card.template}): {faults[0]}"
            f"{f', and {len(faults) - 1} more' if len(faults) > 1 else ''}. Choose a version of the same template."
        )
    model.load_state_dict(given)
    task.inherited(model, heads.keys())
    new = [concept for concept in task.concepts if concept not in card.concepts]
    gone = [concept for concept in card.concepts if concept not in task.concepts]
    said = []
    if new:
        said.append(f"new concepts, which begin at random: {', '.join(new)}")
    if gone:
        said.append(f"concepts that it knew and that are left: {', '.join(gone)}")
    return f"Training goes on from {card.version}; {'; '.join(said)}." if said else ""


def _head_sizes(task: Task, own: dict[str, Tensor]) -> dict[str, int]:
    """Keys of the tensors that grow with the concepts, and by how many rows a concept."""
    another = type(task)(task.plan, task.values, [*task.concepts, "\0another"], exclusive=task.exclusive)
    grown = another.build().state_dict()
    sizes = {}
    for key, tensor in own.items():
        if tensor.ndim and grown[key].shape != tensor.shape and grown[key].shape[1:] == tensor.shape[1:]:
            sizes[key] = grown[key].shape[0] - tensor.shape[0]
    return sizes


def _rows_by_name(task: Task, key: str, fresh: Tensor, old: Tensor, old_concepts: list[str], each: int) -> Tensor:
    """A head's tensor with the old rows of the concepts that both know, and of what belongs to no concept."""
    made = fresh.detach().clone()
    here = task.head_rows(key, fresh.shape[0], len(task.concepts), each)
    there = task.head_rows(key, old.shape[0], len(old_concepts), each)
    if old.shape[1:] != fresh.shape[1:] or int(there.max(initial=0)) >= old.shape[0]:
        raise weights.WrongWeights(
            f"The version that resume_from names has another head: {key} is {list(old.shape)}, "
            f"here {list(fresh.shape)}. Choose a version of the same template."
        )
    places = {concept: place for place, concept in enumerate(old_concepts)}
    for place, concept in enumerate(task.concepts):
        if concept in places:
            made[torch.from_numpy(here[place])] = old[torch.from_numpy(there[places[concept]])].to(made.dtype)
    others_here = sorted(set(range(fresh.shape[0])) - set(here.flatten().tolist()))
    others_there = sorted(set(range(old.shape[0])) - set(there.flatten().tolist()))
    if len(others_here) == len(others_there) and others_here:  # such as the background's
        made[others_here] = old[others_there].to(made.dtype)
    return made
