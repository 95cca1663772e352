"""What `.env` and the environment make of the settings, and how a mistake in them is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from stack.collector_config.text import CONFIG_FILE, env_defaults
from stack.compose_file import default_ports
from stack.errors import StackError
from stack.settings import REGION, ROOT, load_settings, which_stack
from stack.vendors.honeycomb import Settings as HoneycombSettings

CONFIG = """
receivers:
  otlp:
    protocols:
      http: {endpoint: "127.0.0.1:${env:OTLP_HTTP_PORT:-4318}"}
exporters:
  file: {path: "${env:TELEMETRY_DIR:-.run/telemetry}/traces.jsonl"}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "collector").mkdir()
    (tmp_path / "collector/otel-config.yaml").write_text(CONFIG)
    return tmp_path


def test_without_an_env_file_every_setting_has_its_default(root: Path) -> None:
    # when
    settings = load_settings(root, {})
    # then
    assert settings.port("BACKEND_PORT") == default_ports(ROOT)["BACKEND_PORT"]
    assert settings.runtime is None
    assert settings.collector == {
        "OTLP_HTTP_PORT": "4318",
        "TELEMETRY_DIR": ".run/telemetry",
        "AWS_REGION": REGION,
    }
    assert settings.port("OTLP_HTTP_PORT") == 4318


def test_the_env_file_sets_own_names_and_those_of_the_collectors_config(root: Path) -> None:
    # given
    (root / ".env").write_text("# mine\nBACKEND_PORT=5000\n\nexport OTLP_HTTP_PORT='5001'\n")
    # when
    settings = load_settings(root, {})
    # then
    assert (settings.port("BACKEND_PORT"), settings.port("OTLP_HTTP_PORT")) == (5000, 5001)


def test_of_several_mistakes_the_first_is_told(root: Path) -> None:
    names = ("PAGE", "WITH", "RUN_DIR", "PROJECT", "RUNTIME", "BACKEND_PORT", "COLLECTOR_BIN")
    for first in names:
        # given
        others = [name for name in names if name != first]
        (root / ".env").write_text("".join(f"{name}=\n" for name in (first, *others)))
        # then
        with pytest.raises(StackError, match=rf"^{first} is empty \(\.env line 1\)"):
            load_settings(root, {})


@pytest.mark.parametrize(
    "written",
    [
        b"\xef\xbb\xbfBACKEND_PORT=5000\nOTLP_HTTP_PORT=5001\n",
        b"\xef\xbb\xbfBACKEND_PORT=5000\r\n\r\n# mine\r\nOTLP_HTTP_PORT=5001\r\n",
        b"BACKEND_PORT=5000\r\nOTLP_HTTP_PORT=5001",
    ],
)
def test_a_file_that_was_written_on_windows_is_read(root: Path, written: bytes) -> None:
    # given
    (root / ".env").write_bytes(written)
    # when
    settings = load_settings(root, {})
    # then
    assert (settings.port("BACKEND_PORT"), settings.port("OTLP_HTTP_PORT")) == (5000, 5001)


def test_powershells_own_encoding_is_one_line_that_says_what_to_do(root: Path) -> None:
    # given
    (root / ".env").write_bytes("BACKEND_PORT=5000\r\n".encode("utf-16"))
    # then
    with pytest.raises(StackError, match=r"^\.env is not UTF-8 text \(byte 0\); save it as UTF-8$"):
        load_settings(root, {})


def test_a_mark_before_a_key_in_a_file_of_its_own_is_no_part_of_it(root: Path) -> None:
    # given
    key = "hcaik_" + "0123456789" * 5 + "01234567"
    (root / "key").write_bytes(b"\xef\xbb\xbf" + key.encode() + b"\r\n")
    # when
    settings = load_settings(root, {"HONEYCOMB_API_KEY_FILE": "key"})
    # then
    assert settings.of(HoneycombSettings).honeycomb_api_key == SecretStr(key)


def test_the_environment_wins_over_the_env_file(root: Path) -> None:
    # given
    (root / ".env").write_text("BACKEND_PORT=5000\nOTLP_HTTP_PORT=5001\n")
    # when
    settings = load_settings(root, {"BACKEND_PORT": "6000", "OTLP_HTTP_PORT": "6001"})
    # then
    assert (settings.port("BACKEND_PORT"), settings.port("OTLP_HTTP_PORT")) == (6000, 6001)


def test_an_empty_variable_of_the_environment_counts_as_not_set(root: Path) -> None:
    # given
    (root / ".env").write_text("BACKEND_PORT=5000\n")
    # when
    settings = load_settings(root, {"BACKEND_PORT": ""})
    # then
    assert settings.port("BACKEND_PORT") == 5000


def test_other_variables_of_the_environment_are_nobodys_business(root: Path) -> None:
    assert (
        load_settings(root, {"HOME": "/", "BACKEND_PROT": "1"}).ports
        == load_settings(root, {}).ports
    )


def test_a_config_named_in_the_env_file_gives_the_names(root: Path) -> None:
    # given
    (root / "other.yaml").write_text("# ${env:NOT_THIS_PORT:-1}\na: ${env:MY_PORT:-7000}\n")
    (root / ".env").write_text("COLLECTOR_CONFIG=other.yaml\nMY_PORT=7001\n")
    # when
    settings = load_settings(root, {})
    # then
    assert settings.collector["MY_PORT"] == "7001"
    assert "NOT_THIS_PORT" not in settings.collector


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "\nBACKEND_PROT=5000\n",
            "unknown name BACKEND_PROT in .env line 2; did you mean BACKEND_PORT?",
        ),
        ("otlp_http_port=1\n", "did you mean OTLP_HTTP_PORT?"),
        ("HONEYCOM_API_KEY=x\n", "did you mean HONEYCOMB_API_KEY?"),
        ("ZZZ=1\n", "unknown name ZZZ in .env line 1; .env.example lists the known names"),
        (
            "OTEL_SERVICE_NAME=mine\n",
            "OTEL_* settings stand in services/<service>/otel.env",
        ),
        ("BACKEND_PORT=\n", "BACKEND_PORT is empty (.env line 1)"),
        ("\nOTLP_HTTP_PORT=\n", "OTLP_HTTP_PORT is empty (.env line 2)"),
        (
            "BACKEND_PORT=1\nRUNTIME=native\nBACKEND_PORT=2\n",
            "BACKEND_PORT stands twice in .env (lines 1 and 3); keep one of them",
        ),
        ("BACKEND_PORT\n", ".env line 1 is not of the form NAME=value"),
        ("BACKEND_PORT=eighty\n", "BACKEND_PORT cannot be 'eighty' (.env line 1):"),
        ("BACKEND_PORT=0\n", "BACKEND_PORT cannot be '0' (.env line 1):"),
        ("PROFILES_PORT=65536\n", "PROFILES_PORT cannot be '65536' (.env line 1):"),
        (
            "OTLP_HTTP_PORT=70000\n",
            "OTLP_HTTP_PORT cannot be '70000' (.env line 1); a port is a number from 1 to 65535",
        ),
        ("OTLP_HTTP_PORT=0\n", "OTLP_HTTP_PORT cannot be '0' (.env line 1)"),
        ("RUNTIME=podman\n", "RUNTIME cannot be 'podman' (.env line 1):"),
        ("DEPLOYMENT_ENVIRONMENT=a,b=c\n", "DEPLOYMENT_ENVIRONMENT cannot be 'a,b=c' (.env line"),
        ("DEPLOYMENT_ENVIRONMENT=-x\n", "string should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]{"),
        ("COLLECTOR_CONFIG=gone.yaml\n", "gone.yaml cannot be read (No such file or directory)"),
    ],
)
def test_a_mistake_in_the_env_file_is_one_line_that_says_where(
    root: Path, text: str, message: str
) -> None:
    # given
    (root / ".env").write_text(text)
    # when
    with pytest.raises(StackError) as told:
        load_settings(root, {})
    # then
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_mistake_in_the_environment_says_that_it_stands_there(root: Path) -> None:
    with pytest.raises(StackError, match=r"WEB_CONCURRENCY cannot be '0' \(environment\)"):
        load_settings(root, {"WEB_CONCURRENCY": "0"})


def test_a_key_of_the_wrong_shape_is_named_and_never_shown(root: Path) -> None:
    # given
    (root / ".env").write_text("HONEYCOMB_API_KEY=hunter2-and-more\n")
    # when
    with pytest.raises(StackError) as told:
        load_settings(root, {})
    # then
    assert "HONEYCOMB_API_KEY" in str(told.value)
    assert "hunter2" not in str(told.value)


def test_a_key_does_not_show_in_what_settings_print(root: Path) -> None:
    # given
    key = "hcaik_" + "0123456789" * 5 + "01234567"
    # when
    settings = load_settings(root, {"HONEYCOMB_API_KEY": key})
    # then
    assert settings.of(HoneycombSettings).honeycomb_api_key == SecretStr(key)
    assert key not in repr(settings)


def test_a_config_that_sends_nothing_to_aws_still_has_its_region(root: Path) -> None:
    # given
    (root / ".env").write_text("AWS_REGION=eu-central-1\n")
    # then
    assert load_settings(root, {}).aws_region == "eu-central-1"
    # when
    (root / ".env").unlink()
    # then
    assert load_settings(root, {}).aws_region == REGION
    assert env_defaults((ROOT / CONFIG_FILE).read_text())["AWS_REGION"] == REGION


def test_a_name_of_an_exporter_that_was_taken_out_is_no_mistake(root: Path) -> None:
    """Swapping a vendor is an edit of the collector's config, and of nothing else."""
    # given
    (root / ".env.example").write_text("# Its log group.\n#CLOUDWATCH_LOG_GROUP=cruddur\n")
    (root / ".env").write_text("CLOUDWATCH_LOG_GROUP=\nBACKEND_PORT=5000\n")
    # when
    settings = load_settings(root, {})
    # then
    assert settings.idle == ("CLOUDWATCH_LOG_GROUP",)
    assert settings.port("BACKEND_PORT") == 5000
    assert "CLOUDWATCH_LOG_GROUP" not in settings.collector
    # when
    config = root / CONFIG_FILE
    config.write_text(config.read_text() + "  x: {group: '${env:CLOUDWATCH_LOG_GROUP:-a}'}\n")
    # then
    with pytest.raises(StackError, match="CLOUDWATCH_LOG_GROUP is empty"):
        load_settings(root, {})


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b"", "otel-config.yaml holds no collector config"),
        (b"- a\n- b\n", "otel-config.yaml holds no collector config"),
        (CONFIG.encode() + b"# pr\xfcf\n", "otel-config.yaml is not UTF-8 text (byte "),
    ],
)
def test_a_collectors_config_that_is_none_is_one_line(
    root: Path, written: bytes, message: str
) -> None:
    # given
    (root / CONFIG_FILE).write_bytes(written)
    # when
    with pytest.raises(StackError) as told:
        load_settings(root, {})
    # then
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_port_that_is_fixed_in_the_config_is_told_by_its_name(root: Path) -> None:
    # given
    config = root / CONFIG_FILE
    config.write_text(config.read_text().replace("${env:OTLP_HTTP_PORT:-4318}", "4318"))
    settings = load_settings(root, {})
    # when
    with pytest.raises(StackError) as told:
        settings.port("OTLP_HTTP_PORT")
    # then
    assert "collector/otel-config.yaml does not say ${env:OTLP_HTTP_PORT:-…}" in str(told.value)


@pytest.mark.parametrize(
    "spoiled", [b"HONEYCOMB_API_KY=x\n", b"BACKEND_PORT=\n", b"no line\n", b"A=1\nA=2\n", b"\xff\n"]
)
def test_which_stack_it_is_is_known_whatever_else_is_wrong(tmp_path: Path, spoiled: bytes) -> None:
    # given: no collector's config at all
    written = [b"\xef\xbb\xbfPROJECT=mine\r\n", spoiled, b"RUN_DIR=elsewhere\n"]
    (tmp_path / ".env").write_bytes(b"".join(written))
    with pytest.raises(StackError):
        load_settings(tmp_path, {})
    # when
    settings = which_stack(tmp_path, {"PROJECT": "of-the-environment"})
    # then
    assert (settings.project, str(settings.run_dir)) == ("of-the-environment", "elsewhere")
    assert which_stack(tmp_path, {}).project == "mine"


def test_a_stack_whose_name_cannot_be_right_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PROJECT=Not A Name\n")

    with pytest.raises(StackError, match=r"^PROJECT cannot be 'Not A Name' \(\.env\)"):
        which_stack(tmp_path, {})
