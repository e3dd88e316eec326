"""The chart as each helm renders it, and where the tools of `make deploy-tools` lie."""

from __future__ import annotations

import copy
import functools
import gzip
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "slmfleet"
CASES = sorted((CHART / "ci").glob("*-values.yaml"))
HELMS = ("helm3", "helm4")
#: Optional APIs that a cluster of the production case has.
_APIS = ("monitoring.coreos.com/v1", "keda.sh/v1alpha1", "ray.io/v1", "gateway.networking.k8s.io/v1")

Document = dict[str, Any]


def tool(name: str) -> str:
    """Path of a tool. Skips the test where there is none."""
    folder = Path(os.environ.get("SLMFLEET_TOOLS", ROOT / ".tools"))
    places = [str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        pytest.skip(f"{name} is missing: make deploy-tools")
    return found


def parse(text: str) -> list[Document]:
    """The documents of `text`, without empty ones. A key that stands twice is an error."""
    return [document for document in YAML(typ="safe").load_all(text) if document]


def helm(which: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A run of helm."""
    return subprocess.run([tool(which), *arguments], capture_output=True, text=True, timeout=60)


@functools.cache
def render(values: Path | None = None, which: str = "helm4", *more: str) -> str:
    """What `helm template` prints."""
    given = [f"--values={values}"] if values else []
    apis = [f"--api-versions={api}" for api in _APIS]
    done = helm(which, "template", "fleet", str(CHART), "--namespace=answers", *apis, *given, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rendered(values: Path | None = None, which: str = "helm4", *more: str) -> list[Document]:
    """The rendered documents, the caller's own."""
    return copy.deepcopy(_parsed(render(values, which, *more)))


@functools.cache
def _parsed(text: str) -> list[Document]:
    return parse(text)


def of_kind(documents: list[Document], kind: str) -> list[Document]:
    """The documents of one kind."""
    return [document for document in documents if document["kind"] == kind]


def the(documents: list[Document], kind: str) -> Document:
    """The only document of its kind."""
    (found,) = of_kind(documents, kind)
    return found


def pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """Name and template (metadata and spec) of every pod that will run."""
    for document in documents:
        name = document["metadata"]["name"]
        if document["kind"] == "Pod":
            yield name, document
        elif document["kind"] in ("Deployment", "StatefulSet", "Job", "DaemonSet"):
            yield name, document["spec"]["template"]
        elif document["kind"] == "RayService":
            cluster = document["spec"]["rayClusterConfig"]
            yield f"{name} head", cluster["headGroupSpec"]["template"]
            for group in cluster["workerGroupSpecs"]:
                yield f"{name} {group['groupName']}", group["template"]


def serve_config(documents: list[Document]) -> Document:
    """serveConfigV2, parsed."""
    (config,) = parse(the(documents, "RayService")["spec"]["serveConfigV2"])
    return config


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects `labels`."""
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(each["key"]) in each["values"] for each in expressions
    )


@functools.cache
def crds() -> dict[tuple[str, str], Document]:
    """(apiVersion, kind) -> schema, from the folder that SLMFLEET_CRDS names. Skips without it."""
    folder = os.environ.get("SLMFLEET_CRDS")
    if not folder:
        pytest.skip("SLMFLEET_CRDS does not name a folder of CustomResourceDefinitions")
    found = {}
    for path in sorted(Path(folder).glob("*.yaml*")):
        text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
        (crd,) = parse(re.sub(r"^\s*=:.*$", "", text, flags=re.MULTILINE))
        spec = crd["spec"]
        for version in spec["versions"]:
            key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            found[key] = version["schema"]["openAPIV3Schema"]
    return found


case = pytest.mark.parametrize("values", CASES, ids=lambda path: path.stem.removesuffix("-values"))
each_helm = pytest.mark.parametrize("which", HELMS)
