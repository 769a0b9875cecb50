"""Weight files: loaded with every key and shape checked, converted, fetched.

    jupyter deepft weights convert model.pth model.safetensors
    jupyter deepft weights fetch classifier-convnext

A person's own files are safetensors only, which cannot carry code. A .pth file is read from torch hub's cache alone,
without code (`weights_only=True`). Files of torch hub's and of Hugging Face's cache are called after their SHA-256,
which is checked.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from deepft_lab.errors import DeepFTError

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth$")
_SHA256 = re.compile(r"[0-9a-f]{64}")  # a whole name in Hugging Face's cache, to which that of the snapshot leads
_COUNTER = "num_batches_tracked"

# torchvision's names of the parts of a ConvNeXt, and timm's: blocks of stage s lie at 2s + 1, what leads to it at 2s.
_CONVNEXT = {
    r"features\.0\.": "stem.",
    r"features\.([1357])\.(\d+)\.layer_scale": "stages.{stage}.blocks.{block}.gamma",
    r"features\.([1357])\.(\d+)\.block\.0\.": "stages.{stage}.blocks.{block}.conv_dw.",
    r"features\.([1357])\.(\d+)\.block\.2\.": "stages.{stage}.blocks.{block}.norm.",
    r"features\.([1357])\.(\d+)\.block\.3\.": "stages.{stage}.blocks.{block}.mlp.fc1.",
    r"features\.([1357])\.(\d+)\.block\.5\.": "stages.{stage}.blocks.{block}.mlp.fc2.",
    r"features\.([246])\.": "stages.{stage}.downsample.",
    r"classifier\.0\.": "head.norm.",
    r"classifier\.2\.": "head.fc.",
}


class WrongWeights(DeepFTError):
    """A weight file is damaged, or belongs to another architecture."""

    status = 422


def load(model: nn.Module, path: str | Path, *, architecture: str, head: str = "", aside: tuple[str, ...] = ()) -> None:
    """Fills `model` with a file's tensors; those whose name begins with `head` stay as they are.

    What a file holds under the names `aside` belongs to no part of the network. Raises WrongWeights unless every other
    key and shape is that of the architecture.
    """
    found = own_words(architecture, read(path))
    own = model.state_dict()
    left_out = (head, *aside) if head else aside
    wanted = {key: tensor for key, tensor in own.items() if not (head and key.startswith(head))}
    given = {key: tensor for key, tensor in found.items() if not key.startswith(left_out)}
    counters = {key: own[key] for key in wanted.keys() - given.keys() if key.endswith(_COUNTER)}
    given |= counters  # files from before torch 0.4.1 do not count the batches that a batch norm has seen
    fit(wanted, given, path=path, architecture=architecture)
    model.load_state_dict({**own, **given})


def own_words(architecture: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors under the keys of our graph: ConvNeXt is timm's, and takes torchvision's files too."""
    if not architecture.startswith("convnext") or "features.0.0.weight" not in tensors:
        return tensors
    renamed = {}
    for key, tensor in tensors.items():
        found = next(((match, name) for p, name in _CONVNEXT.items() if (match := re.match(p, key))), None)
        if found is None:
            renamed[key] = tensor
            continue
        match, name = found
        numbers = [int(number) for number in match.groups()] + [0, 0]
        own = name.format(stage=numbers[0] // 2, block=numbers[1]) + key[match.end() :]
        renamed[own] = tensor.flatten() if own.endswith("gamma") else tensor
    return renamed


def fit(wanted: dict[str, Tensor], given: dict[str, Tensor], *, path: str | Path, architecture: str) -> None:
    """Raises WrongWeights, with what is amiss, unless both have the same keys and shapes."""
    faults = []
    if missing := sorted(wanted.keys() - given.keys()):
        faults.append(f"{len(missing)} of its {len(wanted)} tensors are missing, such as {missing[0]}")
    if foreign := sorted(given.keys() - wanted.keys()):
        faults.append(f"{len(foreign)} tensors are not its own, such as {foreign[0]}")
    shapes = [key for key in wanted.keys() & given.keys() if wanted[key].shape != given[key].shape]
    if shapes:
        key = min(shapes)
        has, needs = list(given[key].shape), list(wanted[key].shape)
        faults.append(f"{len(shapes)} have another shape, such as {key}: {has}, wanted {needs}")
    if broken := sorted(key for key, tensor in given.items() if not _of_numbers(tensor)):
        raise WrongWeights(
            f"The file {path} is damaged: {len(broken)} of its tensors hold values that are no numbers (NaN or "
            f"infinity), such as {broken[0]}. Put another copy there."
        )
    if faults:
        raise WrongWeights(
            f"The file {path} does not hold weights of the architecture {architecture}: {'; '.join(faults)}. "
            f"Put the weights of {architecture} there, or choose the template that fits the file."
        )


def _of_numbers(tensor: Tensor) -> bool:
    return tensor.is_meta or not tensor.is_floating_point() or bool(tensor.isfinite().all())


def read(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a .pth file of torch hub's cache. Raises WrongWeights."""
    path = Path(path)
    if path.suffix == ".safetensors":
        blob = path.resolve().name
        if _SHA256.fullmatch(blob):
            _check_hash(path, blob)
        try:
            return load_file(path)
        except Exception as error:  # the library raises its own SafetensorError, OSError and others
            raise WrongWeights(f"The file {path} is no safetensors file that can be read: {error}") from error
    digits = _HASH_IN_NAME.search(path.name)
    if digits is None:
        raise WrongWeights(
            f"The file {path} is neither safetensors nor a file of torch hub's cache. "
            f"Convert it: jupyter deepft weights convert {path} {path.with_suffix('.safetensors').name}"
        )
    _check_hash(path, digits.group(1))
    return read_pickle(path)


def identify(path: str | Path) -> dict[str, str]:
    """Which file it is, for whoever wants to know later: its name (a snapshot's repository and revision) and SHA-256.

    Raises WrongWeights where it cannot be read.
    """
    path = Path(path)
    name, snapshot = path.name, path.parent
    if snapshot.parent.name == "snapshots":
        repository = snapshot.parent.parent.name.removeprefix("models--").replace("--", "/")
        name = f"{repository}@{snapshot.name}/{name}"
    return {"file": name, "sha256": _sha256(path)}


def _check_hash(path: Path, digits: str) -> None:
    if not _sha256(path).startswith(digits):
        raise WrongWeights(f"The file {path} is damaged: its SHA-256 does not begin with {digits}. Remove it.")


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(2**20):
                found.update(block)
    except OSError as error:
        raise WrongWeights(f"The file {path} cannot be read: {error.strerror}.") from error
    return found.hexdigest()


def read_pickle(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth file, read without running any code of it. Raises WrongWeights."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # UnpicklingError, RuntimeError, EOFError, ...
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WrongWeights(f"The file {path} holds more than plain tensors, or is damaged: {first}") from error
    for wrapper in ("state_dict", "model", "model_state_dict"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise WrongWeights(f"The file {path} holds no table of named tensors.")
    strangers = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if strangers:
        raise WrongWeights(f"The file {path} holds something else than tensors under {strangers[0]!r}.")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def convert(source: Path, target: Path) -> int:
    """Writes the tensors of a .pth file as safetensors; returns their number."""
    if target.suffix != ".safetensors":
        raise WrongWeights(f"The new file must end in .safetensors, not {target.suffix!r}.")
    tensors = {key: tensor.detach().clone().contiguous() for key, tensor in read_pickle(source).items()}
    save_file(tensors, target)
    return len(tensors)


def fetch(source: str) -> Path:
    """Downloads a published file into the cache of its library, and returns its place. Needs a network.

    `source`: a file of torchvision's (`resnet50-11ad3fa6.pth`; its hash is checked), a repository of the Hugging Face
    hub (`timm/resnet50.a1_in1k`), or an architecture of torchvision. The command takes templates too.
    """
    if "/" in source:
        return _of_hub(source)
    from torchvision.models import get_model_weights, list_models

    if source.endswith(".pth"):
        published = (weights for name in list_models() for weights in get_model_weights(name))
        weights = next((weights for weights in published if Path(weights.url).name == source), None)
        if weights is None:
            raise WrongWeights(f"torchvision publishes no file {source}.")
    else:
        weights = get_model_weights(source).DEFAULT
    weights.get_state_dict(progress=True, check_hash=True)
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name


def _of_hub(repository: str) -> Path:
    """A repository's file in the cache of the hub; older ones hold a pickle alone, of which one is made beside it."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return Path(hf_hub_download(repository, "model.safetensors"))
    except EntryNotFoundError:
        old = Path(hf_hub_download(repository, "pytorch_model.bin"))
        convert(old, old.with_name("model.safetensors"))
        return old.with_name("model.safetensors")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="jupyter deepft weights", description="Converts and fetches weight files.")
    commands = parser.add_subparsers(dest="command", required=True)
    converting = commands.add_parser("convert", help="make a safetensors file of a .pth file")
    converting.add_argument("source", type=Path)
    converting.add_argument("target", type=Path)
    fetching = commands.add_parser("fetch", help="download published weights into the cache of their library")
    fetching.add_argument("source", nargs="+", help="a template, an architecture, a file of torchvision's, owner/name")
    options = parser.parse_args(arguments)
    try:
        if options.command == "convert":
            print(f"{options.target}: {convert(options.source, options.target)} tensors")
        else:
            _fetch_one_of(options.source)
    except (DeepFTError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _fetch_one_of(sources: list[str]) -> None:
    """Prints the place of the first file that could be had. Raises why the last one could not."""
    for source in sources:
        try:
            print(fetch(source))
            return
        except Exception as error:  # whatever a library makes of a missing network
            if source == sources[-1]:
                raise WrongWeights(f"{source} could not be downloaded: {type(error).__name__}: {error}") from error
            print(f"{source} could not be downloaded: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
