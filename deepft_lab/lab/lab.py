"""The lab: one object for the whole store. Its methods are the operations of `api.OPERATIONS`, by their names.

    lab = Lab(store_path)
    lab.start()                                     # the queue begins
    lab.create_app(caller, body=CreateApp(id="insects"))
    lab.close()                                     # jobs go on without it

It is thread-safe and blocks; a server calls it in threads. It does not ask who may do what: the server does, by `role`.
Everything lies in `store_path`: the database, `blobs/`, `thumbnails/`, `jobs/<job>/`, `incoming/`. Only one Lab at a
time may have a store; the server's lock sees to that.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, exists, select

from deepft_lab.engines.base import Engine
from deepft_lab.errors import DeepFTError
from deepft_lab.lab import access as _access
from deepft_lab.lab import apps as _apps
from deepft_lab.lab import datasets as _datasets
from deepft_lab.lab import files as _files
from deepft_lab.lab import inputs as _inputs
from deepft_lab.lab import labels as _labels
from deepft_lab.lab import ledger as _ledger
from deepft_lab.lab import models as _models
from deepft_lab.lab import predict as _predict
from deepft_lab.lab import quotes as _quotes
from deepft_lab.lab import regions as _regions
from deepft_lab.lab import stream as _stream
from deepft_lab.lab import system as _system
from deepft_lab.lab import training as _training
from deepft_lab.lab import uploads as _uploads
from deepft_lab.lab import versions as _versions
from deepft_lab.lab.jobs import Jobs
from deepft_lab.lab.ledger import Prices
from deepft_lab.lab.pictures import Pictures
from deepft_lab.lab.quotes import Quotes
from deepft_lab.store import tables as t
from deepft_lab.store.blobs import Blobs
from deepft_lab.store.database import Database

logger = logging.getLogger("deepft_lab")


class Lab:
    """The use-cases over one store. The parts that are not given are made."""

    def __init__(
        self,
        store_path: str | Path,
        *,
        engine: Engine | None = None,
        catalog: Any = None,
        predictors: Any = None,
        template_paths: Iterable[str | Path] | None = None,
        weights_path: Iterable[str | Path] | None = None,
        price_per_gpu_hour: float | None = None,
        price_per_cpu_hour: float | None = None,
        currency: str = "",
        predictor_idle_seconds: float = 300.0,
        cache_path: str | Path | None = None,
        cache_bytes: int = 0,
        warm_worker_seconds: float = 0.0,
    ) -> None:
        self.path = Path(store_path).expanduser().absolute()
        self.jobs_path = self.path / "jobs"
        self.thumbnails = self.path / "thumbnails"
        self.incoming = self.path / "incoming"
        self.cache_path = Path(cache_path).expanduser().absolute() if cache_path else self.path / "cache"
        self.cache_bytes = cache_bytes
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(self.incoming, ignore_errors=True)  # what a server that was killed has left
        for folder in (self.jobs_path, self.thumbnails, self.incoming):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.database = Database(self.path / "deepft.sqlite")
        self.blobs = Blobs(self.path / "blobs")
        self.pictures = Pictures()
        self.prices = Prices(per_gpu_hour=price_per_gpu_hour, per_cpu_hour=price_per_cpu_hour, currency=currency)
        if engine is None:
            from deepft_lab.engines.local import LocalEngine

            engine = LocalEngine(self.path, spare_seconds=warm_worker_seconds)
        if catalog is None:
            from deepft_lab.catalog import Catalog

            catalog = Catalog(template_paths, weights_path)
        if predictors is None:
            from deepft_lab.engines.predictors import Predictors

            predictors = Predictors(idle_seconds=predictor_idle_seconds)
        self.engine, self.catalog, self.predictors = engine, catalog, predictors
        self.hub = _stream.Hub()
        self.quotes = Quotes(self)
        self.jobs = Jobs(self)
        self.on_shutdown: Callable[[], None] = lambda: None  # the server says what ends
        self.jobs.load()

    def start(self) -> None:
        """Begins to start, follow and collect jobs."""
        self._remove_orphans()
        self.jobs.start()

    def close(self) -> None:
        """Ends the threads and helper processes. Jobs go on, and the next Lab on this store finds them."""
        self.jobs.close()
        self.quotes.close()
        self.hub.close()
        self.pictures.close()
        self.predictors.close()
        self.engine.close()
        self.database.close()

    @property
    def busy(self) -> bool:
        """Jobs run or wait."""
        return bool(self.jobs.unfinished)

    # -- the operations --

    me = _system.me
    machine = _system.machine
    events_stream = _stream.subscribe
    running = _versions.running
    usage = _ledger.usage
    shutdown = _system.shutdown

    templates = _system.templates
    check_params = _system.check_params

    apps = _apps.apps
    create_app = _apps.create_app
    app = _apps.app
    delete_app = _apps.delete_app

    inputs = _inputs.inputs
    count_inputs = _inputs.count_inputs
    edit_inputs = _inputs.edit_inputs
    delete_inputs = _inputs.delete_inputs
    restore_inputs = _inputs.restore_inputs
    input = _inputs.input_
    picture = _files.picture
    thumbnail = _files.thumbnail

    create_upload = _uploads.create_upload
    upload_file = _uploads.upload_file

    concepts = _labels.concepts
    create_concepts = _labels.create_concepts
    annotate = _labels.annotate
    annotate_regions = _regions.annotate_regions

    datasets = _datasets.datasets
    create_dataset = _datasets.create_dataset
    freeze_dataset = _datasets.freeze_dataset
    dataset_versions = _datasets.dataset_versions

    models = _models.models
    create_model = _models.create_model
    model = _models.model
    update_model = _models.update_model
    delete_model = _models.delete_model

    create_quote = _quotes.create_quote
    quote = _quotes.quote
    delete_quote = _quotes.delete_quote

    versions = _versions.versions
    train = _training.train
    version = _versions.version
    delete_version = _versions.delete_version
    stop_version = _versions.stop_version
    resume_version = _versions.resume_version
    events = _versions.events
    log = _versions.log
    spec = _versions.spec
    predict = _predict.predict

    # -- beside the operations --

    role = _access.role
    subscribe = _stream.subscribe

    def expect_training(self) -> None:
        """Somebody is about to train: the engine may get ready for it, unless jobs wait for a place as it is."""
        jobs = self.jobs.unfinished
        if not any(live.waits for live in jobs):
            self.engine.prepare([*(live.allocation for live in jobs), *self.quotes.taken])

    # -- files, for the use-cases --

    def job_folder(self, job: str) -> Path:
        return self.jobs_path / job

    def remove_job_folder(self, job: str) -> None:
        shutil.rmtree(self.job_folder(job), ignore_errors=True)

    def forget_blob(self, connection: Connection, sha256: str) -> None:
        """Removes a file that no input refers to any more. The writer's transaction is open."""
        if not connection.execute(select(exists().where(t.inputs.c.sha256 == sha256))).scalar():
            self.blobs.remove(sha256)
            for path in _files.kept(self, sha256):
                path.unlink(missing_ok=True)

    def _remove_orphans(self) -> None:
        """Job folders without a version, and what still runs there: of quotes, and of a version that came to nothing,
        whose server was killed.
        """
        with self.database.reading() as connection:
            known = set(connection.execute(select(t.versions.c.job)).scalars())
        for folder in self.jobs_path.iterdir():
            if folder.name not in known:
                try:
                    self.engine.cancel("", folder)  # a quote that goes on would slow what is trained from here on
                except DeepFTError as error:
                    logger.warning("Of the folder %s: %s", folder, error.message)
                shutil.rmtree(folder, ignore_errors=True)
