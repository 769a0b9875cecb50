"""Jobs and servers: a job runs once, whoever owns the store, and cullers wait for it."""

from pathlib import Path

from harness import TOKEN, JupyterServer, jupyter
from serving import signed_in, small_model, wait_for

import deepft_lab


def test_a_job_goes_on_under_the_next_owner_and_does_not_start_twice(tmp_path: Path) -> None:
    first = JupyterServer(tmp_path, "headless").start()
    second = JupyterServer(tmp_path, "headless")
    try:
        second.start()
        with deepft_lab.connect(second.url, TOKEN) as lab:
            version = small_model(lab.create_app("jobs"), tmp_path, epochs=25).train(dataset="all", validation=0.25)
            waiting = lab.app("jobs").model("shade").train(dataset="all", validation=0.25)
            assert wait_for(lambda: version.status == "training", 60)
            first.kill()
            assert version.wait(timeout=150).status == "trained"
            waiting.delete()
            events = version.events()
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert {event.attempt for event in events} == {1}
            assert sum(event.kind == "started" for event in events) == 1
            assert [row.attempt for row in lab.usage() if row.version == version.id] == [1]
    finally:
        second.stop()
        first.stop()


def test_a_culler_waits_while_jobs_run(tmp_path: Path) -> None:
    """The idle limit of the server is far shorter than the job; it ends after the job, and not before."""
    with jupyter(tmp_path, "headless", ["--DeepFTLab.idle_seconds=2"]) as server, signed_in(server) as http:
        with deepft_lab.connect(server.url, TOKEN) as lab:
            version = small_model(lab.create_app("culled"), tmp_path, epochs=25).train(dataset="all", validation=0.25)
        assert server.process is not None
        began = http.get("api/status").json()["last_activity"]
        log = tmp_path / "data" / "deepft-lab" / "store" / "jobs" / version.record.job / "events.jsonl"
        # From here on nobody asks: the job's file alone tells how far it is.
        assert wait_for(lambda: log.exists() and '"kind":"epoch"' in log.read_text(), 90)
        assert server.process.poll() is None
        assert http.get("api/status").json()["last_activity"] > began
        server.process.wait(120)
        assert '"kind":"finished"' in log.read_text()
