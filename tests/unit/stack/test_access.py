"""OTLP_ACCESS with files that cannot do: one line for each, before anything starts."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import trustme

from stack import access as module
from stack.access import AUTHORITY, CERTIFICATE, KEY, TOKEN, Access, check
from stack.certificates import DAYS, make
from stack.collector_config.distribution import missing_components
from stack.collector_config.text import CONFIG_FILE, env_defaults, parse
from stack.errors import StackError
from stack.fragments import load_file, merge
from stack.runtimes import docker, native
from stack.services import make_plan
from stack.settings import ROOT, Settings, load_settings

HOSTS = ("127.0.0.1", "collector")
NOW = dt.datetime.now(dt.UTC)
COLLECTOR = env_defaults((ROOT / CONFIG_FILE).read_text())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Access:
    folder = tmp_path_factory.mktemp("made")
    access = Access(("mtls", "token"), folder / "server", folder / "client")
    make(access.server, access.client, HOSTS)
    return access


@pytest.fixture
def access(made: Access, tmp_path: Path) -> Access:
    """A copy to spoil."""
    for side in ("server", "client"):
        shutil.copytree(getattr(made, side), tmp_path / side)
    return replace(made, server=tmp_path / "server", client=tmp_path / "client")


def told(access: Access) -> str:
    with pytest.raises(StackError) as refused:
        check(access, HOSTS)
    text = str(refused.value)
    assert "\n" not in text
    return text


def test_what_the_command_makes_is_good_for_a_month(made: Access) -> None:
    end = check(made, HOSTS)

    assert end is not None
    assert DAYS - 1 < (end - time.time()) / 86400 <= DAYS


def test_keys_and_tokens_are_for_their_owner_alone_and_the_authority_cannot_sign_again(
    made: Access,
) -> None:
    files = [*made.server.parent.rglob("*")]

    assert {file.name for file in files} == {
        "server", "client", AUTHORITY, CERTIFICATE, KEY, TOKEN,
    }  # fmt: skip
    for file in files:
        if file.name in {KEY, TOKEN}:
            assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("name", [AUTHORITY, CERTIFICATE, KEY, TOKEN])
def test_a_missing_file_is_named(access: Access, side: str, name: str) -> None:
    (getattr(access, side) / name).unlink()

    text = told(access)

    assert f"{side}/{name}, and there is no such file" in text
    assert "make certificates" in text


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("name", [KEY, TOKEN])
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_secret_that_others_can_read_is_refused(
    access: Access, side: str, name: str, mode: int
) -> None:
    file = getattr(access, side) / name
    file.chmod(mode)

    assert f"{file} can be read by other users (mode {mode:04o}); chmod 600 {file}" in told(access)


def test_only_what_is_asked_for_has_to_be_there(access: Access) -> None:
    for side in (access.server, access.client):
        (side / TOKEN).unlink()
        check(replace(access, ways=("mtls",)), HOSTS)
    (access.client / KEY).unlink()
    (access.server / AUTHORITY).unlink()

    assert check(replace(access, ways=("tls",)), HOSTS)
    assert check(replace(access, ways=()), HOSTS) is None


def test_a_key_of_another_certificate(access: Access) -> None:
    shutil.copy(access.client / KEY, access.server / KEY)

    assert f"{access.server / KEY} is not the key of {access.server / CERTIFICATE}" in told(access)


@pytest.mark.parametrize("name", [CERTIFICATE, KEY, AUTHORITY])
def test_what_is_no_pem(access: Access, name: str) -> None:
    (access.client / name).write_text("hunter2")

    text = told(access)

    assert str(access.client / name) in text
    assert "in PEM" in text
    assert "hunter2" not in text


def test_a_name_that_the_certificate_does_not_have(access: Access) -> None:
    with pytest.raises(StackError, match=r"server/tls\.crt is refused.*has to name gateway"):
        check(access, ["gateway"])


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize(
    ("days", "said"), [((-9, -1), "certificate has expired"), ((1, 9), "not yet valid")]
)
def test_a_certificate_out_of_its_time(
    access: Access, side: str, days: tuple[int, int], said: str
) -> None:
    authority = trustme.CA()
    begin, end = (NOW + dt.timedelta(days=day) for day in days)
    good = authority.issue_cert(*HOSTS)
    late = authority.issue_cert(*HOSTS, not_before=begin, not_after=end)
    for folder in (access.server, access.client):
        pair = late if folder.name == side else good
        (folder / CERTIFICATE).write_bytes(pair.cert_chain_pems[0].bytes())
        (folder / KEY).write_bytes(pair.private_key_pem.bytes())
        (folder / AUTHORITY).write_bytes(authority.cert_pem.bytes())

    text = told(access)

    assert f"{side}/tls.crt is refused" in text
    assert said in text


@pytest.mark.parametrize("side", ["server", "client"])
def test_a_certificate_of_another_authority(access: Access, side: str, tmp_path: Path) -> None:
    other = replace(access, server=tmp_path / "other/server", client=tmp_path / "other/client")
    make(other.server, other.client, HOSTS)
    for name in (CERTIFICATE, KEY):
        shutil.copy(getattr(other, side) / name, getattr(access, side) / name)

    assert f"{side}/tls.crt is refused" in told(access)


@pytest.mark.parametrize(
    ("side", "text", "said"),
    [
        ("server", "", "holds no token"),
        ("server", "short\n", "holds no token"),
        ("client", "with a blank " * 4, "holds no token"),
        ("client", f"{'0' * 64}\n", "is not among those in"),
        ("client", f"{'0' * 64}\n{'1' * 64}\n", "holds 2 tokens"),
    ],
)
def test_a_token_that_cannot_do(access: Access, side: str, text: str, said: str) -> None:
    (getattr(access, side) / TOKEN).write_text(text)

    shown = told(access)

    assert said in shown
    assert not text.strip() or text.strip() not in shown


@pytest.mark.parametrize(
    ("runtime", "first"),
    [(native, "prepare"), (docker, "require_engine")],
    ids=["native", "docker"],
)
def test_nothing_starts_and_nothing_is_built_before_the_files_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: ModuleType, first: str
) -> None:
    settings = Settings(
        collector=COLLECTOR, run_dir=tmp_path, otlp_access=("tls",), page="off",
        otlp_server_secrets=tmp_path / "gone",
    )  # fmt: skip
    plan = make_plan(settings, ROOT, runtime.__name__.rpartition(".")[2])
    monkeypatch.setattr(runtime, first, lambda *_: pytest.fail("something was begun"))

    with pytest.raises(StackError, match=r"gone/tls\.crt, and there is no such file"):
        runtime.up(plan)


def test_the_plan_is_made_without_its_secrets(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    settings = Settings(
        collector=COLLECTOR, otlp_access=("mtls", "token"), page="off",
        otlp_server_secrets=gone, otlp_client_secrets=gone,
    )  # fmt: skip

    assert make_plan(settings, ROOT, "native").otlp_url.startswith("https://")


@pytest.mark.parametrize("runtime", ["native", "docker"])
def test_the_services_get_opentelemetrys_own_variables(access: Access, runtime: str) -> None:
    settings = Settings(
        collector=COLLECTOR, otlp_access=("mtls", "token"), page="on",
        otlp_server_secrets=access.server, otlp_client_secrets=access.client,
    )  # fmt: skip
    plan = make_plan(settings, ROOT, runtime)
    folder = str(access.client) if runtime == "native" else "/run/otlp-secrets"

    for name in ("backend-flask", "profiles-flask", "frontend-react"):
        given = plan.process(name).environment
        assert given["OTEL_EXPORTER_OTLP_ENDPOINT"].startswith("https://")
        assert given["OTEL_EXPORTER_OTLP_CERTIFICATE"] == f"{folder}/{AUTHORITY}"
        assert given["OTEL_EXPORTER_OTLP_CLIENT_KEY"] == f"{folder}/{KEY}"
        token = (access.client / TOKEN).read_text().strip()
        assert given["OTEL_EXPORTER_OTLP_HEADERS"] == f"authorization=Bearer%20{token}"
    # The page itself is told of no collector: what it knows, everybody who opens it knows.
    assert "COLLECTOR_URL" not in plan.process("frontend-react").environment


@pytest.mark.parametrize("runtime", ["native", "docker"])
@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("name", [AUTHORITY, CERTIFICATE, KEY, TOKEN])
def test_whoever_has_what_was_renewed_is_started_anew(
    access: Access, runtime: str, side: str, name: str
) -> None:
    settings = Settings(
        collector=COLLECTOR, otlp_access=("mtls", "token"), page="on",
        otlp_server_secrets=access.server, otlp_client_secrets=access.client,
    )  # fmt: skip
    before = make_plan(settings, ROOT, runtime)
    with (getattr(access, side) / name).open("a") as file:
        file.write("\n# renewed\n")

    after = make_plan(settings, ROOT, runtime)

    changed = {
        old.name
        for old, new in zip(before.processes, after.processes, strict=True)
        if old.environment != new.environment
    }
    senders = {"backend-flask", "profiles-flask", "frontend-react"}
    assert changed == ({"collector"} if side == "server" else senders)


@pytest.mark.parametrize("name", ["tls", "mtls", "token"])
def test_each_part_runs_on_contrib_and_keeps_the_base_as_it_is(name: str) -> None:
    part = load_file(module.FRAGMENTS / f"{name}.yaml")
    base = (ROOT / CONFIG_FILE).read_text()

    merged = merge(base, [part])

    assert missing_components(part.tree, "contrib") == []
    assert [line for line in base.splitlines() if "#" in line and line not in merged] == []
    otlp = parse(merged, ROOT / CONFIG_FILE)["receivers"]["otlp"]["protocols"]
    key = "auth" if name == "token" else "tls"
    assert otlp["grpc"][key] == otlp["http"][key]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"OTLP_ACCESS": "mlts"}, "OTLP_ACCESS cannot be 'mlts' (environment)"),
        ({"OTLP_ACCESS": "open,token"}, "OTLP_ACCESS is both open and restricted (environment)"),
        ({"COLLECTOR_BIND": "0.0.0.0"}, "OTLP_BIND opens those of OTLP alone"),  # noqa: S104
        ({"OTLP_BIND": "192.0.2.1"}, "OTLP_BIND cannot be '192.0.2.1' (environment)"),
        *(
            (
                {"OTLP_BIND": "0.0.0.0", **ways},  # noqa: S104
                "OTLP_BIND lets other machines send, and OTLP_ACCESS does not ask them",
            )
            # A token in clear is everybody's; TLS alone asks nobody.
            for ways in ({}, {"OTLP_ACCESS": "tls"}, {"OTLP_ACCESS": "token"})
        ),
    ],
)
def test_nobody_opens_a_port_by_mistake(given: dict[str, str], said: str) -> None:
    with pytest.raises(StackError) as refused:
        load_settings(ROOT, given)

    assert said in str(refused.value)


@pytest.mark.parametrize("ways", ["mtls", "tls,token", "open"])
def test_a_port_is_opened_by_two_words(ways: str) -> None:
    settings = load_settings(ROOT, {"OTLP_BIND": "0.0.0.0", "OTLP_ACCESS": ways})  # noqa: S104

    assert settings.collector["OTLP_BIND"] == "0.0.0.0"  # noqa: S104


def test_without_openssl_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(StackError, match=r"openssl made no certificate .*install openssl"):
        make(tmp_path / "server", tmp_path / "client", HOSTS)


def test_renewing_leaves_no_key_behind(tmp_path: Path) -> None:
    for _ in range(2):
        make(tmp_path / "server", tmp_path / "client", HOSTS)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["client", "server"]
