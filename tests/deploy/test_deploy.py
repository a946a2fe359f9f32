"""What is deployed is what the linters, the schemas and trueup itself accept."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.cli.program import process
from tests.docs.markdown import ROOT

from trueup.settings import load

COMPOSE = ROOT / "deploy" / "compose.yaml"
MANIFEST = ROOT / "deploy" / "kubernetes" / "trueup.yaml"
CONFIG = ROOT / "deploy" / "trueup.toml"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
KUBERNETES = "1.31"

compose: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
manifest: list[dict[str, Any]] = list(yaml.safe_load_all(MANIFEST.read_text()))


def pods() -> list[dict[str, Any]]:
    return [each["spec"]["template"]["spec"] for each in manifest if each["kind"] == "Deployment"]


def containers() -> list[dict[str, Any]]:
    return [each for pod in pods() for each in (*pod["initContainers"], *pod["containers"])]


def tool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", [COMPOSE, MANIFEST], ids=lambda path: path.name)
def test_yamllint_has_nothing_to_say(path: Path) -> None:
    done = tool("yamllint", "--strict", str(path))
    assert done.returncode == 0, done.stdout


def test_the_compose_file_follows_the_compose_specification() -> None:
    done = tool("check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("each", manifest, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_the_manifest_follows_kubernetes_schemas(each: dict[str, Any]) -> None:
    kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_nothing_but_the_loopback_is_published() -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert [each["spec"]["type"] for each in manifest if each["kind"] == "Service"] == ["ClusterIP"]


def test_every_service_of_ours_has_no_rights_and_says_how_it_is() -> None:
    for name, service in compose["services"].items():
        if name != "init":
            assert "healthcheck" in service, name
        if name != "postgres":
            assert service["user"] == "10001:10001"
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        assert all("livenessProbe" in each for each in pod["containers"])
    for each in containers():
        assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert each["securityContext"]["readOnlyRootFilesystem"]
        assert not each["securityContext"]["allowPrivilegeEscalation"]
        assert each["resources"]["limits"]["memory"]


def test_secrets_come_from_files_and_references_only() -> None:
    for name, service in compose["services"].items():
        assert service["env_file"] == ["trueup.env"]
        assert not [key for key in service.get("environment", {}) if "PASSWORD" in key or "SECRET" in key], name
    assert all(each["envFrom"] == [{"secretRef": {"name": "trueup"}}] for each in containers())
    assert not [each for each in manifest if each["kind"] == "Secret"]
    for line in (ROOT / "deploy" / "trueup.env.example").read_text().splitlines():
        name, _, value = line.removeprefix("# ").partition("=")
        assert not value or name == "TRUEUP_LEDGER_URL" or line.startswith("# Copy"), line


def test_the_settings_are_accepted_and_name_the_variables_of_the_example(tmp_path: Path) -> None:
    inside = next(each["data"]["trueup.toml"] for each in manifest if each["kind"] == "ConfigMap")
    assert tomllib.loads(inside) == tomllib.loads(CONFIG.read_text())
    example = (ROOT / "deploy" / "trueup.env.example").read_text()
    environ = dict(re.findall(r"(?m)^(\w+)=(.*)$", example))
    path = tmp_path / "trueup.toml"
    path.write_text(inside)
    settings = load(path, {**environ, "APCA_API_KEY_ID": "k", "APCA_API_SECRET_KEY": "s"})
    assert [account.name for account in settings.accounts] == ["main"]
    assert settings.ledger.url.startswith("postgresql")
    for name in re.findall(r'_env = "(\w+)"', inside):
        assert name in environ


def test_the_commands_are_commands_of_trueup(tmp_path: Path) -> None:
    given = [service["command"] for service in compose["services"].values() if "command" in service]
    given += [each["args"] for each in containers()]
    probes = [service["healthcheck"]["test"] for service in compose["services"].values() if "healthcheck" in service]
    probes += [
        each["livenessProbe"]["exec"]["command"] for each in containers() if "exec" in each.get("livenessProbe", {})
    ]
    given += [words[words.index("trueup") + 1 :] for words in probes if "trueup" in words]
    known = {tuple(words) for words in given}
    assert len(known) == 4
    for words in known:
        assert process(tmp_path, *words, "--help").code == 0, words


def test_the_image_is_built_from_what_is_there_and_runs_without_rights() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", DOCKERFILE):
        for name in line.split():
            assert (ROOT / name).exists()
            assert f"!{name.removeprefix('./')}" in ignored
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"'\.\[([\w,]+)\]'", DOCKERFILE)[0].split(",")) <= set(extras)
    users = re.findall(r"(?m)^USER (\S+)$", DOCKERFILE)
    assert users == ["10001:10001"]
    assert DOCKERFILE.index("USER ") < DOCKERFILE.index("ENTRYPOINT")
