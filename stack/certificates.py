"""Certificates and a token for the development of this machine alone, made with openssl."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path

from stack.access import AUTHORITY, CERTIFICATE, KEY, TOKEN
from stack.errors import StackError
from stack.program import ProgramError, run
from stack.whole_file import replace_text

DAYS = 30
OPENSSL_SECONDS = 20
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make(server: Path, client: Path, names: Iterable[str]) -> None:
    """Fill both folders, over what they hold: a pair of certificates by one authority, a token.

    `names`: host names and addresses of the collector. The authority's key is not kept: it signs
    these two and nothing ever after. Raises StackError where there is no openssl.
    """
    for folder in (server, client):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The folder is 0700, so that no key is readable for others, not even while it is made.
    with tempfile.TemporaryDirectory(dir=server.parent) as temporary:
        work = Path(temporary)
        _authority(work)
        alternative = ",".join(_alternative(name) for name in names)
        _signed(work, "server", f"extendedKeyUsage=serverAuth\nsubjectAltName={alternative}\n")
        _signed(work, "client", "extendedKeyUsage=clientAuth\n")
        token = f"{secrets.token_hex(32)}\n"
        for name, folder in (("server", server), ("client", client)):
            replace_text(folder / CERTIFICATE, (work / f"{name}.crt").read_text(), 0o644)
            replace_text(folder / KEY, (work / f"{name}.key").read_text(), 0o600)
            replace_text(folder / AUTHORITY, (work / "ca.crt").read_text(), 0o644)
            replace_text(folder / TOKEN, token, 0o600)


def _authority(work: Path) -> None:
    _openssl(
        "req", "-x509", *NEW_KEY, "-days", str(DAYS), "-subj", "/CN=otel-stack development",
        "-addext", "keyUsage=critical,keyCertSign",
        "-keyout", str(work / "ca.key"), "-out", str(work / "ca.crt"),
    )  # fmt: skip


def _signed(work: Path, name: str, extensions: str) -> None:
    request, settings = work / f"{name}.csr", work / f"{name}.ext"
    settings.write_text(
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        f"subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n{extensions}"
    )
    _openssl(
        "req", *NEW_KEY, "-subj", f"/CN=otel-stack {name}",
        "-keyout", str(work / f"{name}.key"), "-out", str(request),
    )  # fmt: skip
    _openssl(
        "x509", "-req", "-in", str(request), "-days", str(DAYS), "-extfile", str(settings),
        "-CA", str(work / "ca.crt"), "-CAkey", str(work / "ca.key"), "-CAcreateserial",
        "-out", str(work / f"{name}.crt"),
    )  # fmt: skip


def _alternative(name: str) -> str:
    return f"IP:{name}" if name.replace(".", "").isdigit() or ":" in name else f"DNS:{name}"


def _openssl(*words: str) -> None:
    try:
        run(["openssl", *words], seconds=OPENSSL_SECONDS)
    except ProgramError as failed:
        raise StackError(
            f"openssl made no certificate ({failed})",
            "install openssl, or put files of your own into OTLP_SERVER_SECRETS and "
            "OTLP_CLIENT_SECRETS",
        ) from None
