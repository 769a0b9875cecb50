"""The Python API: apps, models and versions over HTTP. `deepft_lab.connect()` is the way in.

    lab = deepft_lab.connect()
    app = lab.create_app("insects")
    report = app.upload("photos/train", dataset="train", concepts="folders")
    model = app.create_model("ant-or-bee", template="classifier-mobilenet-v2", num_epochs=3)
    version = model.train(dataset="train").wait()
    version.predict(["a.jpg"])

Imports nothing of torch, the server or the store, so it starts quickly and works from anywhere.
"""

from deepft_lab.client.app import App, Inputs
from deepft_lab.client.lab import Lab, connect
from deepft_lab.client.model import Model
from deepft_lab.client.quote import Quote
from deepft_lab.client.upload import UploadReport
from deepft_lab.client.version import Version

__all__ = ["App", "Inputs", "Lab", "Model", "Quote", "UploadReport", "Version", "connect"]
