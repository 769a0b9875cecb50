"""A model: its values, and its versions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepft_lab import records
from deepft_lab.client import parameters, shown
from deepft_lab.client.parameters import ParameterFile
from deepft_lab.client.quote import Quote, measured
from deepft_lab.client.table import Table
from deepft_lab.client.values import sendable
from deepft_lab.client.version import Version
from deepft_lab.errors import InvalidParams
from deepft_lab.records import Fault

if TYPE_CHECKING:
    from deepft_lab.client.app import App


class Model:
    """A model of an app. `record` holds what the server said last; `refresh()` asks again."""

    def __init__(self, app: App, record: records.Model) -> None:
        self.app = app
        self.record = record

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def owner(self) -> str:
        return self.record.owner

    @property
    def type(self) -> str:
        return self.record.type

    @property
    def template(self) -> str:
        return self.record.template

    @property
    def concepts(self) -> list[str] | None:
        """None: all concepts of the app, taken when training starts."""
        return self.record.concepts

    @property
    def description(self) -> str:
        return self.record.description

    def refresh(self) -> Model:
        self.record = self.call("model")
        return self

    def params(self) -> dict[str, Any]:
        """Every hyperparameter with its value."""
        return dict(self.refresh().record.values)

    def save_params(self, path: str | os.PathLike[str]) -> Path:
        """Writes type, template, concepts and values as YAML, for `create_model(params=...)` and `update_params`."""
        return parameters.write(path, self)

    def update_params(self, file: ParameterFile | None = None, /, **values: Any) -> Model:
        """Changes hyperparameters; the others stay. Raises InvalidParams with every fault.

        `file`: a YAML file as `save_params` writes it (or Clarifai's SDK); its template and concepts are taken too.
        """
        said = parameters.read(file)
        if said.type not in (None, self.type):
            reason = f"The model {self.id} is a {self.type}, and its type stays: create another one."
            raise InvalidParams(f"type = {said.type}: {reason}", [Fault("type", said.type, reason)])
        body = records.UpdateModel(
            template=said.template, concepts=said.concepts, values=said.values | sendable(values)
        )
        self.record = self.call("update_model", body=body)
        return self

    def update(
        self,
        template: str | None = None,
        description: str | None = None,
        concepts: Sequence[str] | None = None,
        **values: Any,
    ) -> Model:
        """Changes the template (values that both have stay), the description, the concepts, hyperparameters."""
        body = records.UpdateModel(
            template=template,
            description=description,
            concepts=None if concepts is None else list(concepts),
            values=sendable(values),
        )
        self.record = self.call("update_model", body=body)
        return self

    def train(
        self, dataset: str | None = None, validation: str | float | None = None, description: str = ""
    ) -> Version:
        """Starts a training and returns at once: `train(...).wait()` waits.

        No dataset: all inputs that bear the model's concepts. `validation`: a dataset's name, or a fraction held out;
        None: the template's default.
        """
        sendable({"validation": validation})
        body = records.Train(dataset=dataset, validation=validation, description=description)
        return Version(self, self.call("train", body=body))

    def quote(
        self, dataset: str | None = None, validation: str | float | None = None, timeout: float | None = None
    ) -> Quote:
        """What `train` with the same arguments would take, measured by some seconds of it: time, memory, steps, cost.

        Waits while a training has the machine. Raises QuoteFailed, and TimeoutError after `timeout` seconds.
        """
        sendable({"validation": validation})
        body = records.CreateQuote(model=self.record.id, dataset=dataset, validation=validation)
        return measured(self.app, body, timeout)

    def version(self, id: str) -> Version:
        """A version by its id, such as "v3"."""
        return Version(self, self.call("version", version=id))

    def versions(self) -> Table[Version]:
        """Newest first."""
        return Table([Version(self, record) for record in self.call("versions")], "Versions")

    def delete(self) -> None:
        """Deletes the model with its versions and jobs."""
        self.call("delete_model")

    def template_panel(self, **options: Any) -> Any:
        """A form of template and hyperparameters; `panel.value` is its content."""
        return import_module("deepft_lab.widgets").TemplatePanel(self, **options)

    def call(self, operation: str, /, **keywords: Any) -> Any:
        """An operation on this model."""
        return self.app.call(operation, model=self.record.id, **keywords)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and (self.app, self.id) == (other.app, other.id)

    def __hash__(self) -> int:
        return hash((self.app, self.id))

    def __repr__(self) -> str:
        return f"<Model {self.app.id}/{self.id}: {self.type}, {self.template}>"

    def _repr_html_(self) -> str:
        record = self.refresh().record
        concepts = "all of the app" if record.concepts is None else record.concepts
        values = {"type": record.type, "template": record.template, "concepts": concepts, "versions": record.versions}
        return shown.pairs(f"Model {record.id}", values | record.values)
