from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_carries_the_shop_and_answers(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(tmp_path), str(ROOT)], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "slmfleet/services/cli/main.py", "slmfleet/services/py.typed", "slmfleet/models/shop/fleet.yaml",
        "slmfleet/models/shop/returns/bundle/model.int8.onnx", "slmfleet/models/shop/sources/hint3/LICENSE",
        "slmfleet/models/benchmarks/suites/hint3/LICENSE",
        "slmfleet/models/benchmarks/suites/hint3/rows.jsonl.gz",
        "slmfleet/models/benchmarks/suites/published.yaml",
    ):  # fmt: skip
        assert wanted in names
    assert not [name for name in names if not name.startswith(("slmfleet/", "slmfleet-"))]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile",
         "--target", str(tmp_path / "site"), str(wheel)],
        check=True,
    )  # fmt: skip
    code = (
        "import slmfleet.services.settings as s; print(s.SHOP_DIR);"
        "from slmfleet.services.cli.main import app; app(['ask', 'how long do I have to return shoes?'])"
    )
    environment = {
        **os.environ, "PYTHONPATH": str(tmp_path / "site"), "SLMFLEET_STATE_DIR": str(tmp_path / "state"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout, "the checkout answered, not the wheel"
    assert "30 days" in done.stdout
