"""A YAML file with the lines of its keys, so that every fault names its line, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from slmfleet.models.errors import Fault, FleetFault

_Config = TypeVar("_Config", bound=BaseModel)

_NUMBER: Final = "should be a number"
_MAPPING: Final = "should be a mapping of settings"
_SWITCH: Final = "should be true or false"
_DATE: Final = "should be a date such as 2026-06-15"
#: Type of a pydantic error -> our sentence, which may name the error's context.
_SENTENCES: Final[Mapping[str, str]] = {
    "extra_forbidden": "is not a setting known here; remove it or check its spelling",
    "missing": "is missing",
    "string_type": "should be text; put a number or a date into quotes",
    "string_too_short": "should not be empty",
    "string_too_long": "should have at most {max_length} characters",
    "literal_error": "should be {expected}",
    "bool_type": _SWITCH,
    "bool_parsing": _SWITCH,
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_from_float": _NUMBER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "greater_than": "should be more than {gt:g}",
    "less_than": "should be less than {lt:g}",
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "tuple_type": "should be a list",
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "value_error": "{error}",
}
#: Pattern of a field (config.py) -> what a text is that matches it.
_PATTERNS: Final[Mapping[str, str]] = {
    r"^[a-z][a-z0-9_]{1,39}$": "should be 2 to 40 lower-case letters, digits and _, a letter first",
    r"^[A-Z]{3}$": "should be a currency's three capital letters, such as USD",
}


@dataclass(frozen=True)
class Document:
    """A YAML file: its path, and its tree as ruamel.yaml keeps it (with positions)."""

    path: Path
    tree: Any

    def fault(self, message: str, *keys: str | int) -> Fault:
        """A fault at the line of the deepest part of the path `keys` that exists."""
        return Fault(self.path, _line_of(self.tree, keys), message)

    def validate(self, kind: type[_Config]) -> _Config:
        """The file as `kind`. Raises FleetFault with every field that is wrong."""
        try:
            return kind.model_validate(self.tree)
        except ValidationError as error:
            faults = [self._translated(dict(problem)) for problem in error.errors()]
            raise FleetFault(list(dict.fromkeys(faults))) from None

    def _translated(self, problem: Mapping[str, Any]) -> Fault:
        keys = [key for key in problem["loc"] if key != "[key]"]
        if keys[-1:] in (["int"], ["float"]):  # the members of `int | float`, which the file does not name
            keys = keys[:-1]
        where = ".".join(str(key) for key in keys)
        message = _sentence(problem)
        return self.fault(f"{where}: {message}" if where else message, *keys)


def read_document(path: Path) -> Document:
    """The YAML file at `path`. Raises FleetFault where it is absent, not UTF-8, not YAML or no mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FleetFault([Fault(path, 1, "there is no such file")]) from None
    except UnicodeDecodeError as error:
        raise FleetFault([Fault(path, 1, f"is not UTF-8 at byte {error.start}")]) from None
    try:
        tree = YAML(typ="rt").load(StringIO(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FleetFault([Fault(path, line, f"is not YAML: {error.problem}")]) from None
    if not isinstance(tree, dict):
        raise FleetFault([Fault(path, 1, _MAPPING)])
    return Document(path, tree)


def _sentence(problem: Mapping[str, Any]) -> str:
    context = problem.get("ctx", {})
    if problem["type"] == "string_pattern_mismatch" and context["pattern"] in _PATTERNS:
        return _PATTERNS[context["pattern"]]
    sentence = _SENTENCES.get(problem["type"])
    return sentence.format(**context) if sentence else str(problem["msg"])


def _line_of(node: Any, path: Sequence[str | int]) -> int:
    """Line (from 1) of the deepest part of `path` that exists below a ruamel.yaml round-trip node."""
    line = 1
    for key in path:
        try:
            where: Any = node.lc
            mark = where.key(key) if isinstance(node, dict) else where.item(key)
            line, node = mark[0] + 1, node[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line
