"""A Jaeger for `make up WITH=jaeger` where there is none yet."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

ENDPOINT = "JAEGER_ENDPOINT"
IMAGE = "cr.jaegertracing.io/jaegertracing/jaeger:2.21.0"
ANSWER_SECONDS = 1

# Its own ports are the collector's, too: in a container they are apart, and so they are at another
# address of this machine.
HOW = (
    f"`docker run --rm -p 127.0.0.1:16686:16686 -p 127.0.0.1:14317:4317 {IMAGE}` starts one for "
    f"{ENDPOINT}=127.0.0.1:14317; without Docker, on Linux, take the binary from "
    f"https://www.jaegertracing.io/download/ and `JAEGER_LISTEN_HOST=127.0.0.2 ./jaeger` for "
    f"{ENDPOINT}=127.0.0.2:4317"
)


def absent(endpoint: str, runtime: str, project: str) -> str:
    """That nobody answers where Jaeger should be, and how to have one; "" where somebody does.

    What a name inside of Docker's network stands for is not known out here.
    """
    parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    host = parts.hostname or ""
    if runtime == "docker":
        if host not in {"127.0.0.1", "localhost", "::1"}:
            return ""
        return (
            f"{ENDPOINT}={endpoint} is the collector's own container; `docker run --rm --name "
            f"jaeger --network {project}_default -p 127.0.0.1:16686:16686 {IMAGE}` starts a "
            f"Jaeger for {ENDPOINT}=jaeger:4317"
        )
    try:
        socket.create_connection((host, parts.port or 4317), timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError):
        return (
            f"nobody answers at {ENDPOINT}={endpoint}; spans wait for it on disk. {HOW}. Its page "
            "is on port 16686 there"
        )
    return ""
