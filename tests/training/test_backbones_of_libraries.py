"""Networks that a configuration names: what the check lets through runs, and the rest is refused in words.

Networks are on torch's meta device, where shapes are followed and nothing is computed.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import pytest
import torch

from deepft_lab.catalog import Catalog
from deepft_lab.errors import InvalidParams
from deepft_lab.records import Fault, Template
from deepft_lab.training import architectures, backbone_names, recipes, tasks
from deepft_lab.training.recipes import backbones
from deepft_lab.training.recipes.backbones import Takes
from deepft_lab.training.recipes.parts import Backbone as Table

# A small one of each family whose sizes are not free by themselves, and some that are.
FAMILIES = (
    "timm/beit_base_patch16_224", "timm/cait_xxs24_224", "timm/coat_tiny", "timm/coatnet_nano_rw_224",
    "timm/convit_tiny", "timm/crossvit_tiny_240", "timm/deit3_small_patch16_224", "timm/efficientformer_l1",
    "timm/eva02_tiny_patch14_224", "timm/gcvit_xxtiny", "timm/halonet26t", "timm/hiera_tiny_224",
    "timm/levit_conv_128s", "timm/maxvit_rmlp_pico_rw_256", "timm/mixer_s32_224", "timm/mobilevit_xxs",
    "timm/mvitv2_tiny", "timm/nest_tiny", "timm/pit_ti_224", "timm/pvt_v2_b0", "timm/resmlp_12_224",
    "timm/samvit_base_patch16_224", "timm/sequencer2d_s", "timm/swin_tiny_patch4_window7_224",
    "timm/swinv2_cr_tiny_ns_224", "timm/swinv2_tiny_window8_256", "timm/tnt_s_legacy_patch16_224",
    "timm/twins_pcpvt_small", "timm/visformer_tiny", "timm/vit_tiny_patch16_224", "timm/vit_relpos_small_patch16_224",
    "timm/vitamin_small_224", "timm/volo_d1_224", "timm/xcit_nano_12_p16_224", "timm/resnet10t", "timm/vgg11",
    "torchvision/vit_b_32", "torchvision/swin_t", "torchvision/maxvit_t", "torchvision/squeezenet1_1",
)  # fmt: skip


@functools.cache
def advanced() -> Template:
    return Catalog().get("classifier-advanced")


def checked(name: str, size: int, config: str = "") -> tuple[dict[str, Any], list[Fault]]:
    """What the form says of the advanced classifier with this network."""
    text = f"backbone: {{name: {name}}}\n{config}"
    return recipes.check(advanced(), {"config": text, "image_size": size})


def runs(name: str, size: int, config: str = "") -> bool:
    """Whether the worker's network gives a row of two values for each picture, in training and in prediction."""
    template, (values, faults) = advanced(), checked(name, size, config)
    assert not faults, faults
    task = tasks.make(template.type, template.recipe, values, ["a", "b"], exclusive=True)
    task.check()
    with torch.device("meta"):
        network = task.build()
        images = torch.zeros(2, 3, size, size)
        return all(network.train(training)(images).shape == (2, 2) for training in (True, False))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_runs_at_the_size_of_the_template_or_is_refused_with_its_own(name: str) -> None:
    faults = checked(name, 320)[1]
    if not faults:
        assert runs(name, 320)
        return
    assert [fault.field for fault in faults] in (["image_size"], ["config.backbone.name"])
    assert name in faults[0].reason
    if faults[0].field == "image_size":
        sizes = [int(size) for size in re.findall(r"\b\d+\b", faults[0].reason.partition("takes ")[2])]
        assert sizes and all(runs(name, size) for size in sizes[-1:])


def test_the_list_tells_which_sizes_a_network_takes() -> None:
    assert "takes 224 pixels and no other size" in checked("beit_base_patch16_224", 320)[1][0].reason
    assert "at least 63 pixels" in checked("torchvision/alexnet", 62)[1][0].reason
    swin = checked("swin_tiny_patch4_window7_224", 321)[1]
    assert [(fault.field, fault.value) for fault in swin] == [("image_size", 321)]
    assert swin[0].reason.endswith("takes multiples of 4 pixels, such as 320 or 324.")


def test_sizes_are_found_by_trying() -> None:
    assert backbone_names._sides(lambda side: True, own=224) == (32, 1, 0)
    assert backbone_names._sides(lambda side: side >= 75, own=224) == (75, 1, 0)
    assert backbone_names._sides(lambda side: side == 224, own=224) == (32, 1, 224)
    assert backbone_names._sides(lambda side: side % 14 == 0, own=224) == (32, 14, 0)
    assert backbone_names._sides(lambda side: side % 32 == 0 and side > 128, own=224) == (160, 32, 0)
    assert backbone_names._sides(lambda side: False, own=224)[0] == 0


@pytest.mark.parametrize(
    "name",
    ["torchvision/alexnet", "timm/swin_tiny_patch4_window7_224", "timm/deit_tiny_distilled_patch16_224",
     "torchvision/vit_b_32"],
)  # fmt: skip
def test_the_list_is_what_trying_gives(name: str) -> None:
    assert backbone_names.tried(name) == backbones.takes(name)
    library, _, bare = name.partition("/")
    assert backbones.listed()[library][bare] == backbones.takes(name)


def test_a_line_says_what_is_not_usual_alone() -> None:
    assert backbone_names.line("timm/a", Takes()) == "timm/a"
    assert backbone_names.line("timm/a", Takes(only=224, depth=0)) == "timm/a only=224 depth=0"


def test_a_network_of_two_last_layers_is_named_before_the_run_and_in_it() -> None:
    name = "timm/deit_tiny_distilled_patch16_224"
    told = checked(name, 224)[1]
    assert [(fault.field, fault.value) for fault in told] == [("config.backbone.name", name)]
    with pytest.raises(InvalidParams, match=f"{name} has 2 last layers") as caught:
        architectures.find(name)
    for fault in (told[0], caught.value.faults[0]):
        assert fault.value == name and "Take another, such as" in fault.reason
    way_out = told[0].reason.rpartition("such as ")[2].rstrip(".")
    assert runs(way_out, 224)


@pytest.mark.parametrize("name", ["torchvision/squeezenet1_1", "timm/dla34", "timm/resnetv2_50x1_bit", "timm/vgg11"])
def test_dropout_and_length_suit_last_layers_that_are_convolutions(name: str) -> None:
    assert runs(name, 96, "head: {dropout: 0.1, embedding_length: 16}")


def test_a_head_over_maps_is_one_over_each_place() -> None:
    head, maps = architectures.Head(4, 3), torch.randn(2, 4, 5, 6)
    found = head(maps)
    assert found.shape == (2, 3, 5, 6)
    assert torch.allclose(found[:, :, 1, 2], head(maps[:, :, 1, 2]), atol=1e-6)


def test_stochastic_depth_is_refused_where_a_network_has_none() -> None:
    for name, has in (("timm/resnet10t", True), ("timm/vgg11", False), ("resnet18", False), ("resnet50", True)):
        text = f"backbone: {{name: {name}, stochastic_depth: 0.1}}"
        faults = recipes.check(advanced(), {"config": text})[1]
        assert [fault.field for fault in faults] == ([] if has else ["config.backbone.stochastic_depth"]), name
        if has:
            assert architectures.find(name).build(2, 0.1)


@pytest.mark.parametrize("name", sorted(Table.__args__))
def test_what_the_table_takes_of_stochastic_depth_is_what_is_said(name: str) -> None:
    with torch.device("meta"):
        try:
            network = architectures.find(name).build(2, 0.5)
        except TypeError:
            assert not backbones.takes(name).depth
            return
    kinds = {type(module).__name__ for module in network.modules()}
    assert bool(kinds & {"DropPath", "StochasticDepth"}) is bool(backbones.takes(name).depth)
