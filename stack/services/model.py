"""The shape of a plan, and what follows from it: addresses, folders, files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.access import FRAGMENTS as ACCESS
from stack.access import Access
from stack.collector_config.files import REDACTION_FILE, config_files, wants_patterns
from stack.collector_config.text import load as load_config
from stack.errors import StackError
from stack.fragments import Fragment, load, load_file
from stack.services.process import Process
from stack.settings import Settings
from stack.vendors import Vendor

COLLECTOR = "collector"
EMULATORS = "emulators"
BACKEND = "backend-flask"
PAGE = "frontend-react"
"""Services with a part of their own. In telemetry they may have other names, see
`Process.service_name`.
"""

INSTRUMENTED = "opentelemetry-instrument"

COLLECTOR_HOSTS = {"native": "127.0.0.1", "docker": COLLECTOR}

EMULATOR_HOSTS = {"native": "127.0.0.1", "docker": EMULATORS}
"""Where the stack's own processes reach the emulators."""


@dataclass(frozen=True)
class Plan:
    """`environment`: the variables of the compose file, None where one is not set. `without`: the
    files beside it that leave services out, without `.yaml`.
    """

    root: Path
    run_dir: Path
    project: str
    runtime: str
    settings: Settings
    environment: Mapping[str, str | None] = field(repr=False)  # keys are among them
    processes: tuple[Process, ...]
    vendors: tuple[Vendor, ...]
    folders: Mapping[str, Path] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    @property
    def ports(self) -> dict[str, int]:
        """Every port that people or the stack's own commands reach, by its setting's name."""
        return {name: port for process in self.processes for name, port in process.ports.items()}

    def process(self, name: str) -> Process:
        """One of `processes`, by its name."""
        return next(process for process in self.processes if process.name == name)

    @property
    def instrumented(self) -> tuple[Process, ...]:
        """The services under opentelemetry-instrument."""
        return tuple(one for one in self.processes if Path(one.argv[0]).name == INSTRUMENTED)

    @property
    def verified(self) -> tuple[Process, ...]:
        """The services that are asked for a proof: those that people call."""
        return tuple(process for process in self.processes if process.proof_path)

    @property
    def called(self) -> tuple[str, ...]:
        """What `verified` are called in telemetry. Raises StackError."""
        return tuple(process.service_name for process in self.verified)

    @property
    def reporting(self) -> tuple[Process, ...]:
        """Those of `verified` that report an error on request: only where people try the stack
        out; in production nobody may make items from outside.
        """
        debug = self.environment["DEBUG_ROUTES"] == "true"
        return tuple(one for one in self.verified if debug and one.error_path)

    def names_in_trace(self, process: Process) -> frozenset[str]:
        """What a service and those that it needs are called in telemetry. Raises StackError."""
        needed = (one for one in self.instrumented if one.name in process.depends_on)
        return frozenset(one.service_name for one in (process, *needed))

    @property
    def control_url(self) -> str | None:
        """The emulators' control port; None where every vendor is live."""
        if all(vendor.live for vendor in self.vendors):
            return None
        return f"http://127.0.0.1:{self.settings.port('EMULATOR_CONTROL_PORT')}"

    @property
    def page_url(self) -> str | None:
        """None where the page is left out."""
        return next((one.url for one in self.processes if one.name == PAGE), None)

    @property
    def page_sends(self) -> bool:
        """Whether the page's spans go to its own server, since no browser reaches the collector:
        it has neither certificate nor token, and a workspace's port wants a login first.
        """
        return bool(self.access.restricted or self.settings.public_url or self.settings.same_origin)

    @property
    def access(self) -> Access:
        """Who may send OTLP."""
        return self.settings.access

    @property
    def otlp_url(self) -> str:
        return f"{self.access.scheme}://127.0.0.1:{self.settings.port('OTLP_HTTP_PORT')}"

    @property
    def metrics_url(self) -> str:
        """The collector's own metrics."""
        return f"http://127.0.0.1:{self.settings.port('COLLECTOR_METRICS_PORT')}/metrics"

    @property
    def telemetry_dir(self) -> Path:
        return self.folders["TELEMETRY_DIR"]

    @property
    def config_source(self) -> Path:
        """The collector's config that people edit."""
        return (self.root / self.settings.collector_config).resolve()

    @property
    def config_sources(self) -> tuple[Path, ...]:
        """`config_source`, the patterns where it has none of its own, and the fragments' files."""
        fragments = (self.root / fragment.file for fragment in self.fragments)
        return (self.config_source, *self.patterns_source, *fragments)

    @property
    def patterns_source(self) -> tuple[Path, ...]:
        """The file with what a secret is, where `config_source` has a use for it."""
        try:
            wanted = wants_patterns(load_config(self.config_source))
        except StackError:
            wanted = False  # whoever runs or validates this config says what is wrong with it
        return (self.root / REDACTION_FILE,) if wanted else ()

    @property
    def fragments(self) -> tuple[Fragment, ...]:
        """Other vendors, and who may send."""
        vendors = (load(name, self.root) for name in self.settings.fragments)
        access = (ACCESS / f"{name}.yaml" for name in self.access.fragments)
        return (*vendors, *(load_file(file, self.root) for file in access))

    @property
    def config_applied(self) -> tuple[Path, ...]:
        """The copies that the collector runs with. A collector that dies after a bad edit of the
        sources comes back with what it had.
        """
        return config_files(self.config_folder)

    @property
    def config_folder(self) -> Path:
        """Where `config_applied` are."""
        return self.run_dir / "collector"

    @property
    def collector_binary(self) -> Path:
        return self.settings.collector_bin or self.root / ".run/bin/otelcol"
