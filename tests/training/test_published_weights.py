"""Every published file that a template of classifiers, embedders and embedding classifiers names fits its network.

The files are not here. Their keys and shapes are made from the library that published them: torchvision's model of the
file's architecture, timm's model of the repository's.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torchvision import models

from deepft_lab.catalog import Catalog
from deepft_lab.training import architectures, recipes, weights
from deepft_lab.training.recipes.parts import Weights

TYPES = ("visual-classifier", "visual-embedder", "embedding-classifier")


@functools.cache
def plans() -> list[tuple[str, Any]]:
    """Every template's id and recipe."""
    templates = [template for template in Catalog().list().templates if template.type in TYPES]
    return [(template.id, recipes.read(template.recipe, template.type)) for template in templates]


@functools.cache
def published() -> dict[str, tuple[str, Weights]]:
    """Architecture and weights of every choice of every template, by architecture and file."""
    found = {}
    for _, plan in plans():
        own = [(plan.architecture, plan.weights)]
        for architecture, choices in own + [(v.architecture, v.weights) for v in plan.variants.values()]:
            for choice in choices.values():
                found[f"{architecture} {choice.hub} {choice.huggingface}"] = (architecture, choice)
    return found


def of_torchvision(file: str) -> tuple[str, dict[str, torch.Tensor]]:
    """The name of the model that torchvision publishes a file for, and the file's keys with empty tensors."""
    for name in models.list_models(module=models):
        if any(Path(entry.url).name == file for entry in models.get_model_weights(name)):
            extra = {"aux_logits": True, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
            with torch.device("meta"):
                return name, dict(models.get_model(name, weights=None, **extra).state_dict())
    raise AssertionError(f"torchvision publishes no file {file}")


def of_timm(repository: str) -> dict[str, torch.Tensor]:
    """The keys of a repository's file with empty tensors; timm must know the repository by that name."""
    name = repository.removeprefix("timm/")
    assert timm.get_pretrained_cfg(name, allow_unregistered=False).hf_hub_id == repository
    with torch.device("meta"):
        return dict(timm.create_model(name, pretrained=False).state_dict())


@pytest.mark.parametrize("entry", published())
def test_a_published_file_fits_the_network_it_is_for(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, choice = published()[entry]
    files = [of_torchvision(file)[1] for file in choice.hub]
    if choice.huggingface:
        files.append(of_timm(choice.huggingface))
    assert files
    architecture = architectures.find(name)
    for tensors in files:
        with torch.device("meta"):
            network = architecture.build(3)
        monkeypatch.setattr(weights, "read", lambda path, tensors=tensors: tensors)
        weights.load(network, "file", architecture=name, head=architecture.head, aside=architecture.aside)
        less = dict(list(tensors.items())[1:])
        monkeypatch.setattr(weights, "read", lambda path, less=less: less)
        with pytest.raises(weights.WrongWeights, match="missing, such as"):
            weights.load(network, "file", architecture=name, head=architecture.head, aside=architecture.aside)


@pytest.mark.parametrize("entry", published())
def test_normalisation_is_that_of_the_weights(entry: str) -> None:
    name, choice = published()[entry]
    if not choice.huggingface:
        return
    wanted = timm.get_pretrained_cfg(choice.huggingface.removeprefix("timm/"))
    for template, plan in plans():
        for variant, chosen in [(None, plan), *plan.variants.items()]:
            if chosen.architecture == name and choice in chosen.weights.values():
                values = {} if variant is None else {"variant": variant}
                settled = recipes.settled(plan, values)
                assert settled.mean == pytest.approx(wanted.mean), template
                assert settled.deviation == pytest.approx(wanted.std), template


def test_a_template_states_the_licences_of_the_files_of_timm() -> None:
    asked = 0
    for template in Catalog().list().templates:
        plan = recipes.read(template.recipe, template.type)
        sets = [plan.weights, *(variant.weights for variant in plan.variants.values())]
        for repository in {choice.huggingface for choices in sets for choice in choices.values()}:
            if repository.startswith("timm/"):
                licence = timm.get_pretrained_cfg(repository.removeprefix("timm/")).license
                opening = Path(template.origin).read_text().partition("\nid: ")[0].lower()
                assert licence in template.licence.weights.lower() and licence in opening, (template.id, repository)
                asked += 1
    assert asked > 25


def test_torchvisions_convnext_computes_the_same_under_timms_keys() -> None:
    theirs = models.convnext_tiny(num_classes=4).eval()
    ours = architectures.find("convnext_tiny").build(4).eval()
    ours.load_state_dict(weights.own_words("convnext_tiny", dict(theirs.state_dict())))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_an_architecture_builds_with_its_head_and_without(name: str) -> None:
    architecture = architectures.ARCHITECTURES[name]
    with torch.device("meta"):
        network = architecture.build(5).eval()
        width = architectures.width(network, architecture.head)
        side = max(architecture.least_size, 32)
        images = torch.zeros(2, 3, side, side)
        assert network(images).shape == (2, 5)
        assert architectures.headless(network, architecture.head)(images).shape == (2, width)


@pytest.mark.parametrize("name", ["timm/resnet26t", "torchvision/squeezenet1_1", "vit_tiny_patch16_224", "swin_t"])
def test_any_name_of_timm_and_torchvision_is_found_with_its_head(name: str) -> None:
    architecture = architectures.find(name)
    with torch.device("meta"):
        assert architecture.build(5).eval()(torch.zeros(1, 3, 224, 224)).shape == (1, 5)


def test_a_name_of_no_library_is_refused_in_words() -> None:
    from deepft_lab.errors import InvalidParams

    with pytest.raises(InvalidParams, match="no architecture 'resnet51'"):
        architectures.find("resnet51")
