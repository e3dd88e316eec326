from __future__ import annotations

import re
from pathlib import Path

from slmfleet.models import errors
from slmfleet.models.errors import Fault, FleetFault, SlmfleetError


def drawn() -> dict[str, str]:
    """Class -> its base, from the tree in the module's docstring."""
    parents: dict[int, str] = {}
    tree = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^([\s│├└─]*)([A-Z]\w+)", line)
        if match and (match[2] == "SlmfleetError" or "─" in match[1]):
            depth = len(match[1])
            tree[match[2]] = parents[max((d for d in parents if d < depth), default=0)] if parents else ""
            parents = {d: name for d, name in parents.items() if d < depth} | {depth: match[2]}
    return tree


def test_the_drawn_tree_is_the_hierarchy() -> None:
    real = {
        name: found.__bases__[0].__name__
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, SlmfleetError) and found is not SlmfleetError
    }
    assert {name: base for name, base in drawn().items() if base} == real


def test_a_fleets_faults_are_all_in_the_message() -> None:
    faults = [Fault(Path("fleet.yaml"), 3, "is wrong"), Fault(Path("a/domain.yaml"), 1, "is missing")]
    error = FleetFault(faults)
    assert str(error) == "fleet.yaml:3: is wrong\na/domain.yaml:1: is missing"
    assert error.faults == tuple(faults)
