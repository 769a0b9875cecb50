"""The cache of decoded pictures: the same bits hit or miss, shared, bounded, and never a reason for a run to fail."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import pwd
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from coloured import COLOURS, picture
from PIL import Image

from deepft_lab import manifest, spec
from deepft_lab.images import fitted
from deepft_lab.records import Template
from deepft_lab.training import cache, pack_file, pictures

SIDE = 32


def store(folder: Path, contents: list[bytes]) -> list[manifest.Entry]:
    """Blobs of these contents and the entries that name them; what is no picture is said to be 40 x 36."""
    entries = []
    for content in contents:
        sha256 = hashlib.sha256(content).hexdigest()
        path = folder / "blobs" / sha256[:2] / sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        try:
            width, height = Image.open(io.BytesIO(content)).size
        except OSError:
            width, height = 40, 36
        entries.append(manifest.Entry(sha256, sha256, width, height))
    return entries


def job(folder: Path, **changed: Any) -> spec.JobSpec:
    (folder / "job").mkdir(exist_ok=True)
    template = Template("any", "any", "Any", "Any", [], {})
    words = dict.fromkeys(("job", "owner", "app", "model", "version", "user", "type", "train_version"), "any")
    fields = {"values": {}, "concepts": [], "exclusive": True, "validation_version": None, "weights": None, "seed": 1}
    places = {"blobs": str(folder / "blobs"), "cache": str(folder / "cache")}
    return spec.JobSpec(template=template, **{**words, **fields, **places, **changed})  # type: ignore[arg-type]


def gather(folder: Path, entries: list[manifest.Entry], side: int | None = SIDE, **changed: Any) -> pictures.Pictures:
    return pictures.gather(job(folder, **changed), folder / "job", entries, side, threads=2)


def same(found: pictures.Pictures, entries: list[manifest.Entry]) -> bool:
    """Whether each picture is as decoding it anew gives it."""
    pixels = [pictures.decode(pictures.source(found.blobs, entry.sha256), found.side) for entry in entries]
    return all(numpy.array_equal(found[place].numpy(), wanted) for place, wanted in enumerate(pixels))


def pack_files(folder: Path) -> list[Path]:
    return sorted((folder / "cache").glob("*/*.pack"))


def many(count: int, first: int = 0) -> list[bytes]:
    return [picture(COLOURS["red"], first + place, (60 + place, 50)) for place in range(count)]


def test_a_second_run_decodes_nothing_and_sees_the_same_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = store(tmp_path, many(5))
    first = gather(tmp_path, entries)
    assert (first.decoded, first.cached, first.refused) == (5, 5, "")
    assert same(first, entries)
    seen = [first[place].clone() for place in range(5)]
    monkeypatch.setattr(pictures, "decode", lambda *_: pytest.fail("decoded again"))
    second = gather(tmp_path, entries)
    assert (second.decoded, second.cached) == (0, 5)
    assert all(torch.equal(second[place], seen[place]) for place in range(5))


def test_a_dataset_that_grew_has_only_its_new_pictures_decoded(tmp_path: Path) -> None:
    entries = store(tmp_path, many(4))
    gather(tmp_path, entries)
    before = {path: path.read_bytes() for path in pack_files(tmp_path)}
    more = entries + store(tmp_path, many(2, first=50))
    grown = gather(tmp_path, more)
    assert grown.decoded == 2 and same(grown, more)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_dataset_that_grew_often_does_not_end_in_many_small_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "SMALL", 4)
    entries: list[manifest.Entry] = []
    for turn in range(6):
        entries += store(tmp_path, many(2, first=10 * turn))
        found = gather(tmp_path, entries)
        assert found.decoded == 2 and found.cached == len(entries) and same(found, entries)
        del found  # a run that ended
    assert len(pack_files(tmp_path)) == 2  # the fifth run merged five, the sixth added one
    monkeypatch.setattr(pictures, "decode", lambda *_: pytest.fail("decoded again"))
    assert gather(tmp_path, entries).cached == len(entries)


def test_few_large_pictures_are_decoded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = store(tmp_path, many(6))
    now, most, real = [0], [0], pictures.decode

    def counted(*arguments: Any) -> numpy.ndarray:
        now[0] += 1
        most[0] = max(most[0], now[0])
        time.sleep(0.02)
        now[0] -= 1
        return real(*arguments)

    monkeypatch.setattr(pictures, "decode", counted)
    monkeypatch.setattr(pictures, "_AT_ONCE", 1000)  # less than one picture: each takes its turn
    assert gather(tmp_path, entries).decoded == 6
    assert most == [1]


def test_another_side_is_another_picture(tmp_path: Path) -> None:
    entries = store(tmp_path, many(2))
    assert gather(tmp_path, entries)[0].shape == (32, 38, 3)
    assert gather(tmp_path, entries, 16)[0].shape == (16, 19, 3)
    assert gather(tmp_path, entries, None)[0].shape == (50, 60, 3)  # whole pictures, which are not stored
    assert {path.parent.name.split("-")[0] for path in pack_files(tmp_path)} == {"32", "16"}


def test_large_photos_are_decoded_at_a_reduced_scale_that_shows_the_same(tmp_path: Path) -> None:
    smooth = Image.fromarray(numpy.random.default_rng(1).integers(0, 255, (6, 9, 3), dtype=numpy.uint8))
    buffer = io.BytesIO()
    smooth.resize((1800, 1200), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
    found = pictures.decode(buffer.getvalue(), 60)
    whole = Image.open(io.BytesIO(buffer.getvalue())).resize((90, 60), Image.Resampling.BICUBIC)
    assert found.shape == (60, 90, 3) == (*fitted((1800, 1200), None, 60)[::-1], 3)
    assert numpy.abs(found.astype(int) - numpy.asarray(whole).astype(int)).mean() < 2


def test_what_cannot_be_read_is_named_and_the_others_are_there(tmp_path: Path) -> None:
    whole = picture(COLOURS["blue"], 3, (400, 300))
    entries = store(tmp_path, [whole, b"no picture", whole[: len(whole) // 2], picture(COLOURS["red"], 1)])
    for side in (SIDE, None):
        found = gather(tmp_path, entries, side)
        assert sorted(found.unreadable) == ([1, 2] if side else [1])  # a header alone does not show a missing end
        assert "text" in found.unreadable[1]
        assert torch.equal(found[3], torch.from_numpy(pictures.decode(picture(COLOURS["red"], 1), side)))
    assert "truncated" in gather(tmp_path, entries).unreadable[2]


def test_a_damaged_picture_is_found_and_mended(tmp_path: Path) -> None:
    entries = store(tmp_path, many(3))
    gather(tmp_path, entries)
    (path,) = pack_files(tmp_path)
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(len(content) // 3)
        file.write(b"\x00\xff" * 20)
    assert path.read_bytes() != content
    assert same(gather(tmp_path, entries), entries)
    assert path.read_bytes() == content


def test_what_was_deleted_is_blanked_at_every_side(tmp_path: Path) -> None:
    entries = store(tmp_path, many(3))
    found = [gather(tmp_path, entries, side) for side in (SIDE, 16)]
    gone, kept = found[0][1].numpy().tobytes(), found[0][0].numpy().tobytes()
    del found
    assert pack_file.forget(tmp_path / "cache", [entries[1].sha256, "00" * 32]) == 2
    left = b"".join(path.read_bytes() for path in pack_files(tmp_path))
    assert gone not in left and kept in left
    assert same(gather(tmp_path, entries), entries)  # its blob is still there: it comes back


@pytest.mark.parametrize("damage", ["cut", "empty", "table", "end"])
def test_a_torn_pack_is_thrown_away_and_made_again(tmp_path: Path, damage: str) -> None:
    entries = store(tmp_path, many(3))
    gather(tmp_path, entries)
    (path,) = pack_files(tmp_path)
    content = path.read_bytes()
    at = {"table": len(content) - pack_file.end_bytes(3) + 5, "end": len(content) - 4}.get(damage)
    kept = {"cut": content[:-100], "empty": b""}.get(damage, content)
    path.write_bytes(kept if at is None else kept[:at] + b"\x99" + kept[at + 1 :])
    found = gather(tmp_path, entries)
    assert (found.decoded, found.cached, found.refused) == (3, 3, "")
    assert same(found, entries)
    assert path not in pack_files(tmp_path) and len(pack_files(tmp_path)) == 1


def test_the_bound_is_kept_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    sets = [store(tmp_path, many(3, first=100 * turn)) for turn in range(4)]
    one = sum(pictures._bytes(entry, SIDE) for entry in sets[0]) + pack_file.end_bytes(3)
    limit = 2 * one + one // 2
    for turn in (0, 1):
        found = gather(tmp_path, sets[turn], cache_bytes=limit)
        assert found.refused == ""
        del found
        time.sleep(0.01)
    assert gather(tmp_path, sets[0], cache_bytes=limit).decoded == 0  # used again: the second is now the oldest
    assert gather(tmp_path, sets[2], cache_bytes=limit).refused == ""
    assert sum(path.stat().st_size for path in pack_files(tmp_path)) <= limit
    assert gather(tmp_path, sets[0], cache_bytes=limit).decoded == 0
    assert gather(tmp_path, sets[1], cache_bytes=limit).decoded == 3


def test_what_does_not_fit_is_refused_in_words_and_decoded_as_it_comes(tmp_path: Path) -> None:
    entries = store(tmp_path, many(4))
    limit = 2 * max(pictures._bytes(entry, SIDE) for entry in entries) + pack_file.end_bytes(3)
    found = gather(tmp_path, entries, cache_bytes=limit)
    assert found.cached == 2 and same(found, entries)
    assert "2 pictures need" in found.refused and str(tmp_path / "cache") in found.refused
    in_use = gather(tmp_path, store(tmp_path, many(2, first=70)), cache_bytes=limit)  # never evicts what a run has open
    assert in_use.cached == 0 and in_use.refused and found.cached == 2


def test_a_full_disk_while_the_cache_is_built_costs_nothing_but_time(tmp_path: Path) -> None:
    entries = store(tmp_path, many(6))
    script = textwrap.dedent(f"""
        import resource, signal, sys
        from pathlib import Path
        sys.path[:0] = {[str(Path(__file__).parent)]!r}
        import test_cache_of_pictures as test
        folder = Path({str(tmp_path)!r})
        made = test.job(folder)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
        from deepft_lab import manifest
        entries = [manifest.Entry(key, key, width, 50) for key, width in {[(e.sha256, e.width) for e in entries]!r}]
        found = test.pictures.gather(made, folder / "job", entries, test.SIDE)
        assert "disk is full" in found.refused, found.refused
        assert found.cached == 0 and not found.unreadable and test.same(found, entries)
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["lock"]
    assert gather(tmp_path, entries).cached == 6


def test_a_cache_that_cannot_be_made_is_no_reason_to_fail(tmp_path: Path) -> None:
    entries = store(tmp_path, many(2))
    (tmp_path / "cache").write_text("a file where the folder should be")
    found = gather(tmp_path, entries)
    assert "cannot be used" in found.refused and same(found, entries)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of someone who may not write everywhere: root becomes nobody for the length of a test."""
    with tempfile.TemporaryDirectory() as name:
        root = os.geteuid() == 0
        if root:
            nobody = pwd.getpwnam("nobody").pw_uid
            os.chown(name, nobody, -1)
            os.seteuid(nobody)
        try:
            yield Path(name)
        finally:
            if root:
                os.seteuid(0)


def test_a_cache_that_may_only_be_read_is_read(unprivileged: Path) -> None:
    folder = unprivileged
    entries = store(folder, many(2))
    gather(folder, entries)
    (path,) = pack_files(folder)
    content = path.read_bytes()
    path.write_bytes(content[:500] + bytes(10) + content[510:])  # damaged, and nobody can mend it
    places = (path.parent, folder / "cache")
    path.chmod(0o400)
    for place in places:
        place.chmod(0o500)
    try:
        found = gather(folder, entries)
        assert (found.refused, found.cached) == ("", 2) and same(found, entries)
        more = entries + store(folder, many(1, first=9))
        found = gather(folder, more)
        assert "may not be written" in found.refused and found.cached == 2 and same(found, more)
    finally:
        for place in places:
            place.chmod(0o700)


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    gather(tmp_path, store(tmp_path, many(1)))
    for path in [tmp_path / "cache", *(tmp_path / "cache").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def _run(folder: str, rows: list[tuple[str, int]], limit: int, answers: Any) -> None:
    entries = [manifest.Entry(key, key, width, 50) for key, width in rows]
    made = pictures.gather(
        job(Path(folder), cache_bytes=limit), Path(folder) / "job", entries, SIDE, threads=2
    )  # fmt: skip
    answers.put((made.decoded, made.cached, made.refused, same(made, entries)))


def test_two_runs_on_one_cache_share_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PACK_BYTES", 40_000)  # several packs, so that the runs take turns
    entries = store(tmp_path, many(40))
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    rows = [(entry.sha256, entry.width) for entry in entries]
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for shared in ("blobs", "cache"):
            (tmp_path / shared).mkdir(exist_ok=True)
            (tmp_path / name / shared).symlink_to(tmp_path / shared)
        runs.append(context.Process(target=_run, args=(str(tmp_path / name), rows, 0, answers)))
        runs[-1].start()
    found = [answers.get(timeout=60) for _ in runs]
    for run in runs:
        run.join(10)
    assert [answer[1:] for answer in found] == [(40, "", True)] * 2
    assert sum(answer[0] for answer in found) == 40


def test_a_run_that_was_killed_leaves_no_lock_and_no_rest(tmp_path: Path) -> None:
    entries = store(tmp_path, many(3))
    script = f"""
import sys, time
from pathlib import Path
from deepft_lab.training import cache
def slow(key):
    print("decoding", flush=True)
    time.sleep(60)
cache.fill(Path({str(tmp_path / "cache")!r}), {SIDE}, {{{entries[0].sha256!r}: 3000}}, slow)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"decoding\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert list((tmp_path / "cache").glob("*/.*.tmp"))
    found = gather(tmp_path, entries)
    assert found.cached == 3 and same(found, entries)
    assert not list((tmp_path / "cache").glob("*/.*.tmp"))


def test_without_a_cache_nothing_is_left_in_the_job_folder(tmp_path: Path) -> None:
    entries = store(tmp_path, many(3))
    before = set(job(tmp_path) and (tmp_path / "job").iterdir())
    found = gather(tmp_path, entries, cache=None)
    assert found.cached == 3 and same(found, entries)
    assert set((tmp_path / "job").iterdir()) == before


def test_other_ranks_find_what_the_first_has_decoded(tmp_path: Path) -> None:
    entries = store(tmp_path, [*many(3), b"no picture"])
    made = job(tmp_path, cache=None)
    other: list[pictures.Pictures] = []
    turns = 0

    def wait() -> None:
        nonlocal turns
        turns += 1
        if turns == 1:  # the first rank has decoded, and is still here
            other.append(pictures.gather(made, tmp_path / "job", entries, SIDE, first=False))

    first = pictures.gather(made, tmp_path / "job", entries, SIDE, wait=wait)
    assert other[0].unreadable == first.unreadable and sorted(first.unreadable) == [3]
    assert same(other[0], entries[:3]) and same(first, entries[:3])


@pytest.mark.parametrize(
    ("mode", "size", "kind"),
    [("L", (50, 40), "PNG"), ("RGB", (1, 1), "PNG"), ("CMYK", (80, 60), "JPEG"), ("I;16", (50, 40), "PNG"),
     ("RGB", (3, 900), "PNG"), ("RGBA", (50, 40), "PNG"), ("RGB", (5200, 4000), "JPEG")],
)  # fmt: skip
def test_pictures_of_every_kind_are_stored_as_they_are_decoded(
    tmp_path: Path, mode: str, size: tuple[int, int], kind: str
) -> None:
    buffer = io.BytesIO()
    Image.new(mode, size, 40 if mode in ("L", "I;16") else tuple(range(40, 40 + len(mode)))).save(buffer, kind)
    entries = store(tmp_path, [buffer.getvalue()])
    found = gather(tmp_path, entries)
    assert found.cached == 1 and same(found, entries)
    height, width, channels = found[0].shape
    assert channels == 3 and min(height, width) <= SIDE and max(height, width) <= SIDE * pictures.ASPECT


def test_a_turned_photo_is_stored_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (800, 400)).save(buffer, "JPEG", exif=exif)
    assert gather(tmp_path, store(tmp_path, [buffer.getvalue()]))[0].shape == (64, 32, 3)
