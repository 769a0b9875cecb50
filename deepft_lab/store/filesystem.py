"""On which kind of file system a folder lies. SQLite's write-ahead log needs shared memory: not on a network."""

from __future__ import annotations

import os
from pathlib import Path

NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse.cephfs", "fuse.glusterfs", "fuse.juicefs", "fuse.s3fs", "fuse.sshfs",
    "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "panfs", "pvfs2", "smb2", "smb3",
    "smbfs", "virtiofs", "wekafs",
}  # fmt: skip


def is_network(folder: str | Path, mounts: str | Path = "/proc/mounts") -> bool:
    """True on a network file system; also where that cannot be known, since DELETE is always right."""
    kind = kind_of(folder, mounts)
    return kind is None or kind in NETWORK


def kind_of(folder: str | Path, mounts: str | Path = "/proc/mounts") -> str | None:
    """The name of the file system, such as ext4; None where the system does not tell."""
    try:
        lines = Path(mounts).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    place = os.path.realpath(folder)
    best, kind = "", None
    for line in lines:
        columns = line.split(" ")
        if len(columns) < 3:
            continue
        point = columns[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        below = place == point or place.startswith(point.rstrip("/") + "/")
        if below and len(point) >= len(best):  # a later mount on the same place hides the earlier
            best, kind = point, columns[2]
    return kind
