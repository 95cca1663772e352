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
`Plan.service_names`.
"""

INSTRUMENTED = "opentelemetry-instrument"

COLLECTOR_HOSTS = {"native": "127.0.0.1", "docker": COLLECTOR}

EMULATOR_HOSTS = {"native": "127.0.0.1", "docker": EMULATORS}
"""Where the stack's own processes reach the emulators."""


@dataclass(frozen=True)
class Plan:
    """`environment`: the variables of the compose file, None where one is not set."""

    root: Path
    run_dir: Path
    project: str
    runtime: str
    settings: Settings
    environment: Mapping[str, str | None] = field(repr=False)  # keys are among them
    processes: tuple[Process, ...]
    vendors: tuple[Vendor, ...]
    folders: Mapping[str, Path] = field(default_factory=dict)

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
    def service_names(self) -> dict[str, str]:
        """What the app and the services that it needs are called in telemetry, by process.

        Raises StackError for one that nobody gives a name.
        """
        names = {}
        needed = {BACKEND, *self.process(BACKEND).depends_on}
        for process in (one for one in self.instrumented if one.name in needed):
            names[process.name] = process.environment.get("OTEL_SERVICE_NAME", "")
            if not names[process.name]:
                raise StackError(
                    f"{process.name} has no name in its telemetry: {process.cwd}/otel.env does not "
                    "set OTEL_SERVICE_NAME",
                    "write OTEL_SERVICE_NAME=… there, with the name that people are to see",
                )
        return names

    @property
    def control_url(self) -> str | None:
        """The emulators' control port; None where every vendor is live."""
        if all(vendor.live for vendor in self.vendors):
            return None
        return f"http://127.0.0.1:{self.settings.port('EMULATOR_CONTROL_PORT')}"

    @property
    def backend_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port('BACKEND_PORT')}"

    @property
    def page_url(self) -> str | None:
        """None where the page is left out."""
        if all(process.name != PAGE for process in self.processes):
            return None
        return f"http://127.0.0.1:{self.settings.port('FRONTEND_PORT')}"

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
