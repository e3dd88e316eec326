"""The file with an embedded server's URL: how other processes, and the next start, find the server."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from slmfleet.models.atomic_file import atomic_write
from slmfleet.services.settings import embedded_url_file


def write_url(folder: Path, name: str, url: str) -> None:
    """Replace the file atomically; only its owner can read it, since the URL has the password."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    path = embedded_url_file(folder, name)
    with atomic_write(path) as fresh, os.fdopen(os.open(fresh, flags, 0o600), "w") as file:
        file.write(url + "\n")


def port_and_password(url: str | None) -> tuple[int | None, str]:
    """Port and password of the last start, so that clients find the server again; else None and a new one."""
    if url is not None:
        known = urlsplit(url)
        if known.port and known.password:
            return known.port, known.password
    return None, secrets.token_hex(24)
