"""Every rendered object against the schema of its kind, unknown keys refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from deploy.conftest import CASES, Document, case, crds, of_kind, pods, rendered, the

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    validate = pytest.importorskip("kubernetes_validate", reason="pip install -e '.[deploy]'")

VERSIONS = [f"1.{minor}" for minor in range(29, 36)]
#: Kinds of which no schema is to be had here; test_wiring looks at them.
_UNCHECKED = {"HTTPRoute"}


def _core(document: Document) -> bool:
    group = document["apiVersion"].partition("/")[0]
    return document["kind"] not in _UNCHECKED and ("." not in group or group.endswith("k8s.io"))


@pytest.mark.parametrize("version", VERSIONS)
def test_core_kinds_are_valid_and_so_are_the_pods_of_others(version: str) -> None:
    """The schema of a RayService does not look into all of a pod; that of a Pod does."""
    for values in CASES:
        documents = rendered(values)
        kinds = [document for document in documents if _core(document)]
        assert kinds
        for _, template in pods(documents):
            kinds.append({**template, "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}})
        for document in kinds:
            validate.validate(document, version, strict=True)


def test_a_misspelt_key_of_a_core_kind_is_noticed() -> None:
    document = of_kind(rendered(CASES[0]), "Deployment")[0]
    document["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = "Always"
    with pytest.raises(validate.ValidationError, match="imagePullPolice"):
        validate.validate(document, "1.33", strict=True)


@case
def test_custom_kinds_are_valid(values: Path) -> None:
    custom = [it for it in rendered(values) if not _core(it) and it["kind"] not in _UNCHECKED]
    assert "RayService" in {document["kind"] for document in custom}
    for document in custom:
        faults = _faults(document)
        assert faults == [], f"{document['kind']}: {faults}"


def test_a_misspelt_key_of_a_custom_kind_is_noticed() -> None:
    document = the(rendered(CASES[0]), "RayService")
    document["spec"]["rayClusterConfig"]["headGroupSpec"]["rayStartParam"] = {}
    assert any("rayStartParam" in fault for fault in _faults(document))


def _faults(document: Document) -> list[str]:
    schema = crds()[document["apiVersion"], document["kind"]]
    strict = _strict(schema)
    strict["properties"]["metadata"] = {"type": "object"}
    return [
        f"{'.'.join(map(str, error.path))}: {error.message[:200]}"
        for error in jsonschema.Draft7Validator(strict).iter_errors(document)
    ]


def _strict(schema: Any, closed: bool = True) -> Any:
    """A CRD's schema as JSON schema: unknown keys refused, int-or-string known, defaults not required."""
    if not isinstance(schema, dict):
        return schema
    made = {
        key: value for key, value in schema.items() if not key.startswith("x-kubernetes") and key != "format"
    }
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
        return made
    properties = schema.get("properties")
    if properties is not None:
        made["properties"] = {name: _strict(below) for name, below in properties.items()}
        made["required"] = [
            name for name in schema.get("required", []) if "default" not in properties.get(name, {})
        ]
        if closed and not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = _strict(schema["additionalProperties"])
    if "items" in schema:
        made["items"] = _strict(schema["items"])
    for word in ("allOf", "anyOf", "oneOf"):
        if word in schema:
            made[word] = [_strict(each, closed=False) for each in schema[word]]
    return made
