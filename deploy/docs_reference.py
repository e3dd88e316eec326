"""Pages that deploy/docs.py writes from the code: every setting, every metric."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from docs_tables import header, table
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from slmfleet.services.settings import Settings
from slmfleet.services.telemetry import metrics
from slmfleet.services.telemetry.labels import LABELS, MAX_VALUES, OTHER

#: Defaults that depend on the machine, as they are written in the documentation.
_DEFAULTS = {"state_dir": "`~/.local/state/slmfleet`", "fleet_dir": "`models/shop`"}

_SETTINGS = """# Settings

Each setting is an environment variable, read once when a process starts. An option of the command line wins
over the variable. A wrong value ends the process with exit status 2 and a message that names the variable.
Secrets are printed as stars.

"""

_METRICS = """# Metrics

Names are the same on the gateway and the event consumer. On Ray's export port each name has the prefix
`ray_`, which `deploy/prometheus/prometheus.yml` removes. Where the pages are, the alerts and the dashboard:
[observability](observability.md).

"""

_LABELS = """
## Values of labels

No label carries a query, a session or a customer. A value that a label does not know is counted as
`{other}`; an open label takes the first {most} values that it meets.

"""


def settings_page() -> str:
    """docs/settings.md, from the fields of Settings."""
    rows = [
        (
            f"`{name}`",
            f"`{Settings.model_config['env_prefix']}{name.upper()}`",
            _type(field.annotation),
            _DEFAULTS.get(name) or _default(field.default),
            _bounds(field),
            " ".join((field.description or "").split()),
        )
        for name, field in Settings.model_fields.items()
    ]
    head = ("setting", "environment variable", "type", "default", "bounds", "description")
    return header("`make docs`, from services/settings.py") + _SETTINGS + table(head, rows)


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [_type(kind) for kind in get_args(annotation) if kind is not type(None)]
        return ", ".join([*kinds, "optional"])
    names: dict[Any, str] = {
        SecretStr: "secret", Path: "path", str: "text", int: "integer", float: "number", bool: "true or false"
    }  # fmt: skip
    return names.get(annotation, str(annotation))


def _default(value: object) -> str:
    if value is None or (isinstance(value, SecretStr) and not value.get_secret_value()):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {value:,}"
        for bound in field.metadata
        for name, sign in signs.items()
        if (value := getattr(bound, name, None)) is not None
    ]
    return ", ".join(found)


def metrics_page() -> str:
    """docs/metrics.md, from the registry of metrics."""
    families = {family.name: family for family in metrics.REGISTRY.collect()}
    rows = []
    for metric in metrics.ALL:
        family = families[metric.name.removesuffix("_total")]
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append((f"`{metric.name}`", family.type, labels, family.documentation))
    used = {label for metric in metrics.ALL for label in metric.labels}
    values = [
        (f"`{label}`", ", ".join(f"`{value}`" for value in sorted(allowed)) if allowed else "open")
        for label, allowed in LABELS.items()
        if label in used
    ]
    return (
        header("`make docs`, from services/telemetry/metrics.py")
        + _METRICS
        + table(("name", "type", "labels", "description"), rows)
        + _LABELS.format(other=OTHER, most=MAX_VALUES)
        + table(("label", "values"), values)
    )
