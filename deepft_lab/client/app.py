"""An app: inputs, labels, datasets, models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from deepft_lab import records
from deepft_lab.client import parameters, shown
from deepft_lab.client.model import Model
from deepft_lab.client.parameters import ParameterFile
from deepft_lab.client.table import Table
from deepft_lab.client.upload import Progress, Sources, UploadReport, upload
from deepft_lab.client.values import sendable
from deepft_lab.errors import InvalidParams, InvalidRequest
from deepft_lab.records import Fault

if TYPE_CHECKING:
    from deepft_lab.client.lab import Lab

FILTERS = ("concept", "dataset", "metadata", "unlabelled")
PAGE = 200  # inputs asked for at a time
USUAL_TYPE = "visual-classifier"

InputLike = str | records.Input


class Inputs(Table[records.Input]):
    """A page of inputs. `next` continues it: `app.inputs(after=page.next)`; None at the end."""

    def __init__(self, items: Iterable[records.Input], next: str | None) -> None:
        super().__init__(items, "Inputs")
        self.next = next


class App:
    """An app of a person. `record` holds what the server said last; `refresh()` asks again."""

    def __init__(self, lab: Lab, record: records.App) -> None:
        self.lab = lab
        self.record = record

    @property
    def owner(self) -> str:
        return self.record.owner

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def description(self) -> str:
        return self.record.description

    @property
    def role(self) -> str:
        """What we hold on it: viewer, labeller, trainer or owner."""
        return self.record.role

    def refresh(self) -> App:
        self.record = self.call("app")
        return self

    def delete(self) -> None:
        """Deletes the app with its inputs, models and jobs. There is no way back."""
        self.call("delete_app")

    # -- inputs --

    def upload(
        self,
        paths: Sources,
        dataset: str | None = None,
        concepts: str | Sequence[str] | None = None,
        metadata: dict[str, Any] | None = None,
        format: str = "auto",
        dry_run: bool = False,
        *,
        values: Mapping[Any, str] | None = None,
        progress: Progress | None = None,
    ) -> UploadReport:
        """Uploads pictures: a file, a folder with all below it, or a list of these (and of PIL images).

        `format`: "auto" looks whether a folder holds annotations, "voc", "coco" and "masks" say which; "folders" makes
        the folders concepts, "images" takes pictures alone. Annotated pictures come with their regions, and their
        splits become datasets unless `dataset` is given. `values` says what the pixels of masks mean:
        {128: "cytoplasm", 255: "nucleus"}. Where an input is there already, what the files say of it replaces its
        regions of the format's kinds (voc: boxes; coco: boxes, polygons and masks; masks: masks).

        `concepts`: names that each input gets; or "folders": the name of the folder that a file lies in. `metadata` is
        any JSON object. The same content twice is one input, which then gets the settings of both. `dry_run` says what
        would happen. `progress(done, total)` is called after each file.
        """
        return upload(
            self,
            paths,
            dataset=dataset,
            concepts=concepts,
            metadata=metadata,
            format=format,
            values=values,
            dry_run=dry_run,
            progress=progress,
        )

    def inputs(self, limit: int = 50, after: str | None = None, **filter: Any) -> Inputs:
        """Inputs, newest first. Filters: concept=, dataset=, metadata={key: value}, unlabelled=True."""
        asked = self._query(filter)
        found: list[records.Input] = []
        while len(found) < limit:
            query = records.InputQuery(limit=min(PAGE, limit - len(found)), after=after, **asked)
            page = self.call("inputs", query=query)
            found += page.inputs
            after = page.next
            if after is None or not page.inputs:
                break
        return Inputs(found, after)

    def count(self, **filter: Any) -> int:
        """How many inputs match; filters as in `inputs`."""
        return self.call("count_inputs", query=records.InputQuery(**self._query(filter))).count

    def input(self, id: str) -> records.InputDetail:
        """An input and the history of its labels."""
        return self.call("input", input=id)

    def picture(self, input: InputLike) -> bytes:
        """The oriented picture, as the browser gets it."""
        return self.call("picture", input=_id(input))

    def edit(
        self,
        inputs: InputLike | Iterable[InputLike],
        add_datasets: Sequence[str] = (),
        remove_datasets: Sequence[str] = (),
        metadata: dict[str, Any] | None = None,
    ) -> records.Edited:
        """Datasets and metadata of many inputs. Metadata is merged; a key with None is taken away."""
        body = records.EditInputs(
            inputs=_ids(inputs),
            add_datasets=list(add_datasets),
            remove_datasets=list(remove_datasets),
            metadata=metadata or {},
        )
        return self.call("edit_inputs", body=body)

    def delete_inputs(self, inputs: InputLike | Iterable[InputLike]) -> records.Edited:
        """Takes inputs away; `restore_inputs` brings them back."""
        return self.call("delete_inputs", body=records.InputIds(inputs=_ids(inputs)))

    def restore_inputs(self, inputs: InputLike | Iterable[InputLike]) -> records.Edited:
        return self.call("restore_inputs", body=records.InputIds(inputs=_ids(inputs)))

    # -- labels and datasets --

    def annotate(
        self,
        inputs: InputLike | Iterable[InputLike],
        positive: str | Sequence[str] = (),
        negative: str | Sequence[str] = (),
        remove: str | Sequence[str] = (),
    ) -> records.Edited:
        """Says that concepts are on the inputs (positive), are not (negative), or takes what was said away (remove)."""
        body = records.Annotate(
            inputs=_ids(inputs), positive=_names(positive), negative=_names(negative), remove=_names(remove)
        )
        return self.call("annotate", body=body)

    def annotate_regions(
        self,
        input: InputLike,
        add: records.Region | Sequence[records.Region] = (),
        remove: int | records.Region | Sequence[int | records.Region] = (),
        replace: bool = False,
    ) -> records.AnnotatedRegions:
        """Puts regions on an input and takes others away (by id). `replace`: all that were there go, but for those
        that are the same.

        A region is `box(concept, left, top, right, bottom)`, `polygon(concept, points)`, `mask(concept, array)` or
        `point(concept, x, y)` of `deepft_lab.regions`, in fractions of the picture. What reaches beyond the picture is
        clipped, what has no size left out: `warnings` of the answer say so.
        """
        given = [add] if isinstance(add, records.Region) else list(add)
        gone = [remove] if isinstance(remove, (int, records.Region)) else list(remove)
        ids = [each.id if isinstance(each, records.Region) else each for each in gone]
        change = records.InputRegions(input=_id(input), add=given, remove=ids, replace=replace)
        return self.call("annotate_regions", body=records.AnnotateRegions(inputs=[change]))

    def concepts(self) -> Table[records.Concept]:
        return Table(self.call("concepts"), "Concepts")

    def create_concepts(self, names: str | Sequence[str]) -> Table[records.Concept]:
        return Table(self.call("create_concepts", body=records.CreateConcepts(names=_names(names))), "Concepts")

    def datasets(self) -> Table[records.Dataset]:
        return Table(self.call("datasets"), "Datasets")

    def create_dataset(self, id: str) -> records.Dataset:
        return self.call("create_dataset", body=records.CreateDataset(id=id))

    def freeze(self, dataset: str) -> records.DatasetVersion:
        """An immutable version of a dataset. The same content gives the same version."""
        return self.call("freeze_dataset", dataset=dataset)

    def dataset_versions(self, dataset: str) -> Table[records.DatasetVersion]:
        return Table(self.call("dataset_versions", dataset=dataset), "Dataset versions")

    # -- models --

    def create_model(
        self,
        id: str,
        type: str | None = None,
        template: str | None = None,
        concepts: Sequence[str] | None = None,
        description: str = "",
        *,
        params: ParameterFile | None = None,
        **values: Any,
    ) -> Model:
        """Creates a model. Further keywords are hyperparameters of the template; every wrong one is told at once.

        No type: that of the template; an older name that templates of several types bear needs one. No template: the
        recommended one of the type. Neither: a visual-classifier. No concepts: all of the app, taken when training
        starts. `params`: a YAML file (of `Model.save_params`, or of Clarifai's SDK) that says all this; what is given
        beside it counts before it.
        """
        said = parameters.read(params, beside=values)
        template = template or said.template
        body = records.CreateModel(
            id=id,
            type=type or said.type or self._type_of(template),
            template=template,
            description=description,
            concepts=said.concepts if concepts is None else _names(concepts),
            values=said.values | sendable(values),
        )
        return Model(self, self.call("create_model", body=body))

    def _type_of(self, template: str | None) -> str:
        """The type that a template is for, the usual one without a template. Raises InvalidParams for an alias of
        several types."""
        found = [each for each in self.lab.templates() if template in (each.id, *each.aliases)] if template else []
        exactly = [each for each in found if each.id == template]
        types = {each.type: each.id for each in exactly or found}
        if len(types) > 1:
            words = ", ".join(f"type={type!r} ({id})" for type, id in sorted(types.items()))
            reason = f"Templates of several types bear the name {template}. Say which is meant: {words}."
            raise InvalidParams(reason, [Fault("type", None, reason)])
        return next(iter(types), USUAL_TYPE)

    def model(self, id: str) -> Model:
        return Model(self, self.call("model", model=id))

    def models(self) -> Table[Model]:
        return Table([Model(self, record) for record in self.call("models")], "Models")

    # -- panels in a notebook (the widgets stand above this layer, so they are looked up when asked for) --

    def upload_panel(self, **options: Any) -> Any:
        """A panel to upload by drag and drop; `panel.report` is its outcome."""
        return import_module("deepft_lab.widgets").UploadPanel(self, **options)

    def annotate_panel(self, kind: str = "class", **options: Any) -> Any:
        """A panel to put concepts on inputs, or (kind="box", "polygon" or "point") to draw regions on them."""
        widgets = import_module("deepft_lab.widgets")
        if kind == "class":
            return widgets.AnnotatePanel(self, **options)
        return widgets.RegionPanel(self, kind, **options)

    # -- underneath --

    def call(self, operation: str, /, **keywords: Any) -> Any:
        """An operation on this app."""
        return self.lab.connection.call(operation, owner=self.record.owner, app=self.record.id, **keywords)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, App) and (self.owner, self.id) == (other.owner, other.id)

    def __hash__(self) -> int:
        return hash((self.owner, self.id))

    def __repr__(self) -> str:
        inputs, models = shown.count(self.record.inputs, "input"), shown.count(self.record.models, "model")
        return f"<App {self.owner}/{self.id}: {inputs}, {models}>"

    def _repr_html_(self) -> str:
        record = self.refresh().record
        values = {"description": record.description, "owner": record.owner, "inputs": record.inputs}
        values |= {"concepts": record.concepts, "datasets": record.datasets, "models": record.models}
        return shown.pairs(f"App {record.id}", values)

    @staticmethod
    def _query(filter: dict[str, Any]) -> dict[str, Any]:
        wrong = [name for name in filter if name not in FILTERS]
        if wrong:
            raise InvalidRequest(f"There is no filter {', '.join(map(repr, wrong))}. Filters are {', '.join(FILTERS)}.")
        asked = {name: value for name, value in filter.items() if value is not None}
        if "metadata" in asked:
            if not isinstance(asked["metadata"], dict):
                raise InvalidRequest(f"metadata is an object such as {{'site': 'A'}}, not {asked['metadata']!r}.")
            asked["metadata"] = json.dumps(asked["metadata"])
        return asked


def _id(input: InputLike) -> str:
    return input if isinstance(input, str) else input.id


def _ids(inputs: InputLike | Iterable[InputLike]) -> list[str]:
    one = isinstance(inputs, (str, records.Input))
    return [_id(inputs)] if one else [_id(input) for input in inputs]  # type: ignore[arg-type, union-attr]


def _names(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
