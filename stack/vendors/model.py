"""What a vendor's module declares, and what comes of it for one stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from stack.asking import Answer, excerpt
from stack.finding import About, Finding

HIGHEST_PORT = 65535
Port = Annotated[int, Field(ge=1, le=HIGHEST_PORT)]

CLEAR_FAULTS = "`make heal` ends what `make break` began; else see `make logs`"


class VendorSettings(BaseModel):
    """A vendor's own names of `.env`, in lower case. `emulator_…` reach the emulators, too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def fragments(self) -> tuple[str, ...]:
        """The files of collector/vendors that these settings merge without WITH."""
        return ()


Own = TypeVar("Own", bound=VendorSettings)


class Chosen(Protocol):
    """What a vendor's module reads of the settings."""

    def of(self, kind: type[Own]) -> Own:
        """A vendor's own."""

    @property
    def aws_region(self) -> str:
        """Of the collector's config."""

    @property
    def log_route(self) -> str:
        """`otlp` or `watchtower`."""

    @property
    def fragments(self) -> tuple[str, ...]:
        """The merged files of collector/vendors."""


class Emulators(Protocol):
    """What a vendor's module asks the emulators: a part of emulators.client.Client, which would
    cost every command a second to load.
    """

    def metrics(self, namespace: str | None = None, name: str | None = None) -> list[Any]:
        """CloudWatch's metric values."""


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """`why`: what made it live, or what would. `url`: where its API is. `emulator`: what the
    emulators call it.

    `collector`, `app` and `page`: the variables that it needs there. They may hold keys; those of
    the page are for everybody who opens it.

    `sdks`: the variables by which its own SDKs in any service's code reach its emulator, by SDK.

    `takes_errors`: the app and the page report errors to it by themselves. `emulated`: by signal,
    how its emulator is asked for a trace's where the trace id is not enough. `read`: asks the live
    vendor whether it has a signal of a trace, where a key allows that; raises UnreachableError.
    `page_of`: where a person sees a trace there.
    """

    name: str
    live: bool
    why: str
    url: str
    emulator: str
    collector: Mapping[str, str] = field(default_factory=dict, repr=False)
    app: Mapping[str, str] = field(default_factory=dict, repr=False)
    page: Mapping[str, str] = field(default_factory=dict, repr=False)
    sdks: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    takes_errors: bool = False
    emulated: Mapping[str, Callable[[Emulators, str], bool]] = field(default_factory=dict)
    read: Callable[[str, str], bool] | None = None
    page_of: Callable[[str], str] | None = None


class Resolved(Protocol):
    """The collector's config with its variables replaced."""

    @property
    def tree(self) -> Mapping[str, Any]:
        """As YAML has it."""


class Examined(Protocol):
    """What a vendor's checks look at."""

    @property
    def service_names(self) -> tuple[str, ...]:
        """What the services are called in telemetry."""

    @property
    def vendors(self) -> tuple[Vendor, ...]:
        """Those in use."""

    @property
    def config(self) -> Resolved:
        """What the collector works with."""

    def vendor(self, name: str) -> Vendor:
        """One of `vendors`."""

    def reachable(self, vendor: Vendor) -> bool:
        """Whether there is anybody to ask: the vendor itself, or its emulator while it runs."""


Check = Callable[[Any], Iterable[Finding]]
"""Gets an `Examined`."""


@dataclass(frozen=True)
class Shape:
    """What a key looks like, so that a typo is found before data is lost; `hint` is for who got it
    wrong. The wrong value itself is never shown.
    """

    pattern: re.Pattern[str]
    hint: str


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """A vendor's module as the rest of the stack sees it.

    `vendors`: those in use; the second argument is where processes of the chosen runtime reach the
    emulators. `checks`: doctor's, by name; called when doctor runs. `shapes`: by setting;
    `shapes_matter` is given everything that is set. `exporters`: by type, whose they are, where the
    exporter's name does not say it (`otlp_http/honeycomb` does). `follows`: variables of the
    collector's config that another setting decides. `public`: keys that only its emulator takes.
    """

    settings: type[VendorSettings]
    vendors: Callable[[Chosen, str], tuple[Vendor, ...]]
    checks: Callable[[], Mapping[str, Check]]
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    shapes_matter: Callable[[Mapping[str, str]], bool] = lambda _: True
    exporters: Mapping[str, str] = field(default_factory=dict)
    follows: Mapping[str, str] = field(default_factory=dict)
    public: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A vendor that doctor asks, or its emulator. `called`: by people."""

    about: About
    vendor: Vendor
    called: str

    @property
    def who(self) -> str:
        return self.called if self.vendor.live else f"the emulator for {self.called}"

    def problem(self, what: str, todo: str) -> Finding:
        """`todo` is for who has the vendor itself before him."""
        return self.about.problem(f"{self.who} {what}", todo if self.vendor.live else CLEAR_FAULTS)

    def refusal(
        self,
        answer: Answer,
        key: str,
        *,
        wrong: str,
        unwell: str,
        empty: Collection[int] = (),
        what: str = "requests",
    ) -> Finding | None:
        """What an answer means to which the vendor looked at `key` first; None where it takes it.

        `wrong`, `unwell`: what to do about the key, and about any other trouble. `empty`: statuses
        by which it finds fault with what was sent, past the key. `what`: it counts.
        """
        said = f"{answer.status_code}: {excerpt(answer)}"
        if answer.status_code in {401, 403}:
            return self.problem(f"refuses {key} ({said})", wrong)
        if answer.status_code == 429:  # noqa: PLR2004
            return self.about.warning(
                f"{self.who} has had too many {what} ({said})", "see its rate limits"
            )
        if answer.ok or answer.status_code in empty:
            return None
        return self.problem(f"answers {said}", unwell)


def not_running(about: About, name: str, vendor: Vendor) -> Finding:
    """What there is to say about a vendor whose emulator does not run at the moment."""
    return about.ok(f"{name} is played by an emulator ({vendor.why}), which comes with `make up`")


def revealed(key: SecretStr | None) -> str | None:
    """A key that is about to be handed on."""
    return key.get_secret_value() if key else None
