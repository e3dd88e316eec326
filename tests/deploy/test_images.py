"""Dockerfile, compose and the rendered chart under the linters that others hold them against."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from deploy.conftest import CASES, ROOT, pods, render, rendered, tool
from ruamel.yaml import YAML

DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
SECRETS = re.sub(
    r"=$", "=0123456789abcdef0123456789abcdef", (DEPLOY / ".env.example").read_text(), flags=re.M
)


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run([tool("hadolint"), str(DEPLOY / "Dockerfile")], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_what_it_needs_and_no_torch() -> None:
    (extras,) = re.findall(r"^ARG EXTRAS=(.+)$", DOCKERFILE, re.M)
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert "train" not in extras.split(",")
    known = project["optional-dependencies"]
    wanted = [requirement for extra in extras.split(",") for requirement in known[extra]]
    assert not [it for it in [*project["dependencies"], *wanted] if re.match(r"(torch|transformers)\b", it)]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M):
        for name in copied.split():
            assert f"!{name}" in ignored


def test_chart_and_image_agree_on_who_runs() -> None:
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.M)
    for name, pod in pods(rendered()):
        assert str(pod["spec"]["securityContext"]["runAsUser"]) == user, name
    (port,) = re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.M)
    assert port == "8000"


def _compose(folder: Path, secrets: str) -> subprocess.CompletedProcess[str]:
    given = folder / "env"
    given.write_text(secrets)
    return subprocess.run(
        [tool("docker-compose"), "-f", str(DEPLOY / "compose.yaml"), "--env-file", str(given),
         "config", "--format", "json"],
        capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )  # fmt: skip


def test_compose_is_whole(tmp_path: Path) -> None:
    done = _compose(tmp_path, SECRETS)
    assert done.returncode == 0, done.stderr
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    assert set(services) == {
        "fleet", "consumer", "cache", "ledger", "rabbitmq", "prometheus", "grafana",
    }  # fmt: skip
    for name, service in services.items():
        if "build" not in service and name != "consumer":
            assert re.fullmatch(r"docker\.io/[\w/-]+:v?\d[\w.-]+", service["image"]), name
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1", f"{name} is open to other machines"
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                assert Path(volume["source"]).exists(), volume["source"]


def test_compose_asks_for_each_secret(tmp_path: Path) -> None:
    for name in re.findall(r"^(\w+)=", SECRETS, re.M):
        done = _compose(tmp_path, re.sub(rf"^{name}=.*$", f"{name}=", SECRETS, flags=re.M))
        assert done.returncode != 0
        assert f"{name} is missing a value: set it in deploy/.env" in done.stderr


def test_checkov_finds_only_what_is_skipped_and_every_skip_is_needed(tmp_path: Path) -> None:
    checkov = tool("checkov")
    shutil.copy(DEPLOY / "Dockerfile", tmp_path)
    yaml = YAML()
    for values in CASES:
        text = io.StringIO()
        for name, template in pods(rendered(values)):  # Ray's pods, into which Checkov does not look
            if " " in name:
                pod = {**template, "apiVersion": "v1", "kind": "Pod"}
                pod["metadata"] = {
                    **template["metadata"],
                    "name": name.replace(" ", "-"),
                    "namespace": "answers",
                }
                text.write("---\n")
                yaml.dump(pod, text)
        (tmp_path / f"{values.stem}.yaml").write_text(render(values) + text.getvalue())
    written = (DEPLOY / "checkov.yaml").read_text()
    config = YAML(typ="safe").load(written)
    done = subprocess.run(
        [checkov, "--directory", str(tmp_path), "--framework", *config["framework"], "--skip-download",
         "--output", "json", "--quiet"],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    reports = json.loads(done.stdout)
    assert {report["check_type"] for report in reports} == {"kubernetes", "dockerfile"}
    failed = {check["check_id"] for report in reports for check in report["results"]["failed_checks"]}
    assert failed == set(config["skip-check"])
    for line, above in zip(written.splitlines()[1:], written.splitlines(), strict=False):
        if line.startswith("  - CKV"):
            assert above.lstrip().startswith(("#", "- CKV")), f"no reason is given for {line}"
