from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_a_model_that_is_read_leaves_no_trace_of_telemetry(tmp_path: Path) -> None:
    code = (
        "from slmfleet.models.fleet.loading import load_fleet;"
        "from slmfleet.services.settings import SHOP_DIR;"
        "from slmfleet.models.inference.specialist import Specialist;"
        "print(Specialist.load(load_fleet(SHOP_DIR).domains['returns']).read('return shoes').intent)"
    )
    environment = {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_nobody_loads_it_by_another_way() -> None:
    for folder in ("models", "router", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if path.name != "onnx_runtime.py" and "onnxruntime" in text:
                before, _, _ = text.partition("onnxruntime")
                assert "onnx_runtime" in before, path
