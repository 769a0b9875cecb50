"""The Jupyter server extension. Configured as `c.DeepFTLab...`; heavy imports wait until the port listens."""

from __future__ import annotations

import getpass
import os
import secrets
from typing import Any

from jupyter_core.paths import jupyter_data_dir
from jupyter_server.extension.application import ExtensionApp
from tornado.ioloop import PeriodicCallback
from traitlets import Bool, Float, Integer, List, Unicode, default

from deepft_lab._version import __version__
from deepft_lab.errors import Conflict
from deepft_lab.server.routes import routes
from deepft_lab.server.service import Service

# The lab's imports take half a second of CPU: let the server answer its first requests before them.
OPEN_AFTER_SECONDS = 0.2
LOOK_MILLISECONDS = 1000
WARM_WORKER_SECONDS = 900.0


class DeepFTLab(ExtensionApp):
    """Deep fine-tuning of vision models inside Jupyter."""

    name = "deepft_lab"
    extension_url = "/"
    load_other_extensions = True
    version = __version__

    store_path = Unicode(
        help="Folder of the store: database, pictures, jobs. One server owns it; the person's others forward to it."
    ).tag(config=True)
    user_name = Unicode(
        help="Who owns what is made on a person's own server. The default is the operating system's account; a hub's "
        "identity provider overrides it for each caller."
    ).tag(config=True)
    weights_path = List(
        Unicode(),
        help="Folders searched first for pretrained weights, before the Jupyter data path and library caches.",
    ).tag(config=True)
    template_paths = List(
        Unicode(), help="Folders searched first for templates (YAML), before the checkout and the Jupyter data path."
    ).tag(config=True)
    price_per_gpu_hour = Float(
        None, allow_none=True, help="Price of one GPU for one hour, kept with each job as it starts. None: hours only."
    ).tag(config=True)
    price_per_cpu_hour = Float(
        None, allow_none=True, help="Price of one CPU for one hour, kept with each job as it starts. None: hours only."
    ).tag(config=True)
    currency = Unicode("", help="Currency of the prices, for example EUR.").tag(config=True)
    predictor_idle_seconds = Float(
        300.0, help="A process that answers predictions ends after this many seconds without one."
    ).tag(config=True)
    cache_path = Unicode(
        "", help="Folder of decoded pictures that jobs share; a fast local disk is best. Empty: `cache` in the store."
    ).tag(config=True)
    cache_bytes = Integer(
        0, min=0, help="What that folder may take, in bytes. 0: half of the disk's free room, at most 50 GB."
    ).tag(config=True)
    warm_worker_seconds = Float(
        help="While somebody sets up a model or a training has ended, a worker that has imported everything is kept "
        "ready, so that the next training begins within a second. It takes about 0.7 GiB and ends after this many "
        "seconds without a job. 0: none is kept, which is the default on a JupyterHub."
    ).tag(config=True)
    max_file_bytes = Integer(2 * 1024**3, help="The largest file that may be uploaded, in bytes.").tag(config=True)
    idle_seconds = Float(
        0.0,
        help="End the server after this many seconds without request, stream and job. 0: never. `connect()` "
        "sets it for the servers that it starts.",
    ).tag(config=True)
    put_in_environment = Bool(
        True, help="Set DEEPFT_LAB_URL and DEEPFT_LAB_TOKEN, so that kernels of this server find it."
    ).tag(config=True)

    @default("store_path")
    def _default_store_path(self) -> str:
        return os.path.join(jupyter_data_dir(), "deepft-lab", "store")  # noqa: PTH118 - the trait is a text

    @default("user_name")
    def _default_user_name(self) -> str:
        return os.environ.get("JUPYTERHUB_USER") or getpass.getuser()

    @default("warm_worker_seconds")
    def _default_warm_worker_seconds(self) -> float:
        return 0.0 if any(name.startswith("JUPYTERHUB_") for name in os.environ) else WARM_WORKER_SECONDS

    # -- life --

    def initialize_settings(self) -> None:
        self.own_token = ""
        self._ending = False
        self.service = Service(self.store_path, self.open_lab, self.log)

    def initialize_handlers(self) -> None:
        self.handlers.extend(routes(self))

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        url = serverapp.connection_url
        token = serverapp.identity_provider.token or os.environ.get("JUPYTERHUB_API_TOKEN", "")
        if not token:
            # A password, or no sign-in at all: kernels and this person's other servers still need a way in.
            token = self.own_token = secrets.token_hex(24)
        if self.put_in_environment:
            os.environ["DEEPFT_LAB_URL"] = url
            os.environ["DEEPFT_LAB_TOKEN"] = token
        serverapp.io_loop.call_later(OPEN_AFTER_SECONDS, self.service.start, url, token)
        self._look = PeriodicCallback(self._look_around, LOOK_MILLISECONDS)
        self._look.start()

    async def stop_extension(self) -> None:
        self._look.stop()
        await self.service.stop()

    def open_lab(self) -> Any:
        """Imports and starts the lab. Called in a thread, by the server that has the store's lock."""
        from deepft_lab.lab import Lab

        lab = Lab(
            self.store_path,
            template_paths=self.template_paths,
            weights_path=self.weights_path,
            price_per_gpu_hour=self.price_per_gpu_hour,
            price_per_cpu_hour=self.price_per_cpu_hour,
            currency=self.currency,
            predictor_idle_seconds=self.predictor_idle_seconds,
            cache_path=self.cache_path,
            cache_bytes=self.cache_bytes,
            warm_worker_seconds=self.warm_worker_seconds,
        )
        lab.on_shutdown = self.end_when_idle
        lab.start()
        return lab

    # -- activity --

    def current_activity(self) -> dict[str, Any] | None:
        """What jupyter_server's own culler asks before it ends an idle server."""
        return {"jobs": True} if self.service.busy else None

    def _look_around(self) -> None:
        """Tells cullers that jobs run, and ends a server that nobody needs any more."""
        assert self.serverapp is not None
        if self.service.busy:
            from jupyter_server._tz import utcnow

            self.serverapp.web_app.settings["last_activity_times"]["deepft_lab"] = utcnow()
        limit = 1.0 if self._ending else self.idle_seconds
        if limit and self.service.idle_seconds > limit:
            self.log.info("DeepFT Lab: nobody has asked for anything for %.0f s; this server ends.", limit)
            self._look.stop()
            self.serverapp.stop()

    def end_when_idle(self) -> None:
        """For the operation `shutdown`: only servers that `connect()` started end on request. Raises Conflict."""
        if not self.idle_seconds:
            raise Conflict(f"The server {self.service.url} was not started by connect(): end it where it was started.")
        self._ending = True
