"""compose.yaml says what the pages promise: nothing listens but on this machine, nothing runs as root or writes where it
need not, and the settings it gives are settings. And the servers that it starts with `examples/postgres` follow each other.
"""

import importlib
import re
from typing import Any

import pytest
from psycopg import conninfo

from app.settings import Settings
from tests.docs.programs import ROOT

yaml: Any = importlib.import_module("yaml")  # it comes with uvicorn and has no types
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CIN = [name for name, service in SERVICES.items() if service["image"] == "cin"]
DEFAULTS = dict(
    line.split("=", 1) for line in (ROOT / ".env").read_text().splitlines() if line and not line.startswith("#")
)


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def in_profile(profile: str) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in SERVICES.items() if profile in service["profiles"]}


@pytest.mark.parametrize("name", SERVICES)
def test_service_listens_on_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:8005:"), port


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert name in CIN or service["user"] not in ("root", "0")  # CIN's image says it itself


@pytest.mark.parametrize("name", SERVICES)
def test_service_writes_to_volumes_that_are_declared_and_mounts_files_that_exist(name: str) -> None:
    for source, _, rest in (volume.partition(":") for volume in SERVICES[name].get("volumes", [])):
        if source.startswith("./"):
            assert (ROOT / source).is_file(), source
            assert rest.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", CIN)
def test_cin_is_given_settings_that_exist_and_time_to_drain(name: str) -> None:
    service = SERVICES[name]
    given = {key for key in service["environment"] if key.startswith("CIN_")}
    assert given <= {f"CIN_{field.upper()}" for field in Settings.model_fields}
    assert seconds(service["stop_grace_period"]) > float(service["environment"]["CIN_DRAIN_SECONDS"])
    assert service["ulimits"]["nofile"] > Settings().max_streams


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(CIN)))
def test_servers_have_a_pinned_major_version_and_a_health_check(name: str) -> None:
    assert re.fullmatch(r"\w+:\d+", SERVICES[name]["image"])
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", SERVICES)
def test_service_waits_for_services_of_its_profiles_to_be_healthy(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert set(SERVICES[name]["profiles"]) <= set(SERVICES[other]["profiles"])
        assert how == {"condition": "service_healthy"}


@pytest.mark.parametrize("profile", ["one", "redis", "scale"])
def test_profile_has_one_service_that_listens(profile: str) -> None:
    assert sum("ports" in service for service in in_profile(profile).values()) == 1


def test_without_a_profile_there_is_one_process() -> None:
    assert list(in_profile(DEFAULTS["COMPOSE_PROFILES"])) == ["cin"]


def test_passwords_are_not_in_the_file_and_every_variable_has_a_default() -> None:
    text = (ROOT / "compose.yaml").read_text()
    assert DEFAULTS["POSTGRES_PASSWORD"] not in text
    assert set(re.findall(r"\$\{(\w+)", text)) == set(DEFAULTS) - {"COMPOSE_PROFILES"}


def test_cin_finds_the_servers_and_nginx_finds_cin() -> None:
    scale = in_profile("scale")
    for name in ("cin-1", "cin-2"):
        hosts = conninfo.conninfo_to_dict(scale[name]["environment"]["CIN_DATABASE_URL"])["host"]
        assert str(hosts).split(",") == ["postgres-1", "postgres-2"]
        assert scale[name]["volumes"] == [f"index-{name[-1]}:/data"]
    nginx = (ROOT / "examples/nginx/nginx.conf").read_text()
    assert set(re.findall(r"server ([\w-]+):8005", nginx)) == set(scale) & set(CIN)
    assert "listen 8080 " in nginx
