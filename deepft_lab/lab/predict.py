"""Prediction with a trained version, by a warm process of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from deepft_lab.errors import Conflict, InvalidRequest
from deepft_lab.lab.access import find_app
from deepft_lab.lab.inputs import find_inputs
from deepft_lab.lab.versions import find_version
from deepft_lab.records import Caller, Prediction, Predictions
from deepft_lab.records import Predict as PredictBody

if TYPE_CHECKING:
    from deepft_lab.lab.lab import Lab


def predict(
    lab: Lab, caller: Caller, *, owner: str, app: str, model: str, version: str, body: PredictBody
) -> Predictions:
    """One prediction an image, in their order; an image that cannot be read gets its error and stops no other."""
    begun = time.monotonic()
    with lab.database.reading() as connection:
        row = find_version(connection, owner, app, model, version)
        wanted = [image.input for image in body.images if image.input is not None]
        inputs = {
            found["id"]: found for found in find_inputs(connection, find_app(connection, owner, app)["key"], wanted)[0]
        }
    if row["state"] != "trained":
        raise Conflict(f"{version} of {model!r} cannot predict: its state is {row['state']}, not trained.")
    if not body.images:
        raise InvalidRequest("There are no images to predict. Give some, each as `data` or as the id of an `input`.")
    errors: dict[int, str] = {}
    images: list[bytes] = []
    for index, image in enumerate(body.images):
        if (image.data is None) == (image.input is None):
            raise InvalidRequest(f"Image {index} needs either `data` or `input`, and not both.")
        if image.data is not None:
            images.append(image.data)
        elif image.input in inputs:
            images.append(lab.blobs.read(inputs[image.input]["sha256"]))
        else:
            errors[index] = f"There is no input {image.input!r} in this app."
    folder = lab.job_folder(row["job"]) / "model"
    found, cold = lab.predictors.predict(folder, images) if images else ([], False)
    rest = iter(found)
    predictions = [
        Prediction(error=errors[index]) if index in errors else next(rest) for index in range(len(body.images))
    ]
    return Predictions(predictions=predictions, seconds=time.monotonic() - begun, cold=cold)
