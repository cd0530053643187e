"""The examples under deploy/: whole, pinned, and of commands, options, ports and addresses that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import yaml

from clipsearch.cli import cli
from clipsearch.config import DatabaseUrl, library_place
from clipsearch.server.operations import router
from clipsearch.server.tokens import Scope
from clipsearch.vectors.engine import engine_named
from clipsearch.vectors.milvus.engine import MilvusEngine
from tests.conftest import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
OBJECTS = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")

OWN = "clipsearch:0.1.0"
PINNED = re.compile(r"[a-z/]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?")
PORTS_OF_IMAGES = {"postgres": 5432, "milvusdb/milvus": 19530}


@dataclass(frozen=True)
class Container:
    """One that is started, by Compose or by Kubernetes."""

    where: str
    image: str
    arguments: list[str]
    environment: dict[str, str]
    ports: set[int]


def containers() -> Iterator[Container]:
    """All of them."""
    for name, service in COMPOSE["services"].items():
        ports = {int(port) for port in service.get("expose", [])}
        yield Container(
            f"compose {name}", service["image"], service.get("command", []), service.get("environment", {}), ports
        )
    for kind, name, pod in pods():
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield Container(
                f"{kind} {name} {container['name']}",
                container["image"],
                container.get("args", container.get("command", [])),
                {**configured(container), **{item["name"]: item.get("value", "") for item in container.get("env", [])}},
                {port["containerPort"] for port in container.get("ports", [])},
            )


def pods() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What has pods, its name, and how they are."""
    for item in OBJECTS:
        spec = item["spec"]["jobTemplate"]["spec"] if item["kind"] == "CronJob" else item.get("spec", {})
        if "template" in spec:
            yield item["kind"], item["metadata"]["name"], spec["template"]["spec"]


def named(kind: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in OBJECTS if item["kind"] == kind}


def configured(container: dict[str, Any]) -> dict[str, str]:
    maps = [source["configMapRef"]["name"] for source in container.get("envFrom", [])]
    return {key: value for name in maps for key, value in named("ConfigMap")[name]["data"].items()}


CONTAINERS = list(containers())
OURS = [container for container in CONTAINERS if container.image == OWN]


def test_there_are_some_of_each_kind() -> None:
    assert len(OURS) >= 8
    assert {container.arguments[0] for container in OURS} == {"index", "index-copy", "serve"}


@pytest.mark.parametrize("image", sorted({container.image for container in CONTAINERS}))
def test_images_are_pinned(image: str) -> None:
    assert PINNED.fullmatch(image), image


def test_the_base_image_is_pinned_and_the_image_is_of_this_version() -> None:
    (base,) = re.findall(r"^FROM (.+)$", DOCKERFILE, flags=re.MULTILINE)
    assert PINNED.fullmatch(base)
    from clipsearch import __version__

    assert OWN.partition(":")[2] == __version__
    assert f"--tag {OWN} " in DOCKERFILE


@pytest.mark.parametrize("container", OURS, ids=lambda container: container.where)
def test_commands_are_taken_as_they_are_written(container: Container) -> None:
    words = list(container.arguments)
    context = cli.make_context("clipsearch", [], resilient_parsing=True)
    command: click.Command = cli.get_command(context, words.pop(0))
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    given = command.make_parser(click.Context(command, parent=context)).parse_args(words)[0]
    assert all(value is not None for value in given.values())
    if "target" in given:
        engine = engine_named(given["target"])
        assert isinstance(engine, MilvusEngine) and not engine.is_local
        host = urlsplit(engine.uri)
        assert host.port == PORTS_OF_IMAGES["milvusdb/milvus"] and is_reachable(container, host.hostname, host.port)
    assert set(given.get("scopes", [])) <= set(Scope)


@pytest.mark.parametrize("container", OURS, ids=lambda container: container.where)
def test_the_library_is_a_database_that_is_there(container: Container) -> None:
    place = library_place(container.environment["CLIPSEARCH_LIBRARY"])
    assert isinstance(place, DatabaseUrl)
    address = urlsplit(place.text)
    assert address.password is None
    assert address.port == PORTS_OF_IMAGES["postgres"] and is_reachable(container, address.hostname, address.port)
    for server in CONTAINERS:
        if server.image.startswith("postgres:") and server.where.split()[0] == container.where.split()[0]:
            assert server.environment["POSTGRES_USER"] == address.username
            assert server.environment["POSTGRES_DB"] == address.path.strip("/")
    assert "PGPASSWORD" in container.environment
    known = {"CLIPSEARCH_LIBRARY", "CLIPSEARCH_CACHE", "CLIPSEARCH_MILVUS_TOKEN"}
    assert {name for name in container.environment if name.startswith("CLIPSEARCH_")} <= known


def is_reachable(container: Container, host: str | None, port: int | None) -> bool:
    """Whether there is a server of that name and port beside a container."""
    if container.where.startswith("compose "):
        service = COMPOSE["services"].get(host)
        return service is not None and PORTS_OF_IMAGES[service["image"].partition(":")[0]] == port
    return port in [item["port"] for item in named("Service")[str(host)]["spec"]["ports"]]


def test_servers_listen_where_they_are_asked() -> None:
    (in_compose,) = [one for one in OURS if one.where == "compose serve"]
    (in_kubernetes,) = [one for one in OURS if one.where == "Deployment serve serve"]
    for server in (in_compose, in_kubernetes):
        options = dict(zip(server.arguments[1::2], server.arguments[2::2], strict=True))
        assert options["--address"] == "0.0.0.0" and server.ports == {int(options["--port"])}
    (port,) = in_compose.ports
    nginx = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    assert f"http://serve:{port};" in nginx
    assert COMPOSE["services"]["proxy"]["ports"] == ["443:443"] and "listen 443 ssl;" in nginx


def test_probes_and_services_ask_for_ports_and_routes_that_are_there() -> None:
    routes = {route.path for route in router.routes}  # type: ignore[attr-defined]
    for kind, name, pod in pods():
        for container in pod["containers"]:
            ports = {port["containerPort"] for port in container.get("ports", [])}
            for probe in ("readinessProbe", "livenessProbe"):
                request = container.get(probe, {}).get("httpGet")
                assert request is None or request["port"] in ports
                assert request is None or container["image"] != OWN or request["path"] in routes
        selecting = [item for item in named("Service").values() if item["spec"]["selector"] == {"app": name}]
        for service in selecting:
            (port,) = service["spec"]["ports"]
            assert port.get("targetPort", port["port"]) in ports
        assert bool(selecting) == (kind != "CronJob")


def test_volumes_that_are_mounted_are_there() -> None:
    for service in COMPOSE["services"].values():
        sources = [volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith("$")]
        assert all(source in COMPOSE["volumes"] or (DEPLOY / source).exists() for source in sources)
    claimed = set()
    for _, name, pod in pods():
        kept = {item["metadata"]["name"] for item in stateful(name)} | {item["name"] for item in pod.get("volumes", [])}
        mounted = [
            mount
            for each in ("initContainers", "containers")
            for item in pod.get(each, [])
            for mount in item.get("volumeMounts", [])
        ]
        assert {mount["name"] for mount in mounted} == kept
        claimed |= {
            item["persistentVolumeClaim"]["claimName"]
            for item in pod.get("volumes", [])
            if "persistentVolumeClaim" in item
        }
    assert claimed == set(named("PersistentVolumeClaim"))


def stateful(name: str) -> list[dict[str, Any]]:
    """What a set of that name, if there is one, claims for each of its pods."""
    found = named("StatefulSet").get(name, {"spec": {}})
    claims: list[dict[str, Any]] = found["spec"].get("volumeClaimTemplates", [])
    return claims


def test_mounts_are_where_the_image_has_room_for_them() -> None:
    (cache,) = re.findall(r"^ENV CLIPSEARCH_CACHE=(.+)$", DOCKERFILE, flags=re.MULTILINE)
    mounted = {volume.split(":")[-1 if volume.count(":") == 1 else -2] for volume in COMPOSE["x-clipsearch"]["volumes"]}
    assert mounted == {f"{cache}/libraries", "/tokens", "/pictures"}
    assert f"install -d -o clipsearch {cache}/libraries /tokens" in DOCKERFILE
    for _, _, pod in pods():
        for container in pod["containers"]:
            if container["image"] == OWN:
                assert {mount["mountPath"] for mount in container["volumeMounts"]} <= mounted


def test_the_server_is_of_the_clients_version() -> None:
    from pymilvus import __version__

    images = {one.image for one in CONTAINERS if one.image.startswith("milvusdb/milvus:")}
    assert [image.partition(":v")[2].split(".")[0] for image in images] == [__version__.split(".")[0]]
