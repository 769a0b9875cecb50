"""DeepFT Lab: train the entire graph of a vision model on your own images, from inside Jupyter.

import deepft_lab
lab = deepft_lab.connect()
app = lab.create_app("insects")
app.upload("photos/train", dataset="train", concepts="folders")
"""

from deepft_lab._version import __version__

__all__ = ["__version__", "connect"]


def connect(url: str | None = None, token: str | None = None):
    """Finds a running server, or starts one on loopback. See :func:`deepft_lab.client.connect`."""
    from deepft_lab.client import connect

    return connect(url=url, token=token)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "deepft-lab"}]


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    from deepft_lab.server.extension import DeepFTLab

    return [{"module": "deepft_lab", "app": DeepFTLab}]
