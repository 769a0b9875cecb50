"""Fields that some templates have do what their help says: seen in pixels and in how far a step moves the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import job_folders
import msgspec
import numpy
import pytest
import timm
import tiny
import torch
from after_a_kill import Told
from boxed import boxed
from coloured import coloured
from outlined import outlined
from safetensors.torch import load_file, save_file
from small_detectors import SMALL_HEAD, small, smaller, target
from torch import Tensor
from torchvision import models

from deepft_lab import params
from deepft_lab.catalog import Catalog
from deepft_lab.manifest import Entry, Manifest
from deepft_lab.records import Region
from deepft_lab.training import architectures, tasks
from deepft_lab.training.loop import train
from deepft_lab.training.task import Batch, Task

STEP = {
    "pretrained_weights": "None", "batch_size": 4, "num_epochs": 1, "min_samples_per_epoch": 1, "warmup_iters": 0,
    "augmentation": "none", "flip_probability": 0, "per_item_lrate": 1e-3,
}  # fmt: skip


def known_to(template: str, values: dict[str, Any]) -> dict[str, Any]:
    """Those of the values that the template has fields for."""
    fields = {field.name for field in Catalog().get(template).fields}
    return {name: value for name, value in values.items() if name in fields}


def task_of(template: str, concepts: list[str], *, exclusive: bool = False, **values: Any) -> Any:
    found = Catalog().get(template)
    complete, faults = params.check(found.fields, values)
    assert not faults, faults
    return tasks.make(found.type, found.recipe, complete, concepts, exclusive=exclusive)


def moved(
    folder: Path, pictures: Any, weights: Path | None, changes: dict[str, Any] | None = None, *, template: str,
    **values: Any,
) -> dict[str, Tensor]:  # fmt: skip
    """How far one step of a run moves each tensor of its network."""
    job = job_folders.make(folder, pictures, [], template=template, threads=1, **known_to(template, STEP), **values)
    job = smaller(job, folder, changes or {})
    job = msgspec.structs.replace(job, weights=None if weights is None else str(weights))
    torch.manual_seed(job.seed)
    start = tasks.of_job(job).build(job.weights).state_dict()
    told = Told()
    train(job, folder, told)
    assert told.of("started")[0]["steps"] == 1
    end = load_file(folder / "model" / "model.safetensors")
    return {key: tensor - start[key] for key, tensor in end.items() if tensor.is_floating_point()}


# -- classifier-embednorm: average_horizontal_flips, base_gradient_multiplier ----------------------


@pytest.fixture
def embednorm(monkeypatch: pytest.MonkeyPatch) -> str:
    """The template, with a network of a few hundred weights."""
    made = architectures.Architecture(tiny.Plain, "classifier.1.", 32)
    monkeypatch.setitem(architectures.ARCHITECTURES, "inception_v3", made)
    return "classifier-embednorm"


def a_picture(height: int = 80, width: int = 80) -> Tensor:
    """uint8 [height, width, 3]: patches of colour, no two alike."""
    patches = torch.from_numpy(numpy.random.default_rng(5).integers(0, 255, (8, 8, 3), dtype=numpy.uint8))
    return patches.repeat_interleave(height // 8, 0).repeat_interleave(width // 8, 1)


@pytest.mark.parametrize("averaged", [True, False])
def test_averaged_over_mirror_images_a_picture_and_its_mirror_are_the_same(embednorm: str, averaged: bool) -> None:
    task = task_of(embednorm, ["a", "b"], image_size=80, average_horizontal_flips=averaged)
    torch.manual_seed(1)
    model = task.build().eval()
    pair = [a_picture(), a_picture().flip(1)]
    batch = task.prepare(task.test_batch(pair))
    with torch.inference_mode():
        own, mirrored = task.outputs(model, batch)
        plain = model(batch.images)
    wanted = plain.mean(0).expand(2, -1) if averaged else plain
    assert torch.allclose(torch.stack([own, mirrored]), wanted, atol=1e-5)
    assert not torch.allclose(plain[0], plain[1], atol=1e-3)


@pytest.mark.parametrize("averaged", [True, False])
def test_averaged_over_mirror_images_half_of_the_training_images_are_mirrored(embednorm: str, averaged: bool) -> None:
    values = {"image_size": 80, "average_horizontal_flips": averaged, "augmentation": "none"}
    task = task_of(embednorm, ["a", "b"], **values)
    randoms = [numpy.random.default_rng(seed) for seed in range(60)]
    images = task.train_batch([a_picture()] * 60, [torch.tensor([1.0, 0.0])] * 60, randoms).images
    whole = a_picture().permute(2, 0, 1)
    as_it_is, mirrored = ((images == some).flatten(1).all(1).sum().item() for some in (whole, whole.flip(-1)))
    assert as_it_is + mirrored == 60
    assert 20 <= mirrored <= 40 if averaged else mirrored == 0


def test_the_pretrained_network_learns_at_its_share_of_the_rate(embednorm: str, tmp_path: Path) -> None:
    torch.manual_seed(7)
    weights = tmp_path / "weights.safetensors"
    save_file(tiny.Plain(2).state_dict(), weights)

    def step(share: float, given: Path | None) -> dict[str, Tensor]:
        values = {"image_size": 80, "lrate": 0.1, "average_horizontal_flips": False}
        folder = tmp_path / f"{share}-{given is None}"
        return moved(folder, coloured(4), given, template=embednorm, **values, base_gradient_multiplier=share)

    whole, half, none = (step(share, weights) for share in (1.0, 0.5, 0.0))
    for key, tensor in whole.items():
        assert tensor.abs().max() > 1e-5
        head = key.startswith("classifier.1.")
        assert torch.allclose(half[key], tensor if head else tensor / 2, rtol=1e-3, atol=1e-6), key
        assert torch.equal(none[key], tensor) if head else not none[key].any(), key
    everything = [step(share, None) for share in (1.0, 0.001)]  # from a random start all learn alike
    assert all(torch.equal(tensor, everything[1][key]) and tensor.any() for key, tensor in everything[0].items())


# -- detectors: frozen_stages, backbone_lrate_factor, random_resize_lower and random_resize_upper ----

# Backbones of the two templates that have the field, and what their stages are called.
STAGES: dict[str, tuple[str, list[tuple[str, ...]]]] = {
    "detector-yolof": ("resnet18", [("conv1.", "bn1.", "layer1."), ("layer2.",), ("layer3.",), ("layer4.",)]),
    "detector-rt-detr": (
        "timm:resnet18d",
        [("body.conv1.", "body.bn1."), ("body.layer1.",), ("body.layer2.",), ("body.layer3.",), ("body.layer4.",)],
    ),
}
SMALLER: dict[str, dict[str, Any]] = {
    "detector-yolof": {"neck": {"channels": 16}},
    "detector-rt-detr": {"neck": {"channels": 32, "depth": 0.33}, "head": {"queries": 20, "layers": 2}},
}

SHARED = """
backbone: {{name: resnet18, strides: [16, 32], norms: frozen}}
neck: {{name: fpn, channels: 16}}
head: {{name: dense, anchors: {{scales: [2]}}, towers: none}}
optimizer: {{name: sgd}}
frozen_stages: 0
backbone_lrate_factor: {share}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of the backbones, as pretrained ones are."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(3)
    made = {
        "resnet18": models.resnet18(weights=None),
        "timm:resnet18d": timm.create_model("resnet18d", zero_init_last=False),  # else blocks learn nothing at first
    }
    for name, network in made.items():
        save_file(network.state_dict(), folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in made}


@pytest.mark.parametrize("frozen", [1, 2, 4])
@pytest.mark.parametrize("template", STAGES)
def test_frozen_stages_stand_still_and_no_others(
    template: str, frozen: int, files: dict[str, Path], tmp_path: Path
) -> None:
    name, stages = STAGES[template]
    changes = {**SMALLER[template], "backbone": {"name": name, "norms": "train"}}
    image_size = [64, 64] if template == "detector-rt-detr" else [64]
    values = {"image_size": image_size, "frozen_stages": frozen, "template": template}
    far = moved(tmp_path, boxed(4, first=1), files[name], changes, **values)
    still = tuple(f"backbone.{prefix}" for stage in stages[:frozen] for prefix in stage)
    for key, tensor in far.items():
        if key.startswith("backbone."):
            assert tensor.any() != key.startswith(still), key
    assert any(key.startswith("head.") and tensor.any() for key, tensor in far.items())


def test_frozen_stages_of_a_random_start_learn(tmp_path: Path) -> None:
    changes = {**SMALLER["detector-yolof"], "backbone": {"name": "resnet18"}}
    values = {"template": "detector-yolof", "image_size": [64], "frozen_stages": 4}
    far = moved(tmp_path, boxed(4, first=1), None, changes, **values)
    assert far["backbone.conv1.weight"].any() and far["backbone.layer4.1.conv2.weight"].any()


def test_the_pretrained_backbone_learns_at_its_share_of_the_rate(files: dict[str, Path], tmp_path: Path) -> None:
    def step(share: float, given: Path | None) -> dict[str, Tensor]:
        values = {"template": "detector-advanced", "image_size": [64], "config": SHARED.format(share=share)}
        return moved(tmp_path / f"{share}-{given is None}", boxed(4, first=1), given, **values)

    whole, part = (step(share, files["resnet18"]) for share in (1.0, 0.25))
    for key, tensor in whole.items():
        share = 0.25 if key.startswith("backbone.") else 1.0
        assert torch.allclose(part[key], share * tensor, rtol=1e-2, atol=1e-7), key
    assert all(whole[key].abs().max() > 1e-6 for key in ("backbone.conv1.weight", "backbone.layer4.1.conv2.weight"))
    everything = [step(share, None) for share in (1.0, 0.25)]  # from a random start all learn alike
    assert all(torch.equal(tensor, everything[1][key]) for key, tensor in everything[0].items())


@pytest.mark.parametrize(
    ("lower", "upper", "least", "most"),  # height and width of pictures of 90 x 120 that are shown at 96
    [
        ([], [], (96, 128), (96, 128)),
        ([64], [128], (64, 85), (128, 171)),
        ([], [128], (96, 128), (128, 171)),
        ([64], [], (64, 85), (96, 128)),
        ([64, 96], [128, 192], (96, 64), (192, 128)),
        ([64], [128, 192], (64, 64), (192, 128)),
    ],
)
def test_training_sizes_are_drawn_between_the_two_ends(
    lower: list[int], upper: list[int], least: tuple[int, int], most: tuple[int, int]
) -> None:
    values = {"image_size": [96], "random_resize_lower": lower, "random_resize_upper": upper, "flip_probability": 0}
    task = small("detector-faster-rcnn", **values)
    picture = torch.zeros(90, 120, 3, dtype=torch.uint8)
    truth = target((0.1, 0.1, 0.5, 0.6, 0))
    randoms = [numpy.random.default_rng(seed) for seed in range(60)]
    batch = task.train_batch([picture] * 60, [truth] * 60, randoms)
    assert batch.sizes is not None
    for drawn, low, high in zip(batch.sizes.T.tolist(), least, most, strict=True):
        near = (high - low) / 10
        assert low <= min(drawn) <= low + near and high - near <= max(drawn) <= high
        assert low == high or len(set(drawn)) > 20
    for size, changed in zip(batch.sizes.tolist(), batch.targets, strict=True):
        height, width = size
        assert changed["boxes"][0].tolist() == pytest.approx([0.1 * width, 0.1 * height, 0.5 * width, 0.6 * height])
    assert task.test_batch([picture]).sizes.tolist() == [[96, 128]]  # what is validated and predicted has one size
    assert task.stored_side >= max(upper or [96])


# -- augmentation -----------------------------------------------------------------------------------

KINDS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "classifier": ("classifier-mobilenet-v2", {"image_size": 32}, coloured(4)),
    "detector": ("detector-faster-rcnn-light", {"image_size": [64]}, boxed(4, first=1)),
    "embedder": ("embedder-mobilenet-v2", {"image_size": 32}, coloured(4)),
    "segmenter": ("segmenter-light", {"image_size": [32]}, outlined(4)),
}
LEVELS = ("none", "light", "strong")


def training_images(task: Task) -> Tensor:
    """float32 [n, 3, h, w] in 0..1: one picture as it is drawn n times."""
    regions = [Region(concept="a", box=(0.2, 0.2, 0.6, 0.6))]
    truth = task.targets(Manifest(task.concepts, [Entry("i", "i", 96, 96, {"a": 1}, regions)]))[0]
    randoms = [numpy.random.default_rng(seed) for seed in range(30)]
    return task.train_batch([a_picture(96, 96)] * 30, [truth] * 30, randoms).images.float() / 255


@pytest.mark.parametrize("kind", KINDS)
def test_the_more_augmentation_the_further_are_images_from_the_picture(kind: str) -> None:
    template, values, _ = KINDS[kind]
    unmirrored = known_to(template, {"flip_probability": 0.0})
    images = {
        level: training_images(task_of(template, ["a", "b"], **values, **unmirrored, augmentation=level))
        for level in LEVELS
    }
    assert all(torch.equal(image, images["none"][0]) for image in images["none"])  # nothing is drawn
    far = {level: float((images[level] - images["none"]).abs().mean()) for level in LEVELS}
    assert far["none"] == 0 and 0.02 < far["light"] < 0.9 * far["strong"], far
    assert len({image.numpy().tobytes() for image in images["light"]}) > 25


@pytest.mark.parametrize(("level", "mixed", "repeats"), [("none", 0, 1), ("light", 0, 1), ("strong", 10, 3)])
def test_strong_augmentation_alone_mixes_images_and_shows_them_in_a_row(level: str, mixed: int, repeats: int) -> None:
    task = task_of("classifier-resnet50-rsb-a1", ["a", "b"], exclusive=True, augmentation=level)
    assert task.repeats == repeats
    batch = Batch(torch.stack([torch.full((3, 32, 32), 0), torch.full((3, 32, 32), 255)]).byte(), torch.eye(2))
    pure = task.prepare(batch).images
    changed = [task.prepare(batch, numpy.random.default_rng(seed)).images for seed in range(10)]
    assert sum(not torch.equal(images, pure) for images in changed) == mixed


@pytest.mark.parametrize("kind", KINDS)
def test_each_level_of_augmentation_trains_in_its_own_way(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template, values, pictures = KINDS[kind]
    if kind in ("classifier", "embedder"):
        tiny.use(monkeypatch)
    losses = set()
    for level in LEVELS:
        chosen = known_to(template, {**STEP, **values, "augmentation": level})
        job = job_folders.make(tmp_path / level, pictures, [], template=template, threads=1, job="one", **chosen)
        if kind == "detector":
            job = smaller(job, tmp_path / level, {"head": SMALL_HEAD})
        told = Told()
        assert train(job, tmp_path / level, told).outcome == "trained"
        losses.add(told.of("epoch")[0]["train_loss"])
    assert len(losses) == len(LEVELS)
