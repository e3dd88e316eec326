"""A database server of the test's own, where this machine has one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty PostgreSQL that listens on a socket in a folder; skips where there is none."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    if programs is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    # It does not run as root, and its user cannot get at pytest's folders.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder = tempfile.mkdtemp(prefix="slmfleet-postgresql-")
    shutil.chown(folder, user)

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", f"{folder}/data", *arguments]
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

    try:
        run("initdb", "--auth=trust", "--username=slmfleet", "--encoding=UTF8", "--no-sync")
        run(
            "pg_ctl",
            "start",
            "-w",
            "-o",
            f"-k {folder} -c listen_addresses= -c fsync=off",
            "-l",
            f"{folder}/log",
        )
        try:
            yield f"postgresql+psycopg://slmfleet@/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder)
