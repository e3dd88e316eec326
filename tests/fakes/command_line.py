"""`slmfleet` as a person runs it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CommandLine:
    """Runs `slmfleet WORDS`, with its state in a folder of the test's."""

    state_dir: Path

    def __call__(self, *words: str, hidden: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run it; the modules `hidden` cannot be imported, as if they were not installed."""
        code = (
            f"import sys; sys.modules.update(dict.fromkeys({list(hidden)!r}));"
            "from slmfleet.services.cli.main import app; app(prog_name='slmfleet')"
        )
        environment = {
            **os.environ,
            "SLMFLEET_STATE_DIR": str(self.state_dir),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "COLUMNS": "80",
        }
        return subprocess.run(
            [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, timeout=240
        )
