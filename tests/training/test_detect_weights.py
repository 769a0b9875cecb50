"""Published files of detectors and of their backbones: torchvision's and timm's networks have the keys and shapes.

RT-DETR's file is not here: its keys were listed with transformers 4.46.3, whose network gave the same boxes and logits
to 1e-5 with the same random weights.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models
from torchvision.models import detection

from deepft_lab.catalog import Catalog
from deepft_lab.errors import WeightsNotFound
from deepft_lab.training import augment, tasks
from deepft_lab.training.detection import published, rt_detr_keys
from deepft_lab.training.tasks.detect import Detect
from deepft_lab.training.weights import WrongWeights

CONCEPTS = ["a", "b", "c"]


def made(template: str, **values: object) -> Detect:
    found = Catalog().get(template)
    complete = {field.name: field.default for field in found.fields}
    task = tasks.make("visual-detector", found.recipe, {**complete, **values}, CONCEPTS, exclusive=False)
    assert isinstance(task, Detect)
    return task


def saved(model: nn.Module, folder: Path) -> str:
    path = folder / "file.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, path)
    return str(path)


def shaken(model: nn.Module) -> nn.Module:
    """With numbers in place of the zeros and ones that layers start from, so that every key matters."""
    torch.manual_seed(0)
    for buffer in (*model.parameters(), *model.buffers()):
        if buffer.is_floating_point() and buffer.ndim == 1:
            buffer.data.uniform_(0.5, 1.0)
    return model.eval()


@torch.no_grad()
def test_faster_rcnn_computes_what_torchvisions_published_network_does(tmp_path: Path) -> None:
    theirs = shaken(detection.fasterrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None))
    ours = made("detector-faster-rcnn").build(saved(theirs, tmp_path)).eval()
    images = torch.randn(1, 3, 64, 64)
    maps = list(theirs.backbone(images).values())
    own = ours.neck(ours.backbone(images))
    assert all(torch.allclose(one, other, rtol=1e-3, atol=1e-3) for one, other in zip(own, maps, strict=True))
    logits, _ = theirs.rpn.head(maps)
    assert torch.allclose(
        ours.head.rpn["head"](maps)[0][1], logits[1].permute(0, 2, 3, 1).flatten(1), rtol=1e-3, atol=1e-3
    )
    regions = torch.randn(4, 256, 7, 7)
    assert torch.allclose(
        ours.head.roi_heads["box_head"](regions), theirs.roi_heads.box_head(regions), rtol=1e-3, atol=1e-3
    )
    anchors = theirs.rpn.anchor_generator(detection.image_list.ImageList(images, [(64, 64)]), maps)[0]
    every = torch.cat(ours.head._anchors(maps))
    assert (every - anchors).abs().max() <= 0.5  # torchvision rounds them


@torch.no_grad()
def test_retinanet_computes_what_torchvisions_published_network_does(tmp_path: Path) -> None:
    theirs = shaken(detection.retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None))
    file = saved(theirs, tmp_path)
    ours = made("detector-retinanet").build(file).eval()
    images = torch.randn(1, 3, 128, 128)
    maps = list(theirs.backbone(images).values())
    own = ours.neck(ours.backbone(images))
    assert all(torch.allclose(one, other, rtol=1e-3, atol=1e-3) for one, other in zip(own, maps, strict=True))
    deltas = torch.cat(ours.head.regression_head(maps)[0], 1)
    assert torch.allclose(deltas, theirs.head.regression_head(maps), rtol=1e-3, atol=1e-3)
    anchors = theirs.anchor_generator(detection.image_list.ImageList(images, [(128, 128)]), maps)[0]
    assert (torch.cat(ours.head._anchors(maps)) - anchors).abs().max() <= 1.5  # torchvision rounds sizes and halves
    # Other anchors and boxes by concept: their last layer starts anew, and all the rest is taken.
    other = made("detector-retinanet", anchor_ratios=[1.0], use_perclass_regression=True).build(file)
    assert other.head.regression_head.bbox_reg.weight.shape[0] == 3 * 4 * len(CONCEPTS)
    assert torch.equal(other.neck.inner_blocks[0][0].weight, ours.neck.inner_blocks[0][0].weight)


@torch.no_grad()
def test_ssd_computes_what_torchvisions_published_network_does(tmp_path: Path) -> None:
    theirs = shaken(detection.ssd300_vgg16(weights=None, weights_backbone=None))
    ours = made("detector-ssd").build(saved(theirs, tmp_path)).eval()
    images = torch.randn(1, 3, 300, 300)
    maps = list(theirs.backbone(images).values())
    own = ours.backbone(images)
    assert all(torch.allclose(one, other, rtol=1e-3, atol=1e-3) for one, other in zip(own, maps, strict=True))
    deltas = torch.cat([part[:, :, 0] for part in ours.head._look(maps)[1]], 1)
    assert torch.allclose(deltas, theirs.head.regression_head(maps), rtol=1e-3, atol=1e-3)
    anchors = theirs.anchor_generator(detection.image_list.ImageList(images, [(300, 300)]), maps)[0]
    sizes = [(some[:, 2:] - some[:, :2])[:6] for some in ours.head._anchors(maps)]
    assert torch.allclose(sizes[0], (anchors[:4, 2:] - anchors[:4, :2])[: len(sizes[0])].repeat(2, 1)[:6], atol=0.5)


def rt_detr() -> dict[str, torch.Tensor]:
    """A file of random numbers with the published keys and shapes."""
    random, found = torch.Generator().manual_seed(1), {}
    for line in (Path(__file__).parent / "rt_detr_r50_keys.txt").read_text().splitlines()[1:]:
        pattern, _, shape = line.partition(" ")
        keys = [pattern]
        while "<" in keys[0]:
            low, high = (int(side) for side in re.search(r"<(\d)-(\d)>", keys[0]).groups())  # type: ignore[union-attr]
            keys = [re.sub(r"<\d-\d>", str(n), key, count=1) for key in keys for n in range(low, high + 1)]
        sides = [int(side) for side in re.findall(r"\d+", shape)]
        for key in keys:
            whole = key.endswith("num_batches_tracked")
            found[key] = torch.tensor(3) if whole else torch.rand(sides, generator=random) / 10
    return found


def test_rt_detr_takes_the_published_detector_but_for_what_depends_on_the_concepts(tmp_path: Path) -> None:
    file = rt_detr()
    assert len(file) == 764
    save_file(file, tmp_path / "file.safetensors")
    own = made("detector-rt-detr").build(str(tmp_path / "file.safetensors")).state_dict()
    new = ("head.first_concepts.", "head.concepts.", "head.told.")
    given = rt_detr_keys.renamed(file)
    assert {key for key in own if not key.startswith(new)} - set(given) == {
        key for key in own if key.startswith("backbone.") and key.endswith("num_batches_tracked")
    }
    for key, tensor in given.items():
        assert key in own and (key.startswith(new) or torch.equal(own[key], tensor)), key
    apart = [file[f"model.decoder.layers.4.self_attn.{part}_proj.weight"] for part in "qkv"]
    assert torch.equal(own["head.layers.4.among.in_proj_weight"], torch.cat(apart))
    stem = file["model.backbone.model.embedder.embedder.2.convolution.weight"]
    assert torch.equal(own["backbone.body.conv1.6.weight"], stem)
    block = file["model.encoder.pan_blocks.1.bottlenecks.2.conv2.conv.weight"]
    assert torch.equal(own["neck.up.1.blocks.2.narrow.0.weight"], block)
    tied = {key.removeprefix("model.decoder.") if "_embed" in key else key: file[key] for key in file}
    assert set(rt_detr_keys.renamed(tied)) == set(given)
    save_file(dict(list(file.items())[1:]), tmp_path / "less.safetensors")
    with pytest.raises(WrongWeights, match=r"rt_detr on timm:resnet50d: 1 of its \d+ tensors are missing"):
        made("detector-rt-detr").build(str(tmp_path / "less.safetensors"))


@torch.no_grad()
def test_a_backbone_that_knew_normalised_pictures_sees_the_same_in_plain_ones(tmp_path: Path) -> None:
    import timm

    theirs = shaken(timm.create_model("resnet50d", pretrained=False))
    task = made("detector-rt-detr", pretrained_weights="ImageNet-1k")
    ours = task.build(saved(theirs, tmp_path)).eval()
    images = torch.randint(0, 256, (1, 3, 128, 128), dtype=torch.uint8)
    plain = augment.normalise(images, task.plan.mean, task.plan.deviation)
    usual = augment.normalise(images, published.IMAGENET_MEAN, published.IMAGENET_DEVIATION)
    assert plain.min() >= 0 and plain.max() <= 1
    stem, other = theirs.bn1(theirs.conv1(usual)), ours.backbone.body.bn1(ours.backbone.body.conv1(plain))
    assert torch.allclose(stem[..., 3:-3, 3:-3], other[..., 3:-3, 3:-3], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("template", "of_file"),
    [
        ("detector-yolof", lambda: models.resnet50(weights=None)),
        ("detector-yolox", lambda: __import__("timm").create_model("cs3darknet_focus_m", pretrained=False)),
        ("detector-faster-rcnn-light", lambda: models.mobilenet_v2(weights=None)),
    ],
)
def test_a_classifiers_file_fills_the_backbone(template: str, of_file: object, tmp_path: Path) -> None:
    theirs = shaken(of_file())  # type: ignore[operator]
    task = made(template)
    model = task.build(saved(theirs, tmp_path))
    first = next(p for p in theirs.parameters() if p.ndim == 4)
    assert torch.equal(next(p for p in model.backbone.parameters() if p.ndim == 4), first)
    frozen = [name for name, _ in model.named_parameters() if task.lrate_factor(name, pretrained=True) == 0]
    assert all(name.startswith("backbone.") for name in frozen)
    assert bool(frozen) == (template != "detector-yolox")


def test_norms_that_stand_still_are_folded_and_change_nothing(tmp_path: Path) -> None:
    file = saved(shaken(models.mobilenet_v2(weights=None)), tmp_path)
    folded = made("detector-faster-rcnn-light").build(file).train()
    plain = made("detector-faster-rcnn-light").build()
    plain.load_state_dict(folded.state_dict())
    images = torch.randn(1, 3, 64, 64)
    for one, other in zip(folded.backbone(images), plain.eval().backbone(images), strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-3)


def test_a_file_of_another_architecture_is_named(tmp_path: Path) -> None:
    file = saved(models.squeezenet1_1(weights=None), tmp_path)
    with pytest.raises(WrongWeights, match=r"mobilenet_v2.*missing"):
        made("detector-faster-rcnn-light").build(file)
    with pytest.raises(WrongWeights, match=r"ssd"):
        made("detector-ssd").build(file)


@pytest.mark.parametrize(
    "template", [template.id for template in Catalog().list().templates if template.type == "visual-detector"]
)
def test_a_missing_file_is_named_with_the_ways_out(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TORCH_HOME", "HF_HOME", "JUPYTER_PATH", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    found = Catalog().get(template)
    values = {field.name: field.default for field in found.fields}
    choice = values["pretrained_weights"]
    if choice not in found.recipe.get("weights", {}):
        pytest.skip("its weights stand in its configuration")
    with pytest.raises(WeightsNotFound, match=found.recipe["weights"][choice]["file"]):
        Catalog().find_weights(found, values)
