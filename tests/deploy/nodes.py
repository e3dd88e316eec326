"""Nodes of a Ray cluster on one machine as pods are: each with its own address, ports, processes and files.

For scripts that run inside `ISOLATED`; whatever they start ends with them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

#: Runs what follows with a network and mounts of its own.
ISOLATED = [
    "unshare",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
]
#: Where nodes reach what runs beside them in `make_network`'s network.
OUTSIDE = "10.77.0.1"
_HOSTS = Path("/run/hosts")
_NETWORK = f"""
set -e
mount -t tmpfs none /run && mkdir /run/netns
printf 'nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n' > /run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf
cp /etc/hosts {_HOSTS}
mount --bind {_HOSTS} /etc/hosts
ip link set lo up
# An address of its own: else it takes the lowest of its nodes', and all wait for ARP when that one goes.
ip link add fleet address 02:00:0a:4d:00:01 type bridge
ip addr add {OUTSIDE}/24 dev fleet
ip link set fleet up
mkdir -p /tmp/ray /tmp/haproxy-serve
"""
_NODE = """
set -e
ip netns add {name}
ip link add to-{name} type veth peer name eth0 netns {name}
ip link set to-{name} master fleet up
ip -n {name} addr add {address}/24 dev eth0
ip -n {name} link set lo up
ip -n {name} link set eth0 up
ip -n {name} route add default via 10.77.0.1
"""
# What Ray and its HAProxy write at fixed places, as a pod's emptyDir.
_OWN_FILES = "mount -t tmpfs none /tmp/ray && mount -t tmpfs none /tmp/haproxy-serve && "

Result = TypeVar("Result")


def make_network() -> None:
    """The network that the nodes hang on; this process is in it, too."""
    subprocess.run(["bash", "-c", _NETWORK], check=True)


def name_node(name: str, node: Node) -> None:
    """Have every node find `node` under `name` from now on, as a Service does that has no address."""
    others = [line for line in _HOSTS.read_text().splitlines() if not line.endswith(f" {name}")]
    # Written in place: each node has this very file mounted.
    _HOSTS.write_text("\n".join([*others, f"{node.address} {name}", ""]))


class Node:
    """One node. `log` is where its output goes."""

    count = 1

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        Node.count += 1
        self.name = name
        self.address = f"10.77.0.{Node.count}"
        self._environment = {**os.environ, **environment}
        self.log = Path(tempfile.mkstemp(prefix=f"{name}-", suffix=".log")[1])
        subprocess.run(["bash", "-c", _NODE.format(name=name, address=self.address)], check=True)

    def start(self, command: str) -> None:
        """Run `command` as the node's first process."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, "unshare", "--mount", "--pid", "--fork", "--kill-child",
                 "--mount-proc", "bash", "-c", _OWN_FILES + command],
                env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip

    def begin(self, command: str) -> subprocess.Popen[str]:
        """Start `command` beside the node's first process, as `kubectl exec` does."""
        (first,) = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return subprocess.Popen(
            ["nsenter", "--target", first, "--net", "--mount", "--pid", "bash", "-c", command],
            env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, command: str, timeout_s: float = 60) -> tuple[int, str]:
        """Exit status and output of `command`, run beside the node's first process."""
        process = self.begin(command)
        printed, _ = process.communicate(timeout=timeout_s)
        return process.returncode, printed

    @property
    def ended(self) -> bool:
        """Whether the node's first process has ended."""
        return self._process.poll() is not None

    def lose(self) -> None:
        """End the node at once, with everything on it and its network."""
        subprocess.run(["ip", "link", "delete", f"to-{self.name}"], check=True)
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(20)


def until(find: Callable[[], Result], seconds: float, what: str) -> Result:
    """What `find` gives once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        if time.monotonic() > deadline:
            raise SystemExit(f"after {seconds:g} s: not {what}")
        time.sleep(0.2)
    return found
