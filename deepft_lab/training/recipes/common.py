"""The fields of every template. They are added to a template when its file is read, unless the file states its own.

The training loop gives them their meaning, the same for each task, so no template repeats them. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from deepft_lab.records import Field

SEED = Field(
    name="seed",
    label="Seed",
    type="integer",
    default=-1,
    min=-1,
    max=2**32 - 1,
    help="The same seed gives the same run on the same machine; on a GPU, where it asks for kernels that repeat "
    "themselves, this takes time. -1 takes a seed that stays the same for a model, and the quickest kernels.",
)
VALIDATION = Field(
    name="validation",
    label="Held out for validation",
    type="number",
    default=0.2,
    min=0,
    max=0.9,
    help="Share of the inputs that is held out where no validation dataset is named.",
)
NUM_GPUS = Field(
    name="num_gpus",
    label="GPUs",
    type="integer",
    default=1,
    min=1,
    max=8,
    step=1,
    help="GPUs of the job. On a machine without GPUs, processes on the CPU.",
)
EARLY_STOPPING = Field(
    name="early_stopping_patience",
    label="Early stopping",
    type="integer",
    default=0,
    min=0,
    max=600,
    step=1,
    unit="epochs",
    help="Ends the run when so many epochs in a row brought nothing better. 0 never does.",
)
MIXED_PRECISION = Field(
    name="mixed_precision",
    label="Mixed precision",
    type="choice",
    default="auto",
    choices=["auto", "no", "bf16", "fp16"],
    help="auto is bf16 on a GPU that has it, and no elsewhere. fp16 needs a GPU, and scales its gradients.",
)
GRADIENT_ACCUMULATION = Field(
    name="gradient_accumulation",
    label="Parts of a batch",
    type="integer",
    default=1,
    min=1,
    max=256,
    step=1,
    help="Computes each batch in so many parts, which takes less memory. Batch and learning rate stay the same; "
    "batch norm sees the parts.",
)
EMA = Field(
    name="ema",
    label="Averaged weights",
    type="number",
    default=0.0,
    min=0,
    max=0.99999,
    help="Decay of a moving average of the weights, which is then evaluated and kept; 0.999 suits runs of thousands "
    "of steps. 0 is off.",
)
MAX_MINUTES = Field(
    name="max_minutes",
    label="Time limit",
    type="number",
    default=0.0,
    min=0,
    unit="minutes",
    help="Ends the run after so long, with the best so far. 0 is no limit.",
)
AUGMENTATION = Field(
    name="augmentation",
    label="Augmentation",
    type="choice",
    default="template",
    choices=["template", "none", "light", "strong"],
    help="How much training images are changed at random. template: as the recipe says. Mirroring has its own field.",
)
CLASS_WEIGHTS = Field(
    name="class_weights",
    label="Class weights",
    type="choice",
    default="none",
    choices=["none", "balanced"],
    help="balanced lets rare concepts count as much in the loss as common ones.",
)
INVALID_DATA_TOLERANCE = Field(
    name="invalid_data_tolerance_percent",
    label="Invalid inputs",
    type="number",
    default=5.0,
    min=0,
    max=100,
    step=1,
    unit="%",
    help="Share of the inputs that may be unreadable and are left out. Beyond it the run stops and lists them.",
)
RESUME_FROM = Field(
    name="resume_from",
    label="Continue from",
    type="text",
    default="",
    unit="version",
    help="A trained version of the same type and with the same network to start from, such as v3 or my-model/v3, "
    "instead of the pretrained weights. Concepts that it knew keep what it learned.",
)
DECODE = Field(
    name="decode",
    label="Decode",
    type="choice",
    default="cache",
    choices=["cache", "full"],
    help="cache decodes each picture once, at the size that the training needs, and keeps it for later runs. full "
    "decodes whole pictures in every epoch: the published recipe to the pixel, many times slower.",
)
COMPILE = Field(
    name="compile",
    label="Compile",
    type="boolean",
    default=False,
    help="Compiles the network first: a minute or more that only long runs on a GPU earn back.",
)

FIELDS: tuple[Field, ...] = tuple(
    msgspec.structs.replace(field, more=True)
    for field in (
        VALIDATION,
        EARLY_STOPPING,
        MAX_MINUTES,
        AUGMENTATION,
        CLASS_WEIGHTS,
        RESUME_FROM,
        EMA,
        MIXED_PRECISION,
        GRADIENT_ACCUMULATION,
        COMPILE,
        DECODE,
        NUM_GPUS,
        INVALID_DATA_TOLERANCE,
        SEED,
    )
)


_CLASSES = "accuracy where the concepts exclude each other, ROC AUC (mean over the concepts) otherwise"
# The metric by which a run keeps its best checkpoint, by the type of the model (`best_metric` of the tasks).
BEST: dict[str, str] = {
    "visual-classifier": _CLASSES,
    "visual-detector": "mAP (mean over IoU 0.50 to 0.95)",
    "visual-embedder": "mAP@R",
    "visual-segmenter": "mIoU",
    "embedding-classifier": _CLASSES,
}


# Of these fields, those that nothing reads for a type: embeddings are computed once, of pictures as they are.
UNREAD: dict[str, tuple[str, ...]] = {"embedding-classifier": (AUGMENTATION.name,)}


def of_type(model_type: str) -> tuple[Field, ...]:
    """The fields of every template of a type: what is held out says what is measured there."""
    words = (
        f" The checkpoint that is best there is kept, by {BEST[model_type]}; the last one where nothing is measured."
    )
    return tuple(
        msgspec.structs.replace(field, help=field.help + words) if field.name == VALIDATION.name else field
        for field in FIELDS
        if field.name not in UNREAD.get(model_type, ())
    )


def with_common(fields: Sequence[Field], model_type: str) -> list[Field]:
    """A template's own fields, then those of every template of its type that it does not state itself."""
    own = {field.name for field in fields}
    return [*fields, *(field for field in of_type(model_type) if field.name not in own)]
