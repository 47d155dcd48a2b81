"""The examples in `deploy/`: no container is built here, but every path, extra and option in them is one there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("sqlalchemy")

from lungscreen.server.pacs.settings import PacsSettings
from lungscreen.server.settings import ServerSettings
from runs.entry import compose_settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMMANDS: dict[str, tuple[Any, str]] = {
    "lungscreen.server": (ServerSettings, "server"),
    "lungscreen.server.pacs": (PacsSettings, "server_pacs"),
}
pytestmark = pytest.mark.slow
UNITS = ("lungscreen.service", "lungscreen-pacs.service")


def settings_of(command: list[str]) -> Any:
    """What `python -m` would hand to the program; wrong options raise."""
    settings, name = COMMANDS[command[0]]
    return compose_settings(settings, name, command[1:])


def container_lines(word: str) -> list[str]:
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    return [line.removeprefix(word).strip() for line in lines if line.startswith(word)]


def test_the_container_holds_every_package_and_installs_extras_that_there_are() -> None:
    copied = [name for line in container_lines("COPY") for name in line.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    packages = [name.rstrip("*") for name in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]]
    assert set(packages) <= set(copied)
    assert set(PROJECT["project"]["license-files"]) | {PROJECT["project"]["readme"]} <= set(copied)
    (extras,) = re.findall(r"'\.\[(.+)\]'", "\n".join(container_lines("RUN")))
    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])


def test_the_container_s_command_is_one() -> None:
    assert json.loads(container_lines("ENTRYPOINT")[0]) == ["python", "-m"]
    settings = settings_of(json.loads(container_lines("CMD")[0]))
    assert not settings.is_local
    assert settings.folder.is_relative_to(container_lines("VOLUME")[0])
    assert int(container_lines("EXPOSE")[0]) == settings.port


def test_compose_names_what_there_is_and_ports_that_fit() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    archive = json.loads((DEPLOY / "orthanc.json").read_text())
    pacs = settings_of(services["pacs"]["command"])
    assert pacs.server == "http://server:8000"
    assert pacs.orthanc == "http://orthanc:8042"  # its own port, where nothing else is said
    assert f"{archive['DicomPort']}:{archive['DicomPort']}" in services["orthanc"]["ports"]
    for service in services.values():
        assert {f"/run/secrets/{name}" for name in service.get("secrets", [])} <= {
            f"/run/secrets/{name}" for name in compose["secrets"]
        }
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (DEPLOY / source).is_file()
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert {str(pacs.token_file), str(pacs.login_file)} == {f"/run/secrets/{name}" for name in compose["secrets"]}
    assert archive["StorageDirectory"] in {v.split(":")[1] for v in services["orthanc"]["volumes"]}


@pytest.mark.parametrize("unit", UNITS)
def test_units_start_commands_that_there_are(unit: str, tmp_path: Path) -> None:
    text = (DEPLOY / unit).read_text()
    (command,) = re.findall(r"^ExecStart=(\S+) -m (.+)$", text, re.MULTILINE)
    settings = settings_of(command[1].split())
    assert str(settings.folder).startswith("/var/lib/lungscreen/")
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not there: the unit itself is not verified")
    for name in UNITS:  # each names the other; the program of the test takes the place of the installed one
        (tmp_path / name).write_text((DEPLOY / name).read_text().replace(command[0], sys.executable))
    done = subprocess.run([analyze, "verify", str(tmp_path / unit)], capture_output=True, text=True, check=False)
    assert [line for line in (done.stdout + done.stderr).splitlines() if unit in line] == []


def test_ohif_is_pointed_at_its_own_address_only() -> None:
    text = (DEPLOY / "ohif-config.js").read_text()
    assert 'Root: "/dicom-web"' in text
    assert "://" not in text
