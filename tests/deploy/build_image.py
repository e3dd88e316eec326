"""Builds deploy/Dockerfile for real and asks the fleet inside the image: `make test-image`.

As root, with buildah and debootstrap: the base is made here, since no registry of images is asked. A script
rather than a test, as it takes five minutes and changes the machine's image store.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ENVIRONMENT = {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}
_BASE, _IMAGE = "localhost/base:bookworm", "localhost/slmfleet:built"
#: How this machine reaches its package index, for the build.
_INDEX = ("/etc/ssl/certs", "/etc/pip.conf", "/opt/pypi", "/opt/wheels")
_ASK = r"""
set -e
test "$(id -u)" = 10001
! python -c 'import torch' 2>/dev/null
command -v ray bash wget grep >/dev/null
SLMFLEET_API_KEYS=key slmfleet up --host 0.0.0.0 --port 18000 >&2 &
fleet=$!
for i in $(seq 300); do wget -q -O /dev/null http://127.0.0.1:18000/readyz && break; sleep 1; done
wget -q -O /dev/null http://127.0.0.1:18000/readyz || { echo "not ready within 300 s" >&2; exit 1; }
# More than once: a busy machine may miss the fleet's own deadline, which is then told as 408.
for i in $(seq 10); do
    wget -q -O - --header 'x-api-key: key' --header 'content-type: application/json' \
        --post-data '{"text": "how long do I have to return shoes?"}' http://127.0.0.1:18000/v1/queries \
        && break
    echo "asked in vain: wget ended with $?" >&2
    sleep 1
done
kill $fleet; wait $fleet
# nothing was written elsewhere
! find / -xdev -newer /etc/hostname -type f 2>/dev/null \
    | grep -vE '^/(tmp|var/lib/slmfleet|dev|proc|sys|run)/|^/etc/(hosts|resolv.conf)' >&2
"""


def _buildah(*arguments: str) -> str:
    print(f"{time.strftime('%H:%M:%S')} buildah {' '.join(arguments)[:90]}", flush=True)
    done = subprocess.run(
        ["buildah", *arguments], env=_ENVIRONMENT, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    if done.returncode != 0:
        sys.exit(f"buildah ended with {done.returncode}")
    return done.stdout.strip()


def main() -> None:
    for name in ("buildah", "debootstrap"):
        if shutil.which(name) is None:
            sys.exit(f"{name} is missing: apt-get install buildah debootstrap")
    images = _buildah("images", "--format", "{{.Name}}:{{.Tag}}")
    if _BASE not in images.split():
        with tempfile.TemporaryDirectory() as folder:
            packages = "python3,python3-venv,ca-certificates"
            subprocess.run(
                ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", folder], check=True
            )
            container = _buildah("from", "scratch")
            _buildah("add", "--quiet", container, folder, "/")
            _buildah("commit", "--quiet", "--rm", container, _BASE)
    mounts = [f"--volume={path}:{path}:ro" for path in _INDEX if Path(path).exists()]
    _buildah("build", "--quiet", "--pull-never", "--format=docker", f"--build-arg=BASE={_BASE}", *mounts,
             "--file=deploy/Dockerfile", f"--tag={_IMAGE}", ".")  # fmt: skip
    print(_buildah("images", _IMAGE))
    # HAProxy wants 10,267 open files; what this machine allows is as far as a limit can be raised.
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    container = _buildah("from", f"--ulimit=nofile={files}:{files}", "--pull-never", _IMAGE)
    try:
        answer = json.loads(_buildah("run", container, "--", "bash", "-c", _ASK))
    finally:
        _buildah("rm", container)
    assert answer["status"] == "answered", answer
    assert "30 days" in answer["text"]
    print(f"the fleet inside the image answers: {answer['text']}")


if __name__ == "__main__":
    main()
