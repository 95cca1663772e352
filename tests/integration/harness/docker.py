"""The stack as containers made by testcontainers from the product's images, on a network of their
own. The images, their users and their variables are those of Docker Compose; no folder is mounted,
so that the engine may be anywhere.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import tarfile
import time
from dataclasses import dataclass, replace

import docker.errors
import requests

from stack.applied_config import wanted_config

# The reaper's image cannot be pulled everywhere; `close` removes what a stack has made.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
if os.path.exists("/.dockerenv"):  # noqa: PTH110
    # Inside of a container testcontainers would dial the bridge's gateway; ports are on 127.0.0.1.
    os.environ.setdefault("TESTCONTAINERS_CONNECTION_MODE", "docker_host")

from pathlib import Path

from docker.models.containers import Container
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from stack.engine import find_engine
from stack.errors import StackError
from stack.images import ensure_images
from stack.services import Process
from stack.waiting import wait_for
from tests.integration.harness.checkout import remove_images
from tests.integration.harness.planned import PlannedStack
from tests.integration.harness.plans import changed_plan, shipped_plan
from tests.integration.harness.stack import (
    AS_SHIPPED,
    BACKEND,
    COLLECTOR,
    SERVICES,
    Change,
    KilledError,
    Signal,
)
from tools.test_machine.base_images import ensure_base_images
from tools.test_machine.engine import ensure_engine, release

START_SECONDS = 60
STOP_SECONDS = 12
KILLED = 137

CONFIG_FILES = ("/etc/otel-stack/otel-config.yaml", "/etc/otel-stack/redaction.yaml")
RECORDS = "/var/lib/otel"


@dataclass(frozen=True)
class Recipe:
    """What a container is made of. A change of it means a new container."""

    image: str
    command: tuple[str, ...]
    environment: dict[str, str]
    ports: tuple[tuple[int, int], ...]
    files: tuple[tuple[str, bytes], ...] = ()


class DockerStack(PlannedStack):
    """See `Stack`. Copies of the record are in `folder`."""

    def __init__(self, folder: Path) -> None:
        if find_engine() is None:
            raise StackError(
                "no Docker engine answers",
                "start one, let `make test` do it, or use --runtime=native",
            )
        self._lease = f"tests-{os.getpid()}"
        # Whoever started the engine does not end it under us.
        ensure_engine(self._lease, os.getpid())
        os.environ.update(ensure_base_images())
        self._folder = folder
        self._plan = self._shipped = shipped_plan(folder, "docker")
        self._images = ensure_images(self._plan)
        self._name = f"otel-stack-tests-{secrets.token_hex(4)}"
        self._network = Network().create()
        self._volume = f"{self._name}-records"
        self._containers: dict[str, DockerContainer] = {}
        self._made: dict[str, Recipe] = {}
        self._stopped: set[str] = set()
        self._paused: set[str] = set()
        try:
            self.change(AS_SHIPPED)
        except BaseException:
            self.close()
            raise

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

    def stop(self, service: str) -> float:
        self._stopped.add(service)
        container = self._container(service)
        started = time.monotonic()
        container.stop(timeout=STOP_SECONDS)
        seconds = time.monotonic() - started
        if container.wait()["StatusCode"] == KILLED:
            raise KilledError(self.console(service))
        return seconds

    def kill(self, service: str) -> None:
        self._stopped.add(service)
        container = self._container(service)
        container.kill()
        container.wait(timeout=START_SECONDS)

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
        self._plan = changed_plan(self._shipped, change)
        for service in SERVICES:
            recipe = self._recipe(self._plan.process(service))
            if self._made.get(service) != recipe:
                self._make(service, recipe)
            elif service in self._stopped:
                self.start(service)

    def restore(self) -> None:
        for service in list(self._paused):
            self.resume(service)
        self.change(AS_SHIPPED)

    def close(self) -> None:
        for service in reversed(SERVICES):
            self._remove(service)
        # It is not there when the collector was never made.
        with contextlib.suppress(docker.errors.NotFound):
            self._network._docker.client.volumes.get(self._volume).remove()
        self._network.remove()
        remove_images(self._plan.project)
        release(self._lease)

    def whereabouts(self) -> str:
        names = " ".join(f"{self._name}-{service}" for service in SERVICES)
        return (
            f"{self.backend_url}; end it with `docker rm --force {names}`, "
            f"`docker network rm {self._network.name}` and `docker volume rm {self._volume}`"
        )

    def _container(self, service: str) -> Container:
        return self._containers[service].get_wrapped_container()

    def _make(self, service: str, recipe: Recipe) -> None:
        if service in self._made and service not in self._stopped:
            # What its SDK still holds belongs in the record.
            self._container(service).stop(timeout=STOP_SECONDS)
        self._remove(service)
        container = DockerContainer(recipe.image).with_name(f"{self._name}-{service}")
        container.with_command(list(recipe.command))
        container.with_envs(**recipe.environment)
        container.with_network(self._network).with_network_aliases(service)
        container.with_kwargs(cap_drop=["ALL"], security_opt=["no-new-privileges:true"])
        for published, target in recipe.ports:
            # testcontainers' own with_bind_ports takes no address: it would publish on all.
            container.ports[f"{target}/tcp"] = ("127.0.0.1", published)  # type: ignore[assignment]
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
        if made is not None:
            made.stop()

    def _wait_healthy(self, service: str) -> None:
        url = self._plan.process(service).health
        wait_for(
            f"{service} to be healthy",
            lambda: requests.get(url, timeout=2).ok,
            seconds=START_SECONDS,
        )

    def _recipe(self, process: Process) -> Recipe:
        # Each container begins with a store of its own.
        store = {"DATABASE_URL": "sqlite:////tmp/cruddur.db"} if process.name == BACKEND else {}
        recipe = Recipe(
            image=self._images[process.name],
            command=process.argv,
            environment={**process.environment, **store},
            ports=tuple(sorted(process.targets.items())),
        )
        if process.name != COLLECTOR:
            return recipe
        texts = wanted_config(self._plan)
        files = dict(zip(CONFIG_FILES, (texts.config, texts.redaction), strict=True))
        return replace(recipe, files=tuple((file, text.encode()) for file, text in files.items()))
