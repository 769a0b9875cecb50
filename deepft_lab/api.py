"""The table of operations: the one declared surface.

Routes, the Python client, the OpenAPI document and the TypeScript types all come from this table. An operation's name
is also the name of the method of :class:`deepft_lab.lab.Lab` that carries it out:

    lab.<name>(caller, <path parameters by name>, query=<record>, body=<record>)

`query` and `body` are passed only where the operation declares them. `role` is what the caller must hold on the app of
the path (viewer < labeller < trainer < owner), `user` for any signed-in person, or `administrator`. One place
(`server/access.py`) checks it for every kind of operation.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote

from deepft_lab import records as r

BASE = "/deepft/api"

ROLES: tuple[str, ...] = ("viewer", "labeller", "trainer", "owner")

Kind = Literal["json", "stream", "file", "upload"]


@dataclasses.dataclass(frozen=True)
class Operation:
    """One row. `kind`: json (record in and out), stream (server-sent events), file (bytes out), upload (bytes in)."""

    name: str
    verb: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    role: r.Role
    summary: str
    answer: Any = None
    body: type[r.Record] | None = None
    query: type[r.Record] | None = None
    kind: Kind = "json"
    status: int = 200

    @property
    def parameters(self) -> list[str]:
        """Names of the path's parameters, in order."""
        return re.findall(r"{(\w+)}", self.path)

    def url(self, **parameters: str) -> str:
        """The path below `<base_url>` with parameters filled in and escaped."""
        return BASE + re.sub(r"{(\w+)}", lambda m: quote(str(parameters[m.group(1)]), safe=""), self.path)


APP = "/apps/{owner}/{app}"
INPUT = APP + "/inputs/{input}"
MODEL = APP + "/models/{model}"
VERSION = MODEL + "/versions/{version}"
QUOTE = APP + "/quotes/{quote}"

_TABLE = [
    # the server
    Operation("me", "GET", "/me", "user", "Who is calling, and which server answers", r.Me),
    Operation("machine", "GET", "/machine", "user", "What the engine has and how much of it is free", r.Machine),
    Operation(
        "events_stream",
        "GET",
        "/events",
        "user",
        "One stream of all that the caller may see",
        query=r.StreamQuery,
        kind="stream",
    ),
    Operation("running", "GET", "/running", "user", "Versions that run or wait", list[r.ModelVersion]),
    Operation(
        "usage", "GET", "/usage", "user", "The ledger: the caller's rows, or all for an administrator", list[r.Usage]
    ),
    Operation(
        "shutdown",
        "POST",
        "/shutdown",
        "administrator",
        "End a server that connect() started, once no job runs",
        r.Count,
        body=r.Shutdown,
    ),
    # templates
    Operation(
        "templates", "GET", "/templates", "user", "Every template, and the files that could not be used", r.TemplateList
    ),
    Operation(
        "check_params",
        "POST",
        "/templates/{template}/check",
        "user",
        "Complete values, every fault, and what follows from them",
        r.CheckedParams,
        body=r.CheckParams,
    ),
    # apps
    Operation("apps", "GET", "/apps", "user", "The apps that the caller may see", list[r.App]),
    Operation("create_app", "POST", "/apps", "user", "Create an app", r.App, body=r.CreateApp, status=201),
    Operation("app", "GET", APP, "viewer", "An app with its counts", r.App),
    Operation("delete_app", "DELETE", APP, "owner", "Delete an app with its inputs, models and jobs", r.Count),
    # inputs
    Operation(
        "inputs", "GET", APP + "/inputs", "viewer", "A page of inputs, newest first", r.InputPage, query=r.InputQuery
    ),
    Operation(
        "count_inputs", "GET", APP + "/inputs/count", "viewer", "How many inputs match", r.Count, query=r.InputQuery
    ),
    Operation(
        "edit_inputs",
        "PATCH",
        APP + "/inputs",
        "labeller",
        "Datasets and metadata of many inputs",
        r.Edited,
        body=r.EditInputs,
    ),
    Operation(
        "delete_inputs",
        "POST",
        APP + "/inputs/delete",
        "labeller",
        "Take inputs away (can be undone)",
        r.Edited,
        body=r.InputIds,
    ),
    Operation(
        "restore_inputs",
        "POST",
        APP + "/inputs/restore",
        "labeller",
        "Bring deleted inputs back",
        r.Edited,
        body=r.InputIds,
    ),
    Operation("input", "GET", INPUT, "viewer", "An input and the history of its labels", r.InputDetail),
    Operation(
        "picture", "GET", INPUT + "/picture", "viewer", "The oriented picture, as the browser can show it", kind="file"
    ),
    Operation(
        "thumbnail",
        "GET",
        INPUT + "/thumbnail",
        "viewer",
        "A small oriented picture",
        query=r.PictureQuery,
        kind="file",
    ),
    # uploads
    Operation(
        "create_upload",
        "POST",
        APP + "/uploads",
        "labeller",
        "Begin an upload with its settings",
        r.Upload,
        body=r.CreateUpload,
        status=201,
    ),
    Operation(
        "upload_file",
        "PUT",
        APP + "/uploads/{upload}/files",
        "labeller",
        "One file, as the raw body",
        r.UploadedFile,
        query=r.UploadQuery,
        kind="upload",
    ),
    # labels
    Operation("concepts", "GET", APP + "/concepts", "viewer", "Concepts with their counts", list[r.Concept]),
    Operation(
        "create_concepts",
        "POST",
        APP + "/concepts",
        "labeller",
        "Create concepts",
        list[r.Concept],
        body=r.CreateConcepts,
        status=201,
    ),
    Operation(
        "annotate",
        "POST",
        APP + "/annotations",
        "labeller",
        "Put concepts on inputs, or take them off",
        r.Edited,
        body=r.Annotate,
    ),
    Operation(
        "annotate_regions",
        "POST",
        APP + "/regions",
        "labeller",
        "Put boxes, polygons, masks and points on inputs, or take them off",
        r.AnnotatedRegions,
        body=r.AnnotateRegions,
    ),
    # datasets
    Operation("datasets", "GET", APP + "/datasets", "viewer", "Datasets with their counts", list[r.Dataset]),
    Operation(
        "create_dataset",
        "POST",
        APP + "/datasets",
        "labeller",
        "Create an empty dataset",
        r.Dataset,
        body=r.CreateDataset,
        status=201,
    ),
    Operation(
        "freeze_dataset",
        "POST",
        APP + "/datasets/{dataset}/versions",
        "trainer",
        "Freeze a dataset: an immutable version",
        r.DatasetVersion,
        status=201,
    ),
    Operation(
        "dataset_versions",
        "GET",
        APP + "/datasets/{dataset}/versions",
        "viewer",
        "A dataset's frozen versions",
        list[r.DatasetVersion],
    ),
    # models
    Operation("models", "GET", APP + "/models", "viewer", "An app's models", list[r.Model]),
    Operation(
        "create_model",
        "POST",
        APP + "/models",
        "trainer",
        "Create a model from a template",
        r.Model,
        body=r.CreateModel,
        status=201,
    ),
    Operation("model", "GET", MODEL, "viewer", "A model with its values", r.Model),
    Operation(
        "update_model",
        "PATCH",
        MODEL,
        "trainer",
        "Change a model's template, concepts or values",
        r.Model,
        body=r.UpdateModel,
    ),
    Operation("delete_model", "DELETE", MODEL, "trainer", "Delete a model with its versions", r.Count),
    # quotes
    Operation(
        "create_quote",
        "POST",
        APP + "/quotes",
        "trainer",
        "Measure what a training would take; the same question has the same answer for a while",
        r.Quote,
        body=r.CreateQuote,
        status=202,
    ),
    Operation("quote", "GET", QUOTE, "trainer", "A quote: how far it is, or what it found", r.Quote),
    Operation("delete_quote", "DELETE", QUOTE, "trainer", "Give a quote up", r.Quote),
    # versions
    Operation(
        "versions", "GET", MODEL + "/versions", "viewer", "A model's versions, newest first", list[r.ModelVersion]
    ),
    Operation(
        "train",
        "POST",
        MODEL + "/versions",
        "trainer",
        "Create a version: freeze, queue, train",
        r.ModelVersion,
        body=r.Train,
        status=202,
    ),
    Operation("version", "GET", VERSION, "viewer", "A version's state and outcome", r.ModelVersion),
    Operation(
        "delete_version", "DELETE", VERSION, "trainer", "Delete a version; a running one is cancelled", r.ModelVersion
    ),
    Operation(
        "stop_version",
        "POST",
        VERSION + "/stop",
        "trainer",
        "Stop early and keep the best checkpoint",
        r.ModelVersion,
        status=202,
    ),
    Operation(
        "resume_version",
        "POST",
        VERSION + "/resume",
        "trainer",
        "Go on with a failed version from its last checkpoint",
        r.ModelVersion,
        status=202,
    ),
    Operation(
        "events",
        "GET",
        VERSION + "/events",
        "viewer",
        "Events after a sequence number",
        r.EventPage,
        query=r.EventQuery,
    ),
    Operation("log", "GET", VERSION + "/log", "viewer", "The log from a byte offset", r.LogPage, query=r.LogQuery),
    Operation("spec", "GET", VERSION + "/spec", "viewer", "The complete job spec, as it was run", dict[str, Any]),
    Operation(
        "predict",
        "POST",
        VERSION + "/predict",
        "viewer",
        "Concepts with values for a list of images",
        r.Predictions,
        body=r.Predict,
    ),
]

OPERATIONS: Mapping[str, Operation] = {operation.name: operation for operation in _TABLE}
