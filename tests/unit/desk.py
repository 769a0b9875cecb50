"""A lab's user at work, pictures made by Pillow, and predictors that answer at once."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from deepft_lab.lab import Lab
from deepft_lab.records import (
    FINISHED,
    Annotate,
    Caller,
    ConceptValue,
    CreateApp,
    CreateModel,
    CreateUpload,
    ModelVersion,
    Prediction,
    Train,
    UploadedFile,
    UploadQuery,
)

ANN = Caller(user="ann")


class NamingPredictors:
    """Answer at once: the real ones need torch, and have their own tests. Bytes that begin with `bad` are no image."""

    def predict(self, folder: Path, images: list[bytes]) -> tuple[list[Prediction], bool]:
        values = [ConceptValue("ant", 0.75), ConceptValue("bee", 0.25)]
        return [
            Prediction(error="no picture") if i[:3] == b"bad" else Prediction(concepts=values) for i in images
        ], True

    def close(self) -> None:
        pass


class Desk:
    """A lab and its user at work in one app, so that a test says only what it is about."""

    def __init__(self, lab: Lab, caller: Caller = ANN, app: str = "insects") -> None:
        self.lab, self.caller, self.app = lab, caller, app

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """Any operation of the app."""
        method = getattr(self.lab, operation)
        return lambda **given: method(self.caller, owner=self.caller.user, app=self.app, **given)

    def create(self) -> Desk:
        self.lab.create_app(self.caller, body=CreateApp(id=self.app))
        return self

    def begin(self, **settings: Any) -> str:
        return self.create_upload(body=CreateUpload(**settings)).id

    def put(self, upload: str, name: str, content: bytes) -> UploadedFile:
        path = self.lab.incoming / f"{time.monotonic_ns()}"
        path.write_bytes(content)
        return self.upload_file(upload=upload, query=UploadQuery(name=name), path=path)

    def photos(self, concept: str, count: int, dataset: str | None = None, start: int = 0) -> list[str]:
        """Adds different pictures of a concept and gives their ids."""
        upload = self.begin(dataset=dataset, concepts=[concept] if concept else [])
        shade = sum(concept.encode()) % 200
        files = [
            self.put(upload, f"{concept}{i}.png", picture((shade, i % 256, i // 256)))
            for i in range(start, start + count)
        ]
        return [str(file.input) for file in files]

    def label(self, inputs: list[str], **how: Any) -> None:
        self.annotate(body=Annotate(inputs=inputs, **how))

    def new_model(self, id: str = "m", **given: Any) -> None:
        given = {"template": "classifier-mobilenet-v2", **given}
        values = {"pretrained_weights": "None", **given.pop("values", {})}
        self.create_model(body=CreateModel(id=id, values=values, **given))

    def begin_training(self, model: str = "m", **how: Any) -> ModelVersion:
        return self.train(model=model, body=Train(**how))

    def wait(self, version: ModelVersion, until: Callable[[ModelVersion], bool] | None = None) -> ModelVersion:
        """Until the version has ended, or until it is as wanted."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            now = self.version(model=version.model, version=version.id)
            if until(now) if until else now.state in FINISHED:
                return now
            time.sleep(0.02)
        raise AssertionError(f"{version.id} did not come to it: {now}")


def picture(colour: Any = (10, 20, 30), size: tuple[int, int] = (24, 16), format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new(options.pop("mode", "RGB"), size, colour).save(buffer, format, **options)
    return buffer.getvalue()
