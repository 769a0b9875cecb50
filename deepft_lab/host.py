"""The memory of this machine, or of the container that the process runs in."""

from __future__ import annotations

from pathlib import Path

import psutil


def free_memory() -> int:
    """Bytes that may still be taken here, a container's limits considered."""
    return min([psutil.virtual_memory().available, *_container()])


def _container() -> list[int]:
    """What the memory limits of this process's control groups leave free; files that the kernel can drop are free."""
    found = []
    for limit, usage, inactive in _limits():
        try:
            most = int(limit.read_text())
            dropped = next(
                (int(line.split()[1]) for line in inactive.read_text().splitlines() if "inactive_file " in line), 0
            )
            found.append(most - (int(usage.read_text()) - dropped))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return found


def _limits() -> list[tuple[Path, Path, Path]]:
    """Files of limit, usage and statistics, of version 2 and of version 1."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, names = Path("/sys/fs/cgroup"), ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            root, names = Path("/sys/fs/cgroup/memory"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        group = root / path.strip("/")
        for folder in (group, *group.parents):
            found.append((folder / names[0], folder / names[1], folder / "memory.stat"))
            if folder == root:
                break
    return found
