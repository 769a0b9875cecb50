"""`jupyter deepft doctor`: what is found on this machine, and what to do about each fault.

Each line is "ok", "note" (works, but know this) or "FAULT" (prevents training). The exit code is 1 with a fault.
torch is asked in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import msgspec

LOW_DISK = 5 * 1024**3  # bytes: a job keeps checkpoints of a few hundred MB
TORCH_SECONDS = 120

ASK_TORCH = """
import json, torch
devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads(),
                  "gpus": [[d.name, d.total_memory] for d in devices]}))
"""


class Finding(msgspec.Struct, frozen=True):
    """One line of the report. `remedy` says what to do, where there is something to do."""

    state: Literal["ok", "note", "FAULT"]
    subject: str
    words: str
    remedy: str = ""


def main(arguments: list[str] | None = None) -> int:
    """Prints the report."""
    parser = argparse.ArgumentParser(prog="jupyter deepft doctor", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    options = parser.parse_args(arguments)
    findings = examine()
    if options.json:
        print(json.dumps(msgspec.to_builtins(findings), indent=2))
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            print(f"{finding.state:>5}  {finding.subject:<{width}}  {finding.words}")
            if finding.remedy:
                print(f"{'':5}  {'':<{width}}  -> {finding.remedy}")
    faults = sum(finding.state == "FAULT" for finding in findings)
    if not options.json:
        print("\nTraining can work here." if not faults else f"\n{faults} of these prevent training.")
    return 1 if faults else 0


def examine() -> list[Finding]:
    """Every check. One that fails itself is a note, and hides no other."""
    checks: tuple[Callable[[], Iterable[Finding]], ...] = (
        _python,
        _packages,
        _torch,
        _templates,
        _weights,
        _store,
        _servers,
        _front_ends,
    )
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check()
        except Exception as error:  # a border: the report goes on
            findings.append(Finding("note", check.__name__.strip("_"), f"cannot be checked: {error!r}"))
    return findings


def _python() -> Iterable[Finding]:
    yield Finding("ok", "python", f"{platform.python_version()} at {sys.executable}")
    yield Finding("ok", "machine", f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}")


def _packages() -> Iterable[Finding]:
    for name in ("torch", "torchvision", "accelerate", "safetensors"):
        try:
            yield Finding("ok", name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding("FAULT", name, "is not installed", f"{sys.executable} -m pip install {name}")


def _torch() -> Iterable[Finding]:
    """torch as a worker would find it."""
    command = [sys.executable, "-c", ASK_TORCH]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=TORCH_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        yield Finding("FAULT", "torch starts", f"not within {TORCH_SECONDS} s", "Is the disk very slow or full?")
        return
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        yield Finding("FAULT", "torch starts", f"it does not: {last}", "Install torch and torchvision anew, together.")
        return
    found = json.loads(answer.stdout.splitlines()[-1])
    built = f"CUDA {found['cuda']}" if found["cuda"] else "CPU only"
    yield Finding("ok", "torch starts", f"{found['version']} ({built}), {found['threads']} threads")
    if found["gpus"]:
        listed = "; ".join(f"{name}, {memory / 1024**3:.0f} GiB" for name, memory in found["gpus"])
        yield Finding("ok", "GPUs", listed)
    elif shutil.which("nvidia-smi"):
        yield Finding(
            "note", "GPUs", "there is a driver, but torch finds no GPU", "Install a torch built for this driver's CUDA."
        )
    else:
        yield Finding("note", "GPUs", "none: training runs on the CPU", "Choose classifier-mobilenet-v2 for a CPU.")


def _catalog() -> Any:
    from deepft_lab.catalog import Catalog

    return Catalog()


def _templates() -> Iterable[Finding]:
    catalog = _catalog()
    found = catalog.list()
    if found.templates:
        yield Finding("ok", "templates", ", ".join(template.id for template in found.templates))
    else:
        places = ", ".join(map(str, catalog.template_folders()))
        yield Finding("FAULT", "templates", f"none in {places}", "Install deepft-lab anew, or put a template there.")
    for broken in found.broken:
        reasons = "; ".join(f"{fault.field}: {fault.reason}" for fault in broken.faults)
        yield Finding("note", "template", f"{broken.origin} cannot be used: {reasons}", "Mend or remove the file.")


def _weights() -> Iterable[Finding]:
    from deepft_lab import params
    from deepft_lab.errors import DeepFTError

    catalog = _catalog()
    for template in catalog.list().templates:
        choice = next((field for field in template.fields if field.name == "pretrained_weights"), None)
        for name in [name for name in choice.choices if name != "None"] if choice else []:
            subject = f"weights of {template.id}"
            try:
                path = catalog.find_weights(template, params.defaults(template.fields) | {"pretrained_weights": name})
                yield Finding("ok", subject, f"{name}: {path}")
            except DeepFTError as error:
                yield Finding("note", subject, f"{name} is not on this machine", _last_line(error.message))


def _store() -> Iterable[Finding]:
    from deepft_lab.client.finding import default_store

    store = default_store()
    existing = next(folder for folder in (store, *store.parents) if folder.exists())
    if not os.access(existing, os.W_OK):
        yield Finding(
            "FAULT", "store", f"{existing} cannot be written", "Set c.DeepFTLab.store_path to a folder of yours."
        )
        return
    words = str(store) if store.exists() else f"{store} (made at the first start)"
    yield Finding("ok", "store", words)
    free = shutil.disk_usage(existing).free
    state: Literal["ok", "note"] = "ok" if free >= LOW_DISK else "note"
    remedy = "" if free >= LOW_DISK else "Free some space, or set c.DeepFTLab.store_path to a larger disk."
    yield Finding(state, "free disk", f"{free / 1024**3:.1f} GiB at the store", remedy)
    kind = _network_file_system(existing)
    if kind:
        yield Finding("note", "file system", f"the store lies on {kind}: safe, but slower than a local disk")


def _servers() -> Iterable[Finding]:
    from deepft_lab.client.finding import Place, ask, default_store, running_servers
    from deepft_lab.client.finding import owner as owner_of

    owner = owner_of(default_store())
    for place in [*running_servers(), *([owner] if owner else [])]:
        me, reason = ask(place, seconds=10.0)
        if me is not None:
            yield Finding("ok", "server", f"{place.url} ({place.source}), store {me.store}")
        else:
            yield Finding("note", "server", f"{place.url} ({place.source}): {reason}")
    if os.environ.get("DEEPFT_LAB_URL"):
        place = Place(os.environ["DEEPFT_LAB_URL"], os.environ.get("DEEPFT_LAB_TOKEN", ""), "DEEPFT_LAB_URL")
        me, reason = ask(place, seconds=10.0)
        yield Finding("ok" if me else "note", "DEEPFT_LAB_URL", f"{place.url} {reason}")


def _front_ends() -> Iterable[Finding]:
    from jupyter_core.paths import jupyter_config_path, jupyter_path

    package = Path(__file__).parent
    places = [Path(folder) / "deepft-lab" for folder in jupyter_path("labextensions")]
    sidebar = next((place for place in places if (place / "package.json").is_file()), None)
    if sidebar:
        yield Finding("ok", "sidebar", str(sidebar))
    else:
        yield Finding("note", "sidebar", "is not installed for JupyterLab", "`make setup` in a checkout, or reinstall.")
    widgets = package / "widgets" / "static"
    if any(widgets.glob("*.js")):
        yield Finding("ok", "widgets", str(widgets))
    else:
        yield Finding(
            "note", "widgets", f"are not built ({widgets} has none)", "`make setup` in a checkout, or reinstall."
        )
    config = [Path(folder) / "jupyter_server_config.d" / "deepft_lab.json" for folder in jupyter_config_path()]
    if any(path.is_file() for path in config):
        yield Finding("ok", "extension", "is enabled for Jupyter servers of this environment")
    else:
        yield Finding("note", "extension", "is not enabled by a file", "`jupyter server extension enable deepft_lab`")


def _network_file_system(path: Path) -> str:
    """The kind of a network file system, or nothing."""
    best, kind = "", ""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, name, *_ = line.split()
        if str(path.resolve()).startswith(point) and len(point) > len(best):
            best, kind = point, name
    return kind if kind.startswith(("nfs", "cifs", "smb", "fuse.sshfs", "lustre", "gpfs", "ceph", "9p", "afs")) else ""


def _last_line(text: str) -> str:
    return text.splitlines()[-1] if "\n" in text else ""
