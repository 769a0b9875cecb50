"""Published weights of the segmenters: their keys are ours, the new head stays, and a wrong file is told as one.

The files are not here. SegFormer's keys were listed with transformers 4.46.3 (SegformerForSemanticSegmentation, 150
concepts; the same random weights gave the same outputs to 1e-6), DeepLabV3's and the backbones' are torchvision's.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from deepft_lab.catalog import Catalog
from deepft_lab.errors import WeightsNotFound
from deepft_lab.training import recipes, tasks
from deepft_lab.training.segmentation import networks
from deepft_lab.training.segmentation.segformer import VARIANTS, SegFormer
from deepft_lab.training.weights import WrongWeights

LISTED = {  # number of tensors, and SHA-256 of the sorted lines "key shape"
    "b0": (208, "b2d80e8e5310fc7de60807f498561580b34af05d730977e11743a551f36fdb39"),
    "b1": (208, "79a6fb2972c624effd435f4f22ec345325c5b6abb66b885e8ea6418b9acc0d92"),
    "b2": (380, "8b2e6098564576e037444961a31fb79e1d1d2d3cb43b9df25770ebd7ac3851f1"),
    "b3": (644, "e3297094efd136bb96d2a62c3477983dbf061b3be34a5227bac9b5e8e78962bb"),
    "b4": (930, "98a7c28842825695e67385ba4d2c86922bded1ab6ba19ac7152d2bab7a12337b"),
    "b5": (1172, "f27c1bac986f030832d84670a0649fda3aed1681f6c7f4f054b1f10110d0a899"),
}


def lines_of(model: torch.nn.Module) -> list[str]:
    return sorted(f"{key} {list(tensor.shape)}" for key, tensor in model.state_dict().items())


def task_of(template: str, **values: Any) -> Any:
    found = Catalog().get(template)
    complete, faults = recipes.check(found, values)
    assert not faults
    return tasks.make(found.type, found.recipe, complete, ["a", "b"], exclusive=False)


@pytest.mark.parametrize("variant", VARIANTS)
def test_segformer_has_the_keys_and_shapes_of_the_published_files(variant: str) -> None:
    with torch.device("meta"):
        lines = lines_of(SegFormer(150, VARIANTS[variant], 0.1))
    assert (len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()) == LISTED[variant]


def test_a_published_segformer_fills_all_but_the_classifier(tmp_path: Path) -> None:
    shapes = {}
    for line in (Path(__file__).parent / "segformer_b0_keys.txt").read_text().splitlines()[1:]:
        key, _, shape = line.partition(" ")
        shapes[key] = [int(side) for side in shape.strip("[]").split(",") if side]
    generator = torch.Generator().manual_seed(1)
    file = {key: torch.rand(shape, generator=generator) for key, shape in shapes.items()}
    save_file(file, tmp_path / "weights.safetensors")
    task = task_of("segmenter-segformer", variant="b0")
    own = task.build(str(tmp_path / "weights.safetensors")).state_dict()
    new = {"decode_head.classifier.weight", "decode_head.classifier.bias"}
    assert set(own) == set(file)
    assert all(torch.equal(own[key], file[key].to(own[key].dtype)) for key in set(file) - new)
    assert own["decode_head.classifier.weight"].shape[0] == 3
    factors = {key: task.lrate_factor(key, pretrained=True) for key in own}
    assert {key for key, factor in factors.items() if factor == 10} == new


def test_an_encoder_alone_fills_the_encoder(tmp_path: Path) -> None:
    model = SegFormer(3, VARIANTS["b0"], 0.0)
    encoder = {key: tensor for key, tensor in model.state_dict().items() if key.startswith("segformer.")}
    save_file({**encoder, "classifier.weight": torch.zeros(1000, 256)}, tmp_path / "mit.safetensors")
    task = task_of("segmenter-segformer", variant="b0")
    task.build(str(tmp_path / "mit.safetensors"))
    assert task.lrate_factor("decode_head.linear_fuse.weight", pretrained=True) == 10


def test_deeplab_takes_torchvision_s_segmenter_and_its_classifier(tmp_path: Path) -> None:
    whole = models.segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    save_file(whole.state_dict(), tmp_path / "coco.safetensors")
    task = task_of("segmenter-deeplabv3")
    own = task.build(str(tmp_path / "coco.safetensors")).state_dict()
    new = {key for key in own if key.startswith(("classifier.4.", "aux_classifier.4."))}
    assert set(own) == set(whole.state_dict()) and len(new) == 4
    assert all(torch.equal(own[key], whole.state_dict()[key]) for key in set(own) - new)
    assert {key for key in own if task.lrate_factor(key, pretrained=True) == 10} == new

    backbone = models.resnet50(weights=None).state_dict()
    old = {key: tensor for key, tensor in backbone.items() if not key.endswith("num_batches_tracked")}  # as of 2017
    save_file(old, tmp_path / "imagenet.safetensors")
    own = task.build(str(tmp_path / "imagenet.safetensors")).state_dict()
    assert torch.equal(own["backbone.layer4.2.conv3.weight"], backbone["layer4.2.conv3.weight"])
    assert task.lrate_factor("classifier.1.weight", pretrained=True) == 10


def test_deeplab_s_published_file_is_the_one_that_torchvision_names() -> None:
    plan = recipes.read(Catalog().get("segmenter-deeplabv3").recipe, "visual-segmenter")
    weights = models.get_model_weights("deeplabv3_resnet50")
    assert plan.weights["COCO-VOC"].hub == [Path(entry.url).name for entry in weights]


def test_a_single_picture_trains_deeplab() -> None:
    model = networks.NETWORKS["deeplabv3_resnet50"].build(3, task_of("segmenter-deeplabv3").plan).train()
    main, auxiliary = model(torch.randn(1, 3, 32, 32))
    (main.mean() + auxiliary.mean()).backward()
    assert torch.isfinite(main).all()


@pytest.mark.parametrize(
    ("template", "values"),
    [("segmenter-light", {}), ("segmenter-segformer", {"variant": "b0"}), ("segmenter-deeplabv3", {})],
)
def test_a_file_of_another_architecture_is_told_with_the_name_of_the_one_that_is_wanted(
    template: str, values: dict[str, Any], tmp_path: Path
) -> None:
    save_file(models.squeezenet1_1(weights=None).state_dict(), tmp_path / "other.safetensors")
    task = task_of(template, **values)
    with pytest.raises(WrongWeights, match=task.plan.network):
        task.build(str(tmp_path / "other.safetensors"))


@pytest.mark.parametrize("variant", [*VARIANTS])
def test_missing_weights_are_told_before_the_run(variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    catalog = Catalog()
    template = catalog.get("MMSegmentation_SegFormer")
    values = recipes.check(template, {"variant": variant})[0]
    for choice, file in (("ade20k", f"segformer_{variant}_ade20k"), ("cityscapes", f"segformer_{variant}_cityscapes")):
        with pytest.raises(WeightsNotFound, match=f"{file}.safetensors"):
            catalog.find_weights(template, {**values, "pretrained_weights": choice})
    with pytest.raises(WeightsNotFound, match=f"mit_{variant}.safetensors"):
        catalog.find_weights(template, {**values, "pretrained_weights": "ImageNet-1k"})


@pytest.mark.parametrize("variant", [*VARIANTS])
def test_each_choice_of_weights_is_of_its_own_variant(variant: str) -> None:
    plan = recipes.settled(
        recipes.read(Catalog().get("segmenter-segformer").recipe, "visual-segmenter"), {"variant": variant}
    )
    assert set(plan.weights) == {"ade20k", "cityscapes", "ImageNet-1k"}
    for weights in plan.weights.values():
        assert f"-{variant}" in weights.huggingface and f"_{variant}" in weights.file


def test_streets_fill_all_but_the_classifier_and_an_encoder_has_no_decoder(tmp_path: Path) -> None:
    with torch.device("meta"):
        whole = {
            key: torch.Size(tensor.shape) for key, tensor in SegFormer(19, VARIANTS["b1"], 0.1).state_dict().items()
        }
    streets = {key: torch.rand(shape) for key, shape in whole.items()}
    encoder = {key: tensor for key, tensor in streets.items() if key.startswith("segformer.")}
    imagenet = {**encoder, "classifier.weight": torch.rand(1000, 512), "classifier.bias": torch.rand(1000)}
    for name, file, taken in (("streets", streets, "decode_head.linear_fuse.weight"), ("mit", imagenet, "")):
        save_file(file, tmp_path / f"{name}.safetensors")
        task = task_of("segmenter-segformer", variant="b1", pretrained_weights="cityscapes" if taken else "ImageNet-1k")
        own = task.build(str(tmp_path / f"{name}.safetensors")).state_dict()
        assert all(torch.equal(own[key], tensor) for key, tensor in encoder.items())
        assert torch.equal(own["decode_head.linear_fuse.weight"], streets["decode_head.linear_fuse.weight"]) == bool(
            taken
        )
        assert own["decode_head.classifier.weight"].shape[0] == 3


def test_the_light_one_takes_the_shared_weights(shared: Path) -> None:
    task = task_of("segmenter-light")
    model = task.build(str(shared / "jupyter/deepft-lab/weights/mobilenet_v2.safetensors"))
    assert task.lrate_factor("backbone.features.0.0.weight", pretrained=True) == 1
    assert task.lrate_factor("classifier.weight", pretrained=True) == task.plan.optimizer.head_lrate_factor
    assert model.state_dict()["backbone.features.17.conv.2.weight"].abs().sum() > 0
