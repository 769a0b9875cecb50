"""The helper that makes job folders lies beside the benches. Threads wait as they do in a job."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported: without it a busy machine crawls
sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
