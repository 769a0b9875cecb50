"""Weight files: the right one is loaded, every other is refused with the reason."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import job_folders
import pytest
import tiny
import torch
from coloured import coloured
from safetensors.torch import load_file, save_file
from torchvision.models import mobilenet_v2, squeezenet1_1

from deepft_lab.training import weights
from deepft_lab.training.architectures import ARCHITECTURES
from deepft_lab.training.checkpoints import read_card
from deepft_lab.training.loop import train

HEAD = ARCHITECTURES["mobilenet_v2"].head


def fresh() -> torch.nn.Module:
    return ARCHITECTURES["mobilenet_v2"].build(2, 0.0)


@pytest.fixture(scope="module")
def pretrained() -> dict[str, torch.Tensor]:
    return mobilenet_v2(num_classes=1000).state_dict()


def test_all_but_the_head_is_loaded(tmp_path: Path, pretrained: dict[str, torch.Tensor]) -> None:
    save_file(pretrained, tmp_path / "mobilenet_v2.safetensors")
    model = fresh()
    head = model.classifier[1].weight.detach().clone()  # type: ignore[index,union-attr]
    weights.load(model, tmp_path / "mobilenet_v2.safetensors", architecture="mobilenet_v2", head=HEAD)
    own = model.state_dict()
    assert torch.equal(own[f"{HEAD}weight"], head)
    assert all(torch.equal(own[key], value) for key, value in pretrained.items() if not key.startswith(HEAD))


def test_another_architecture_is_named_with_what_does_not_fit(tmp_path: Path) -> None:
    save_file(squeezenet1_1().state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(weights.WrongWeights, match=r"architecture mobilenet_v2: .* missing, such as .* not its own"):
        weights.load(fresh(), tmp_path / "other.safetensors", architecture="mobilenet_v2", head=HEAD)


def test_a_wrong_shape_is_named(tmp_path: Path, pretrained: dict[str, torch.Tensor]) -> None:
    wrong = {**pretrained, "features.0.0.weight": torch.zeros(32, 1, 3, 3)}
    save_file(wrong, tmp_path / "grey.safetensors")
    with pytest.raises(weights.WrongWeights, match=r"features\.0\.0\.weight: \[32, 1, 3, 3\], wanted \[32, 3, 3, 3\]"):
        weights.load(fresh(), tmp_path / "grey.safetensors", architecture="mobilenet_v2", head=HEAD)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "torn.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(weights.WrongWeights, match="no safetensors file"):
        weights.read(tmp_path / "torn.safetensors")


def test_a_persons_own_pickle_is_refused_with_the_way_out(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "own.pth")
    with pytest.raises(weights.WrongWeights, match="jupyter deepft weights convert"):
        weights.read(tmp_path / "own.pth")


def test_a_file_of_torch_hub_is_read_only_when_its_hash_fits(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "made.pth")
    digest = hashlib.sha256((tmp_path / "made.pth").read_bytes()).hexdigest()
    good, bad = tmp_path / f"made-{digest[:8]}.pth", tmp_path / "made-00000000.pth"
    for path in (good, bad):
        path.write_bytes((tmp_path / "made.pth").read_bytes())
    assert weights.read(good)["a"].tolist() == [1.0, 1.0]
    with pytest.raises(weights.WrongWeights, match="SHA-256"):
        weights.read(bad)


def test_a_file_of_the_hubs_cache_is_read_only_when_its_hash_fits_and_is_called_by_its_revision(tmp_path: Path) -> None:
    cache = tmp_path / "models--timm--resnet50.a1_in1k"
    snapshot = cache / "snapshots" / "0123abcd" / "model.safetensors"
    snapshot.parent.mkdir(parents=True)
    save_file({"a": torch.ones(2)}, tmp_path / "made.safetensors")
    content = (tmp_path / "made.safetensors").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    (cache / "blobs").mkdir()
    (cache / "blobs" / digest).write_bytes(content)
    snapshot.symlink_to(f"../../blobs/{digest}")
    assert weights.read(snapshot)["a"].tolist() == [1.0, 1.0]
    named = {"file": "timm/resnet50.a1_in1k@0123abcd/model.safetensors", "sha256": digest}
    assert weights.identify(snapshot) == named
    assert weights.identify(tmp_path / "made.safetensors") == {"file": "made.safetensors", "sha256": digest}
    save_file({"a": torch.zeros(2)}, cache / "blobs" / digest)
    with pytest.raises(weights.WrongWeights, match="SHA-256"):
        weights.read(snapshot)
    with pytest.raises(weights.WrongWeights, match="cannot be read"):
        weights.identify(tmp_path / "gone.safetensors")


def test_a_model_says_which_file_it_began_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.use(monkeypatch)
    path = tmp_path / "weights" / "mobilenet_v2.safetensors"
    path.parent.mkdir()
    save_file(ARCHITECTURES["mobilenet_v2"].build(2, 0.0).state_dict(), path)
    values = {**tiny.VALUES, "num_epochs": 1, "pretrained_weights": "ImageNet-1k"}
    job = job_folders.make(tmp_path / "job", coloured(8), [], threads=1, weights_paths=[path.parent], **values)
    started = []
    train(job, tmp_path / "job", lambda kind, *_, **data: started.append(data) if kind == "started" else None)
    named = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    assert read_card(tmp_path / "job" / "model").weights == started[0]["weights"] == named


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("sprung",)


def test_converting_runs_no_code_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Trap()}, tmp_path / "trap.pth")
    assert weights.main(["convert", "trap.pth", "out.safetensors"]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trap.pth"]


def test_converting_keeps_every_tensor(tmp_path: Path) -> None:
    shared = torch.arange(6.0).view(2, 3)
    torch.save({"state_dict": {"module.a": shared, "module.b": shared.t()}}, tmp_path / "in.pth")
    assert weights.main(["convert", str(tmp_path / "in.pth"), str(tmp_path / "out.safetensors")]) == 0
    found = load_file(tmp_path / "out.safetensors")
    assert torch.equal(found["a"], shared) and torch.equal(found["b"], shared.t())


def test_a_repository_that_holds_a_pickle_alone_is_fetched_as_safetensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    torch.save({"weight": torch.arange(3.0)}, tmp_path / "pytorch_model.bin")
    asked = []

    def download(repository: str, name: str) -> str:
        asked.append((repository, name))
        if not (tmp_path / name).is_file():
            raise LocalEntryNotFoundError(name)
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert weights.fetch("somebody/old") == tmp_path / "model.safetensors"
    assert load_file(tmp_path / "model.safetensors")["weight"].tolist() == [0, 1, 2]
    assert asked == [("somebody/old", "model.safetensors"), ("somebody/old", "pytorch_model.bin")]
    assert weights.fetch("somebody/old") == tmp_path / "model.safetensors" and len(asked) == 3
