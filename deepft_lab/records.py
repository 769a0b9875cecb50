"""The nouns, as they travel over the wire. Frozen, without behaviour.

Times are seconds since the epoch (float, UTC). Sizes of pictures are in pixels of the oriented image.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

MODEL_TYPES = (
    "visual-classifier",
    "visual-detector",
    "visual-embedder",
    "visual-segmenter",
    "embedding-classifier",
)

State = Literal["queued", "starting", "training", "evaluating", "trained", "failed", "deleted"]
FINISHED: frozenset[str] = frozenset({"trained", "failed", "deleted"})

Role = Literal["user", "viewer", "labeller", "trainer", "owner", "administrator"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the wire records."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong: the field (or file), its value, and why, in words."""

    field: str
    value: Any
    reason: str


# -- who and where ------------------------------------------------------------------------------


class Caller(Record, frozen=True):
    """Who calls, as the server's identity provider vouches for it."""

    user: str
    administrator: bool = False


class Me(Record, frozen=True):
    """The caller, and the server that answers."""

    user: str
    administrator: bool
    version: str
    store: str
    owner_of_store: bool


class Gpu(Record, frozen=True):
    index: int
    name: str
    memory_total: int  # bytes
    memory_used: int  # bytes
    utilisation: float | None  # 0..1
    job: str | None


class Machine(Record, frozen=True):
    """What the engine has, and how much of it is free."""

    engine: str
    cpus: int
    memory_total: int  # bytes
    memory_available: int  # bytes
    disk_free: int  # bytes, at the store
    gpus: list[Gpu]
    running: int
    waiting: int


# -- templates ----------------------------------------------------------------------------------


class Field(Record, frozen=True):
    """One hyperparameter: what the form, the checker and the docs know of it."""

    name: str
    type: Literal["integer", "number", "boolean", "choice", "integers", "numbers", "text"]
    default: Any
    help: str
    label: str = ""
    min: float | None = None
    max: float | None = None
    step: float | None = None
    choices: list[str] = []
    unit: str = ""
    more: bool = False  # folded away until wanted
    nullable: bool = False  # an empty value is allowed (None)


class Licence(Record, frozen=True):
    code: str
    weights: str = ""


class Template(Record, frozen=True):
    """A pre-configured recipe, as its YAML file states it. `recipe` names registered builders."""

    id: str
    type: str
    name: str
    summary: str
    fields: list[Field]
    recipe: dict[str, Any]
    aliases: list[str] = []
    good_for: str = ""
    images: str = ""
    hardware: str = ""
    duration: str = ""
    licence: Licence = Licence(code="BSD-3-Clause")
    sources: list[str] = []
    recommended: bool = False
    without_gpu: bool = False  # recommended in its type where the machine has no GPU
    origin: str = ""  # the file it came from
    hash: str = ""  # SHA-256 of its canonical JSON


class BrokenTemplate(Record, frozen=True):
    """A template file that could not be used; it hides nothing else."""

    origin: str
    faults: list[Fault]


class TemplateList(Record, frozen=True):
    templates: list[Template]
    broken: list[BrokenTemplate]


class CheckParams(Record, frozen=True):
    """A form's content. `examples` is the number of training inputs, where known."""

    values: dict[str, Any] = {}
    examples: int | None = None


class CheckedParams(Record, frozen=True):
    """Complete values, every fault, and what follows from the values."""

    values: dict[str, Any]
    faults: list[Fault]
    effective_lrate: float | None
    steps_per_epoch: int | None
    total_steps: int | None


# -- apps, inputs, labels -----------------------------------------------------------------------


class App(Record, frozen=True):
    owner: str
    id: str
    description: str
    created: float
    role: Role  # the caller's
    inputs: int
    concepts: int
    datasets: int
    models: int


class CreateApp(Record, frozen=True):
    id: str
    description: str = ""


class Label(msgspec.Struct, frozen=True):
    """A concept on an input: positive (it is there) or negative (it is not)."""

    concept: str
    positive: bool = True


class Mask(msgspec.Struct, frozen=True):
    """Pixels of a region, as COCO's compressed run lengths: column by column, beginning with the pixels outside."""

    height: int
    width: int
    counts: str


class Region(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of an input. Coordinates are fractions 0..1 of the oriented picture, x to the right and y down.

    `box` (left, top, right, bottom) is always there: for a polygon or a mask the box around it, for a point an empty
    one. An ignored region counts neither for nor against a prediction; its concept may be empty, which means every one.
    A page of inputs has very large masks and polygons without their pixels and corners; the operation `input` has all.
    """

    kind: Literal["box", "polygon", "mask", "point"] = "box"
    concept: str = ""
    box: tuple[float, float, float, float]
    polygons: list[list[float]] = []  # outer rings; each x, y, x, y ...
    mask: Mask | None = None
    ignored: bool = False
    id: int = 0  # 0: not stored yet


class Input(Record, frozen=True):
    id: str  # first 24 hex digits of the content's SHA-256
    name: str
    width: int
    height: int
    format: str  # JPEG, PNG, TIFF, BMP, WEBP, GIF
    bytes: int
    created: float
    author: str
    metadata: dict[str, Any]
    datasets: list[str]
    labels: list[Label]
    regions: list[Region] = []


class Annotation(Record, frozen=True):
    """One entry of the append-only history: of labels, or of regions (then with the region)."""

    id: int
    input: str
    concept: str
    action: Literal["positive", "negative", "remove"]  # a region is put (positive) or taken away (remove)
    author: str
    created: float
    region: Region | None = None


class InputDetail(Record, frozen=True):
    input: Input
    history: list[Annotation]


class InputQuery(Record, frozen=True):
    """Filter and page. `metadata` is a JSON object; an input matches if it has all these keys and values."""

    limit: int = 50
    after: str | None = None
    concept: str | None = None
    dataset: str | None = None
    metadata: str | None = None
    unlabelled: bool = False


class InputPage(Record, frozen=True):
    inputs: list[Input]
    next: str | None  # give as `after`; None at the end


class Count(Record, frozen=True):
    count: int


class EditInputs(Record, frozen=True):
    """Changes many inputs at once. `metadata` is merged; a key with null is taken away."""

    inputs: list[str]
    add_datasets: list[str] = []
    remove_datasets: list[str] = []
    metadata: dict[str, Any] = {}


class InputIds(Record, frozen=True):
    inputs: list[str]


class Annotate(Record, frozen=True):
    """Puts concepts on inputs (present or absent) and takes them off. Unknown concepts are created."""

    inputs: list[str]
    positive: list[str] = []
    negative: list[str] = []
    remove: list[str] = []


class InputRegions(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of one input's regions: ids to take away, regions to put.

    `replace`: all others go; `replace_kinds`: all others of these kinds. Those that are the same stay, with their ids.
    """

    input: str
    add: list[Region] = []
    remove: list[int] = []
    replace: bool = False
    replace_kinds: list[Literal["box", "polygon", "mask", "point"]] = []


class AnnotateRegions(Record, frozen=True):
    """Regions of many inputs, all or none. Boxes are clipped to the picture; unknown concepts are created."""

    inputs: list[InputRegions]


class AnnotatedRegions(Record, frozen=True):
    """What the named inputs bear now, in the order asked; `warnings` names what was clipped or left out, and why."""

    inputs: list[Input]
    warnings: list[str] = []


class Edited(Record, frozen=True):
    """How many inputs an edit touched, and what a person should know about it."""

    count: int
    warnings: list[str] = []


class Concept(Record, frozen=True):
    name: str
    positives: int
    negatives: int
    created: float


class CreateConcepts(Record, frozen=True):
    names: list[str]


class Dataset(Record, frozen=True):
    id: str
    inputs: int
    created: float
    versions: int


class CreateDataset(Record, frozen=True):
    id: str


class DatasetVersion(Record, frozen=True):
    """A frozen dataset: immutable, its id is the SHA-256 of its manifest."""

    id: str
    dataset: str
    inputs: int
    concepts: list[str]
    created: float


# -- uploads ------------------------------------------------------------------------------------


class CreateUpload(Record, frozen=True):
    """Upload settings, which every file of the upload gets."""

    dataset: str | None = None
    concepts: list[str] = []
    concepts_from_folders: bool = False
    metadata: dict[str, Any] = {}
    dry_run: bool = False


class Upload(Record, frozen=True):
    id: str
    settings: CreateUpload


class UploadQuery(Record, frozen=True):
    """`name` is the file's path relative to what was chosen, with `/`; the last folder names its concept."""

    name: str


class UploadedFile(Record, frozen=True):
    """What became of one file."""

    name: str
    outcome: Literal["added", "duplicate", "error"]
    input: str | None = None
    reason: str = ""
    warnings: list[str] = []


# -- models -------------------------------------------------------------------------------------


class Model(Record, frozen=True):
    owner: str
    app: str
    id: str
    type: str
    description: str
    concepts: list[str] | None  # None: all the app's concepts, taken when training starts
    template: str
    values: dict[str, Any]
    created: float
    versions: int


class CreateModel(Record, frozen=True):
    id: str
    type: str = "visual-classifier"
    template: str | None = None  # None: the recommended template of the type
    description: str = ""
    concepts: list[str] | None = None
    values: dict[str, Any] = {}


class UpdateModel(Record, frozen=True):
    """Values are merged over the model's. A new template keeps the values that both have."""

    template: str | None = None
    description: str | None = None
    concepts: list[str] | None = None
    values: dict[str, Any] = {}


class Train(Record, frozen=True):
    """`validation`: a dataset's name, a fraction held out (0..0.9), or None for the template's default."""

    dataset: str | None = None
    validation: str | float | None = None
    description: str = ""


class CreateQuote(Record, frozen=True):
    """A training that is not begun. Without `template` it is one of `model` as that is saved; with a template, concepts
    and values are those given here, and `model`, which need not be there yet, is only a name."""

    model: str = ""
    type: str = "visual-classifier"
    template: str | None = None
    concepts: list[str] | None = None
    values: dict[str, Any] = {}
    dataset: str | None = None
    validation: str | float | None = None


class Quote(Record, frozen=True):
    """What a training would take, once it is `done`: measured by training a sample of its inputs for some seconds."""

    id: str
    owner: str
    app: str
    state: Literal["waiting", "measuring", "done", "failed", "cancelled"]
    progress: float = 0.0  # 0..1, of measuring
    reason: str = ""  # why it waits or has failed, in words
    seconds: float | None = None  # from the start of its processes to their end
    parts: dict[str, float] = {}  # seconds of start, decoding, training, evaluation
    epochs: int | None = None
    steps: int | None = None
    memory: int | None = None  # bytes that each process takes at most
    gpu_memory: int | None = None
    micro_batch: int | None = None  # how much of a batch is computed at a time
    ranks: int = 1
    gpus: int = 0
    cpu_seconds: float | None = None
    cost: float | None = None
    currency: str = ""


class ModelVersion(Record, frozen=True):
    """One training: its state now, and its outcome once it has one. The same record feeds every progress bar."""

    owner: str
    app: str
    model: str
    id: str  # "v3"
    job: str
    type: str
    template: str
    template_hash: str
    values: dict[str, Any]
    concepts: list[str]
    dataset: str | None
    train_version: str  # dataset version ids
    validation_version: str | None
    description: str
    author: str
    created: float
    state: State
    attempt: int
    started: float | None
    ended: float | None
    reason: str  # why it failed, in words
    queue_place: int | None  # 1 is next
    progress: float  # 0..1
    epoch: int
    epochs: int
    step: int
    steps: int
    images_per_second: float | None
    seconds_left: float | None
    seconds_used: float
    gpus: int
    cost: float | None
    currency: str
    stopping: bool
    metrics: dict[str, float | None]
    metrics_by_concept: dict[str, dict[str, float | None]]
    best_epoch: int | None
    best_metric: str  # the name of the metric that chooses the best checkpoint
    warnings: list[str]
    last_seq: int
    preparing: str = ""  # what is done before the first step, and how much of it: "reading pictures: 40%"
    resumable: bool = False  # it failed and its checkpoint is there: another attempt goes on from it


class Event(Record, frozen=True):
    """One line of events.jsonl. `seq` counts from 1 over all attempts; `step` is the optimizer step."""

    seq: int
    attempt: int
    step: int
    time: float
    kind: str
    data: dict[str, Any] = {}


class EventQuery(Record, frozen=True):
    after: int = 0


class EventPage(Record, frozen=True):
    events: list[Event]
    state: State


class LogQuery(Record, frozen=True):
    after: int = 0  # byte offset


class LogPage(Record, frozen=True):
    text: str
    next: int  # byte offset


class StreamQuery(Record, frozen=True):
    """`after` is the `id` of the last message that was read: `job:seq` pairs joined by `~`."""

    after: str = ""
    job: str | None = None


class PictureQuery(Record, frozen=True):
    side: int = 256


class PredictImage(Record, frozen=True):
    """An image by its bytes (base64 in JSON) or by the id of an input of the app."""

    data: bytes | None = None
    input: str | None = None


class Predict(Record, frozen=True):
    images: list[PredictImage]


class ConceptValue(msgspec.Struct, frozen=True):
    concept: str
    value: float


class FoundRegion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A region that a model found. `box` as in Region; `mask` from a segmenter, over the whole picture."""

    concept: str
    value: float
    box: tuple[float, float, float, float]
    mask: Mask | None = None


class Prediction(Record, frozen=True):
    """What a model says of an image: concepts or regions (highest value first), or an embedding of length 1.

    For an image that cannot be read, the error.
    """

    concepts: list[ConceptValue] = []
    regions: list[FoundRegion] = []
    embedding: list[float] = []
    error: str = ""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """One image of the fixed set that each evaluation predicts: what is true of it, and what the model says."""

    input: str
    labels: dict[str, int] = {}
    regions: list[Region] = []
    prediction: Prediction


class Predictions(Record, frozen=True):
    predictions: list[Prediction]
    seconds: float
    cold: bool  # the predictor had to start


class Usage(Record, frozen=True):
    """One row of the ledger: what one attempt of one job used. Rows are never deleted."""

    user: str
    owner: str
    app: str
    model: str
    version: str
    job: str
    attempt: int
    started: float
    ended: float | None
    seconds: float
    gpus: int
    gpu_hours: float
    cpu_seconds: float
    price_per_gpu_hour: float | None
    price_per_cpu_hour: float | None
    currency: str
    cost: float | None


class File(Record, frozen=True):
    """An answer of bytes: a file on disk, or its content."""

    content_type: str
    path: str = ""
    content: bytes = b""


class Message(msgspec.Struct, frozen=True):
    """One message of the stream. `id` is the cursor to resume after it; `data` is JSON."""

    id: str
    kind: Literal["hello", "version", "event", "changed"]
    data: bytes


class Shutdown(Record, frozen=True):
    """Ends a server that `connect()` started, once no job runs."""

    client: str = ""
