"""The stack as containers made by testcontainers from the product's images, on a network of their
own. The images, their users and their variables are those of Docker Compose; no folder is mounted,
so that the engine may be anywhere.
"""

from __future__ import annotations

import io
import os
import tarfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import docker.errors
import requests

# The reaper's image cannot be pulled everywhere; `close` removes what a stack has made.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
if os.path.exists("/.dockerenv"):  # noqa: PTH110
    # Inside of a container testcontainers would dial the bridge's gateway; ports are on 127.0.0.1.
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from stack.collector_config import CONFIG_FILE, env_defaults
from stack.engine import find_engine
from stack.errors import StackError
from stack.images import ensure_images
from stack.plan import otel_env, service_version
from stack.settings import ROOT
from stack.telemetry import Log, Point, Span, read_logs, read_points, read_spans
from stack.waiting import wait_for
from tests.integration.harness.ports import free_ports
from tests.integration.harness.stack import (
    AS_SHIPPED,
    BACKEND,
    COLLECTOR,
    PROFILES,
    SERVICES,
    TEST_ENVIRONMENT,
    Change,
    Signal,
)

if TYPE_CHECKING:
    from pathlib import Path

    from docker.models.containers import Container

START_SECONDS = 30
STOP_SECONDS = 12
KILLED = 137

CONFIG = "/etc/otel-stack/otel-config.yaml"
RECORDS = "/var/lib/otel"
HEALTH = {
    COLLECTOR: ("COLLECTOR_HEALTH_PORT", "/"),
    PROFILES: ("PROFILES_PORT", "/api/health-check"),
    BACKEND: ("BACKEND_PORT", "/api/health-check"),
}
"""Port and path that answer 200 once a service serves."""


@dataclass(frozen=True)
class Recipe:
    """What a container is made of. A change of it means a new container."""

    image: str
    command: tuple[str, ...]
    environment: dict[str, str]
    ports: tuple[int, ...]
    files: tuple[tuple[str, bytes], ...] = ()


class DockerStack:
    """See `Stack`. Copies of the record are in `folder`."""

    def __init__(self, folder: Path) -> None:
        if find_engine() is None:
            raise StackError(
                "no Docker engine answers",
                "start one, let `make test` do it, or use --runtime=native",
            )
        self._folder = folder
        self._images = ensure_images(ROOT)
        self._version = service_version(ROOT)
        self._defaults = env_defaults((ROOT / CONFIG_FILE).read_text())
        self._network = Network().create()
        self._volume = f"{self._network.name}-records"
        self._containers: dict[str, DockerContainer] = {}
        self._made: dict[str, Recipe] = {}
        self._stopped: set[str] = set()
        self._paused: set[str] = set()
        self._recipes: dict[str, Recipe] = {}
        collector = [name for name in self._defaults if name.endswith("_PORT")]
        names = ["BACKEND_PORT", "PROFILES_PORT", *collector]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        try:
            self.change(AS_SHIPPED)
        except BaseException:
            self.close()
            raise

    @property
    def backend_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['BACKEND_PORT']}"

    @property
    def profiles_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['PROFILES_PORT']}"

    @property
    def otlp_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['OTLP_HTTP_PORT']}"

    def record(self, signal: Signal) -> Path:
        copy = self._folder / f"{signal}.jsonl"
        try:
            parts, _ = self._container(COLLECTOR).get_archive(f"{RECORDS}/telemetry/{copy.name}")
        except docker.errors.NotFound:
            copy.write_bytes(b"")
            return copy
        with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
            content = archive.extractfile(copy.name)
            assert content is not None
            copy.write_bytes(content.read())
        return copy

    def spans(self, trace_id: str | None = None) -> list[Span]:
        return read_spans(self.record("traces"), trace_id)

    def logs(self, trace_id: str | None = None) -> list[Log]:
        return read_logs(self.record("logs"), trace_id)

    def points(self) -> list[Point]:
        return read_points(self.record("metrics"))

    def stop(self, service: str) -> float:
        self._stopped.add(service)
        container = self._container(service)
        started = time.monotonic()
        container.stop(timeout=STOP_SECONDS)
        seconds = time.monotonic() - started
        assert container.wait()["StatusCode"] != KILLED, self.console(service)
        return seconds

    def kill(self, service: str) -> None:
        self._stopped.add(service)
        container = self._container(service)
        container.kill()
        container.wait(timeout=STOP_SECONDS)

    def start(self, service: str) -> None:
        self._container(service).start()
        self._wait_healthy(service)
        self._stopped.discard(service)

    def pause(self, service: str) -> None:
        self._container(service).pause()
        self._paused.add(service)

    def resume(self, service: str) -> None:
        self._container(service).unpause()
        self._paused.discard(service)

    def console(self, service: str) -> str:
        made = self._containers.get(service)
        return made.get_wrapped_container().logs().decode(errors="replace") if made else ""

    def change(self, change: Change) -> None:
        self._recipes = self._recipes_of(change)
        for service in SERVICES:
            if self._made.get(service) != self._recipes[service]:
                self._make(service)
            elif service in self._stopped:
                self.start(service)

    def restore(self) -> None:
        for service in list(self._paused):
            self.resume(service)
        self.change(AS_SHIPPED)

    def close(self) -> None:
        for service in reversed(SERVICES):
            self._remove(service)
        client = self._network._docker.client  # noqa: SLF001
        try:
            client.volumes.get(self._volume).remove()
        except docker.errors.NotFound:
            pass  # the collector was never made
        self._network.remove()

    def whereabouts(self) -> str:
        names = " ".join(self._container(service).name or "" for service in SERVICES)
        return (
            f"{self.backend_url}; end it with `docker rm --force {names}`, "
            f"`docker network rm {self._network.name}` and `docker volume rm {self._volume}`"
        )

    def _container(self, service: str) -> Container:
        return self._containers[service].get_wrapped_container()

    def _make(self, service: str) -> None:
        recipe = self._recipes[service]
        self._remove(service)
        container = DockerContainer(recipe.image)
        container.with_command(list(recipe.command))
        container.with_envs(**recipe.environment)
        container.with_network(self._network).with_network_aliases(service)
        container.with_kwargs(cap_drop=["ALL"], security_opt=["no-new-privileges:true"])
        for port in recipe.ports:
            # testcontainers' own with_bind_ports takes no address: it would publish on all.
            container.ports[f"{port}/tcp"] = ("127.0.0.1", port)  # type: ignore[assignment]
        for path, content in recipe.files:
            container.with_copy_into_container(content, path)
        if service == COLLECTOR:
            # The record outlives the container, and belongs to the image's user.
            container.with_volume_mapping(self._volume, RECORDS, "rw")
        self._containers[service] = container
        container.start()
        self._made[service] = recipe
        self._stopped.discard(service)
        self._wait_healthy(service)

    def _remove(self, service: str) -> None:
        made = self._containers.pop(service, None)
        self._made.pop(service, None)
        if made is None:
            return
        # First a stop: what its SDK still holds belongs in the record.
        if service not in self._stopped and service not in self._paused:
            made.get_wrapped_container().stop(timeout=STOP_SECONDS)
        made.stop()

    def _wait_healthy(self, service: str) -> None:
        url = f"http://127.0.0.1:{self._ports[HEALTH[service][0]]}{HEALTH[service][1]}"
        wait_for(
            f"{service} to be healthy",
            lambda: requests.get(url, timeout=2).ok,
            seconds=START_SECONDS,
        )

    def _recipes_of(self, change: Change) -> dict[str, Recipe]:
        profiles = f"http://{PROFILES}:{self._ports['PROFILES_PORT']}"
        # On the disk of the container: each one begins with a store of its own.
        own = {"PROFILES_URL": profiles, "DATABASE_URL": "sqlite:////tmp/cruddur.db"}
        return {
            COLLECTOR: self._collector(change),
            PROFILES: self._flask(PROFILES, "profiles", change, {}),
            BACKEND: self._flask(BACKEND, "backend", change, own),
        }

    def _collector(self, change: Change) -> Recipe:
        text = change.collector_config or (ROOT / CONFIG_FILE).read_text()
        ports = {name: str(self._ports[name]) for name in self._defaults if name in self._ports}
        return Recipe(
            image=self._images["collector"],
            command=("--config", CONFIG),
            environment={
                "COLLECTOR_BIND": "0.0.0.0",  # noqa: S104 — inside; published on 127.0.0.1
                "TELEMETRY_DIR": f"{RECORDS}/telemetry",
                "QUEUE_DIR": f"{RECORDS}/queues",
                **ports,
                **change.environment.get(COLLECTOR, {}),
            },
            ports=tuple(self._ports[name] for name in ports),
            files=((CONFIG, text.encode()),),
        )

    def _flask(self, service: str, folder: str, change: Change, own: dict[str, str]) -> Recipe:
        port = self._ports[f"{folder.upper()}_PORT"]
        return Recipe(
            image=self._images[folder],
            command=(),
            environment={
                **otel_env(ROOT / "services/otel.env"),
                **otel_env(ROOT / "services" / folder / "otel.env"),
                "BIND": f"0.0.0.0:{port}",
                "OTEL_EXPORTER_OTLP_ENDPOINT": (
                    f"http://{COLLECTOR}:{self._ports['OTLP_HTTP_PORT']}"
                ),
                "OTEL_RESOURCE_ATTRIBUTES": (
                    f"service.version={self._version},deployment.environment=local"
                ),
                **TEST_ENVIRONMENT,
                **own,
                **change.environment.get(service, {}),
            },
            ports=(port,),
        )
