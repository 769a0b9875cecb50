"""Names of the tensors in published RT-DETR files, in the form of the Hugging Face hub, and ours.

A file's attention has queries, keys and values apart, torch's has them in one; heads that are tied there are written
twice or once. Its backbone is a ResNet-D: timm's resnet50d under other names.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

_STEM = r"^model\.backbone\.model\.embedder\.embedder"
_STAGE = r"^model\.backbone\.model\.encoder\.stages"
_LAYER = r"^(backbone\.body\.layer\d\.\d+)"
_MIXED = r"^(head\.(?:first_boxes|place|boxes\.\d))"

# Applied one after the other, each to what the ones before it have made of a name.
_RULES: tuple[tuple[str, str], ...] = (
    (_STEM + r"\.2\.normalization\.", "backbone.body.bn1."),
    *((_STEM + rf"\.{place}\.convolution\.", f"backbone.body.conv1.{3 * place}.") for place in range(3)),
    *((_STEM + rf"\.{place}\.normalization\.", f"backbone.body.conv1.{3 * place + 1}.") for place in range(2)),
    *((_STAGE + rf"\.{place}\.layers\.", f"backbone.body.layer{place + 1}.") for place in range(4)),
    *((_LAYER + rf"\.layer\.{place}\.convolution\.", rf"\1.conv{place + 1}.") for place in range(3)),
    *((_LAYER + rf"\.layer\.{place}\.normalization\.", rf"\1.bn{place + 1}.") for place in range(3)),
    (_LAYER + r"\.shortcut\.(?:1\.)?convolution\.", r"\1.downsample.1."),
    (_LAYER + r"\.shortcut\.(?:1\.)?normalization\.", r"\1.downsample.2."),
    (r"^model\.encoder_input_proj\.", "neck.enter."),
    (r"^model\.decoder_input_proj\.", "neck.leave."),
    (r"^model\.encoder\.encoder\.0\.layers\.0\.", "neck.attention."),
    (r"^model\.encoder\.lateral_convs\.", "neck.lateral."),
    (r"^model\.encoder\.downsample_convs\.", "neck.halve."),
    (r"^model\.encoder\.fpn_blocks\.", "neck.down."),
    (r"^model\.encoder\.pan_blocks\.", "neck.up."),
    (r"^(neck\..*)\.bottlenecks\.(\d)\.conv1\.", r"\1.blocks.\2.wide."),
    (r"^(neck\..*)\.bottlenecks\.(\d)\.conv2\.", r"\1.blocks.\2.narrow."),
    (r"^(neck\..*)\.conv1\.", r"\1.main."),
    (r"^(neck\..*)\.conv2\.", r"\1.past."),
    (r"^(neck\..*)\.conv\.", r"\1.0."),
    (r"^(neck\..*)\.norm\.", r"\1.1."),
    (r"^model\.enc_output\.", "head.enter."),
    (r"^model\.enc_score_head\.", "head.first_concepts."),
    (r"^model\.enc_bbox_head\.", "head.first_boxes."),
    (r"^model\.denoising_class_embed\.", "head.told."),
    (r"^model\.decoder\.query_pos_head\.", "head.place."),
    (r"^model\.decoder\.class_embed\.", "head.concepts."),
    (r"^model\.decoder\.bbox_embed\.", "head.boxes."),
    *((_MIXED + rf"\.layers\.{place}\.", rf"\1.{2 * place}.") for place in range(3)),  # activations lie between
    (r"^model\.decoder\.layers\.", "head.layers."),
    (r"\.self_attn_layer_norm\.", ".norms.0."),
    (r"\.encoder_attn_layer_norm\.", ".norms.1."),
    (r"^(neck\..*)\.final_layer_norm\.", r"\1.norms.1."),
    (r"\.final_layer_norm\.", ".norms.2."),
    (r"\.fc1\.", ".think.0."),
    (r"\.fc2\.", ".think.2."),
    (r"\.self_attn\.", ".among."),
    (r"\.encoder_attn\.sampling_offsets\.", ".maps.offsets."),
    (r"\.encoder_attn\.attention_weights\.", ".maps.weights."),
    (r"\.encoder_attn\.value_proj\.", ".maps.values."),
    (r"\.encoder_attn\.output_proj\.", ".maps.leave."),
)
_TIED = ("class_embed.", "bbox_embed.")  # other names of the decoder's own
_APART = re.compile(r"(.*\.among\.)([qkv])_proj\.(weight|bias)$")


def renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors under our names; what nobody knows keeps its own, and is found out by that."""
    found: dict[str, Tensor] = {}
    apart: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        own = f"model.decoder.{key}" if key.startswith(_TIED) else key
        for pattern, name in _RULES:
            own = re.sub(pattern, name, own)
        part = _APART.match(own)
        if part:
            apart.setdefault(f"{part[1]}in_proj_{part[3]}", {})[part[2]] = tensor
        else:
            found[own] = tensor
    for key, parts in apart.items():
        found[key] = torch.cat([parts[name] for name in "qkv" if name in parts])
    return found
