"""Who may send OTLP to the collector, and what the stack's own senders show for it."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stack.errors import StackError

FRAGMENTS = Path("collector/access")
MAKE_THEM = "`make certificates` makes a set for this machine"

CERTIFICATE, KEY, AUTHORITY, TOKEN = "tls.crt", "tls.key", "ca.crt", "token"
"""As cert-manager calls them in a secret, so that one can be mounted as it is."""

# What RFC 6750 allows; 32 of 64 letters are 192 bits.
TOKEN_SHAPE = re.compile(r"[A-Za-z0-9._~+/-]{32,}=*")

SECRETS_DIGEST = "OTLP_SECRETS_SHA256"
"""A variable of every process that shows a certificate or a token, or trusts one: what is renewed
starts it anew at the next `make up`. The collector would show its old certificate for an hour, to
senders that trust the new authority alone; a service has its token in its environment.
"""

ROUND_TRIPS = 5
"""A handshake has three at most."""


@dataclass(frozen=True)
class Access:
    """`ways`: of `tls`, `mtls`, `token`, `open`; none of them is as `open`.

    `server` and `client`: the folders of what the collector and its senders show.
    """

    ways: tuple[str, ...]
    server: Path
    client: Path

    @property
    def mutual(self) -> bool:
        return "mtls" in self.ways

    @property
    def encrypted(self) -> bool:
        return self.mutual or "tls" in self.ways

    @property
    def by_token(self) -> bool:
        return "token" in self.ways

    @property
    def restricted(self) -> bool:
        """Whether a sender has to show anything, or trust anybody."""
        return self.encrypted or self.by_token

    @property
    def scheme(self) -> str:
        return "https" if self.encrypted else "http"

    @property
    def fragments(self) -> tuple[str, ...]:
        """The files of collector/access that make it so. `mtls` holds what `tls` does."""
        encrypted = ("mtls",) if self.mutual else ("tls",) if self.encrypted else ()
        return (*encrypted, *(("token",) if self.by_token else ()))

    @property
    def server_files(self) -> dict[str, Path]:
        names = [CERTIFICATE, KEY] if self.encrypted else []
        names += [AUTHORITY] if self.mutual else []
        names += [TOKEN] if self.by_token else []
        return {name: self.server / name for name in names}

    @property
    def client_files(self) -> dict[str, Path]:
        names = [AUTHORITY] if self.encrypted else []
        names += [CERTIFICATE, KEY] if self.mutual else []
        names += [TOKEN] if self.by_token else []
        return {name: self.client / name for name in names}

    @property
    def server_variables(self) -> dict[str, str]:
        """What the collector gets besides its folder; see `SECRETS_DIGEST`."""
        return {SECRETS_DIGEST: _digest(self.server_files)} if self.restricted else {}

    def sender_variables(self, folder: str) -> dict[str, str]:
        """OpenTelemetry's own variables, for a process that sees `client` as `folder`. The token is
        among them; one that cannot be read is left out, and `check` says so before anything starts.
        """
        found = {SECRETS_DIGEST: _digest(self.client_files)} if self.restricted else {}
        if self.encrypted:
            found["OTEL_EXPORTER_OTLP_CERTIFICATE"] = f"{folder}/{AUTHORITY}"
        if self.mutual:
            found["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] = f"{folder}/{CERTIFICATE}"
            found["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = f"{folder}/{KEY}"
        token = self._token()
        if token:
            found["OTEL_EXPORTER_OTLP_HEADERS"] = f"authorization={quote(f'Bearer {token}')}"
        return found

    def request_options(self) -> dict[str, Any]:
        """What `requests` needs in order to send here."""
        found: dict[str, Any] = {}
        if self.encrypted:
            found["verify"] = str(self.client / AUTHORITY)
        if self.mutual:
            found["cert"] = (str(self.client / CERTIFICATE), str(self.client / KEY))
        if self.by_token:
            found["headers"] = {"Authorization": f"Bearer {self._token()}"}
        return found

    def _token(self) -> str | None:
        if not self.by_token:
            return None
        try:
            return (self.client / TOKEN).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return None


def _digest(files: Mapping[str, Path]) -> str:
    """Of what is there: a plan is made without its secrets too, and `check` tells of those."""
    seen = hashlib.sha256()
    for name, file in files.items():
        try:
            content = file.read_bytes()
        except OSError:
            content = b""
        seen.update(f"{name}\0{len(content)}\0".encode() + content)
    return seen.hexdigest()


def check(access: Access, hosts: Iterable[str]) -> float | None:
    """When the first of the certificates ends, in seconds since 1970; None without any.

    Raises StackError of one line for what would keep senders out, or let others in: a file that is
    missing, readable by others, expired, not of its key, not for one of `hosts`. The files
    themselves are tried: both sides of a handshake, in memory.
    """
    for file in (*access.server_files.values(), *access.client_files.values()):
        _check_file(file)
    if access.by_token:
        _check_tokens(access)
    if not access.encrypted:
        return None
    server, client = _contexts(access)
    return min(_shake_hands(access, server, client, host) for host in hosts)


def _check_file(file: Path) -> None:
    if not file.is_file():
        raise StackError(f"OTLP_ACCESS needs {file}, and there is no such file", MAKE_THEM)
    try:
        with file.open("rb"):
            pass
    except OSError as failed:
        raise StackError(
            f"{file} cannot be read ({failed.strerror})", f"see `ls -l {file}`"
        ) from None
    mode = file.stat().st_mode & 0o777
    if file.name in {KEY, TOKEN} and mode & 0o077:
        raise StackError(
            f"{file} can be read by other users (mode {mode:04o})",
            f"chmod 600 {file}, and make a new one if others were here",
        )


def _check_tokens(access: Access) -> None:
    server, client = access.server / TOKEN, access.client / TOKEN
    taken = _lines(server)
    for file, tokens in ((server, taken), (client, _lines(client))):
        if not tokens or not all(TOKEN_SHAPE.fullmatch(token) for token in tokens):
            raise StackError(
                f"{file} holds no token",
                "a token is a line of 32 or more letters, digits and -._~+/; "
                "`openssl rand -hex 32` makes one",
            )
    sent = _lines(client)
    if len(sent) != 1:
        raise StackError(f"{client} holds {len(sent)} tokens", "keep the one that is to be sent")
    if sent[0] not in taken:
        raise StackError(f"the token in {client} is not among those in {server}", "add it there")


def _lines(file: Path) -> list[str]:
    text = file.read_bytes().decode(errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _contexts(access: Access) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load_pair(server, access.server)
    _load_authority(client, access.client)
    if access.mutual:
        _load_pair(client, access.client)
        _load_authority(server, access.server)
        server.verify_mode = ssl.CERT_REQUIRED
    return server, client


def _load_pair(context: ssl.SSLContext, folder: Path) -> None:
    certificate, key = folder / CERTIFICATE, folder / KEY
    try:
        # Without a password of its own, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as refused:
        if "MISMATCH" in (refused.reason or ""):
            raise StackError(f"{key} is not the key of {certificate}", MAKE_THEM) from None
        raise StackError(
            f"{certificate} and {key} are no certificate and key in PEM "
            f"({refused.reason or refused})",
            "a key with a password cannot be used",
        ) from None


def _load_authority(context: ssl.SSLContext, folder: Path) -> None:
    file = folder / AUTHORITY
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as refused:
        raise StackError(
            f"{file} holds no certificate in PEM ({refused.reason or refused})", MAKE_THEM
        ) from None


def _shake_hands(
    access: Access, server: ssl.SSLContext, client: ssl.SSLContext, host: str
) -> float:
    """When the first of the certificates that were shown ends."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = {
        access.server: client.wrap_bio(to_client, to_server, server_hostname=host),
        access.client: server.wrap_bio(to_server, to_client, server_side=True),
    }
    for _ in range(ROUND_TRIPS):
        for shown, side in sides.items():
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as refused:
                raise StackError(
                    f"{shown / CERTIFICATE} is refused: {refused.verify_message.rstrip('.')}",
                    _what_to_do(refused, shown, host),
                ) from None
            except ssl.SSLError as failed:
                raise StackError(
                    f"{access.server} and {access.client} do not come together "
                    f"({failed.reason or failed})",
                    MAKE_THEM,
                ) from None
    shown_to_each = (side.getpeercert() for side in sides.values())
    return min(ssl.cert_time_to_seconds(str(one["notAfter"])) for one in shown_to_each if one)


EXPIRED = 10
NOT_YET = 9


def _what_to_do(refused: ssl.SSLCertVerificationError, shown: Path, host: str) -> str:
    if refused.verify_code in {EXPIRED, NOT_YET}:
        return f"renew it, or look at the clock; {MAKE_THEM}"
    if "certificate is not valid for" in refused.verify_message:
        return f"it has to name {host} among its subject alternative names"
    return f"{AUTHORITY} on the other side has to hold the authority that signed what is in {shown}"
