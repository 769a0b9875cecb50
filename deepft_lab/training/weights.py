"""Weight files: loaded with every key and shape checked, converted, fetched.

    jupyter deepft weights convert model.pth model.safetensors
    jupyter deepft weights fetch mobilenet_v2

A person's own files are safetensors only, which cannot carry code. A .pth file is read from torch hub's cache alone,
without code (`weights_only=True`), after the digits of its SHA-256 in its name were checked.
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


class WrongWeights(DeepFTError):
    """A weight file is damaged, or belongs to another architecture."""

    status = 422


def load(model: nn.Module, path: str | Path, *, architecture: str, head: str = "") -> None:
    """Fills `model` with a file's tensors; those whose name begins with `head` stay as they are.

    Raises WrongWeights unless every other key and shape is that of the architecture.
    """
    found = read(path)
    own = model.state_dict()
    wanted = {key: tensor for key, tensor in own.items() if not (head and key.startswith(head))}
    given = {key: tensor for key, tensor in found.items() if not (head and key.startswith(head))}
    fit(wanted, given, path=path, architecture=architecture)
    model.load_state_dict({**own, **given})


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
    if faults:
        raise WrongWeights(
            f"The file {path} does not hold weights of the architecture {architecture}: {'; '.join(faults)}. "
            f"Put the weights of {architecture} there, or choose the template that fits the file."
        )


def read(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a .pth file of torch hub's cache. Raises WrongWeights."""
    path = Path(path)
    if path.suffix == ".safetensors":
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
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read())
    if not found.hexdigest().startswith(digits.group(1)):
        raise WrongWeights(f"The file {path} is damaged: its SHA-256 does not begin with {digits.group(1)}. Remove it.")
    return read_pickle(path)


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


def fetch(architecture: str) -> Path:
    """Downloads torchvision's weights of an architecture into torch hub's cache, its hash checked. Needs a network."""
    from torchvision.models import get_model_weights

    weights = get_model_weights(architecture).DEFAULT
    weights.get_state_dict(progress=True, check_hash=True)
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="jupyter deepft weights", description="Converts and fetches weight files.")
    commands = parser.add_subparsers(dest="command", required=True)
    converting = commands.add_parser("convert", help="make a safetensors file of a .pth file")
    converting.add_argument("source", type=Path)
    converting.add_argument("target", type=Path)
    fetching = commands.add_parser("fetch", help="download torchvision's weights into torch hub's cache")
    fetching.add_argument("architecture")
    options = parser.parse_args(arguments)
    try:
        if options.command == "convert":
            print(f"{options.target}: {convert(options.source, options.target)} tensors")
        else:
            print(fetch(options.architecture))
    except (DeepFTError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
