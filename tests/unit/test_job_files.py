"""manifest.py, events.py and spec.py: the files of a job folder."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from deepft_lab import manifest, spec
from deepft_lab.events import EventReader, EventWriter, cut_torn_line, fold
from deepft_lab.manifest import Entry


def entries() -> list[Entry]:
    return [Entry("b", "b" * 64, 5, 4, {"bee": 1, "ant": 0}), Entry("a", "a" * 64, 3, 2, {"ant": 1})]


def test_a_manifest_reads_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(manifest.dump(["bee", "ant"], entries()))
    found = manifest.load(path)
    assert found.concepts == ["ant", "bee"]
    assert [entry.input for entry in found.entries] == ["a", "b"]
    assert found.entries[1] == entries()[0]


def test_the_same_content_in_any_order_gives_the_same_id() -> None:
    first = manifest.dump(["ant", "bee"], entries())
    second = manifest.dump(["bee", "ant"], list(reversed(entries())))
    assert manifest.identify(first) == manifest.identify(second)
    changed = manifest.dump(["ant", "bee"], [Entry("a", "a" * 64, 3, 2, {"ant": 0})])
    assert manifest.identify(changed) != manifest.identify(first)


def test_a_manifest_of_a_later_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b'{"format": 2, "concepts": []}\n')
    with pytest.raises(ValueError, match="format 2"):
        manifest.load(path)


def test_a_reader_sees_only_whole_lines_and_each_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert reader.read() == []
    writer = EventWriter(path)
    writer.write("started", epochs=3)
    with path.open("ab") as file:
        file.write(b'{"seq": 2, "att')
    assert [event.seq for event in reader.read()] == [1]
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(b'empt": 1, "step": 0, "time": 0, "kind": "step"}\n')
    assert [event.kind for event in reader.read()] == ["step"]
    writer.close()


def test_a_resumed_writer_cuts_the_torn_line_and_counts_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first = EventWriter(path)
    for step in range(3):
        first.write("step", step)
    first.close()
    with path.open("ab") as file:
        file.write(b'{"seq": 4, "atte')
    second = EventWriter(path, attempt=2)
    second.write("resumed", from_step=1)
    second.close()
    assert [(event.seq, event.attempt) for event in EventReader(path).read()] == [(1, 1), (2, 1), (3, 1), (4, 2)]
    assert cut_torn_line(path) == 4
    assert cut_torn_line(tmp_path / "missing") == 0


def test_an_event_for_which_there_is_no_room_leaves_no_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path)
    writer.write("step", 1)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))  # stands for a disk that is full
    try:
        with pytest.raises(OSError):
            writer.write("step", 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    writer.write("failed", 2)
    writer.close()
    assert [(event.seq, event.kind) for event in EventReader(path).read()] == [(1, "step"), (2, "failed")]


def test_the_folded_view_drops_what_was_trained_again(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first = EventWriter(path)
    for step in (1, 2, 3):
        first.write("step", step)
    first.close()
    second = EventWriter(path, attempt=2)
    second.write("resumed", 2, from_step=2)
    second.write("step", 3)
    second.close()
    folded = fold(EventReader(path).read())
    assert [event.step for event in folded if event.kind == "step"] == [1, 2, 3]
    assert [event.attempt for event in folded if event.kind == "step"] == [1, 1, 2]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    spec.write(path, spec.Result(outcome="trained"))

    class Broken:
        """Fails in the middle of being written."""

        def __buffer__(self, flags):
            raise OSError("no")

    with pytest.raises((OSError, TypeError)):
        spec.write_whole(path, Broken())  # type: ignore[arg-type]
    assert spec.read(path, spec.Result).outcome == "trained"
    assert list(tmp_path.iterdir()) == [path]
