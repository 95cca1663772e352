"""Keys without a value, files and helpers that are not there, what is defined for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stack.collector_config.distribution import KINDS
from stack.config_traps.look import Look, Trap, called, walk

LOOKED_AT_BY_HAND = frozenset({"debug"})
"""Defined for whoever wants it in a pipeline for a while."""

FILE_KEYS = frozenset({"ca_file", "cert_file", "key_file", "client_ca_file"})
SECRET_KEYS = frozenset({"token", "password"})
KEY_HEADER = re.compile(r"key|token|team|auth|secret|licen[cs]e", re.IGNORECASE)


def empty_keys(look: Look) -> Iterator[Trap]:
    for owner, body in look.components("exporters", "extensions"):
        for keys, value in walk(body, owner):
            in_header = "headers" in keys[2:-1]
            if not in_header and keys[-1] not in SECRET_KEYS:
                continue
            if isinstance(value, dict | list):
                continue
            unset = look.config.unset.get(keys, [])
            # `Bearer ${env:TOKEN}` is not empty, and as useless.
            if not unset and value not in (None, ""):
                continue
            name = keys[-1]
            if unset:
                reason = f"{' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set"
                todo = f"set {unset[0]} in .env"
            else:
                reason, todo = "it has no value", "give it one, or take the line out"
            needed = not in_header or KEY_HEADER.search("/".join(keys[2:]))
            tell = look.problem if needed else look.warning
            yield tell(
                keys,
                f"{called(owner)} sends {'header ' if in_header else ''}{name} empty: {reason}",
                todo,
            )


def undefined_helpers(look: Look) -> Iterator[Trap]:
    defined, running = look.config.section("extensions"), set(look.extensions)
    for owner, body in look.components("receivers", "processors", "exporters", "extensions"):
        for keys, value in walk(body, owner):
            if keys[-1] not in {"authenticator", "storage"} or not isinstance(value, str):
                continue
            role = "authenticator" if keys[-1] == "authenticator" else "storage"
            if value not in defined:
                known = ", ".join(sorted(defined)) or "none"
                yield look.problem(
                    keys,
                    f"{called(owner)} uses the {role} {value}, which is not defined",
                    f"define it under extensions (there: {known})",
                )
            elif value not in running:
                yield look.problem(
                    keys,
                    f"{called(owner)} uses the {role} {value}, which is not started",
                    f"name {value} under service.extensions",
                )


def missing_files(look: Look) -> Iterator[Trap]:
    if not look.native:
        return
    for owner, body in look.components("receivers", "exporters", "extensions"):
        for keys, value in walk(body, owner):
            if keys[-1] not in FILE_KEYS or not isinstance(value, str):
                continue
            if not value:
                unset = look.config.unset.get(keys, [])
                if unset:
                    yield look.problem(
                        keys,
                        f"{called(owner)}: {keys[-1]} is empty, {unset[0]} is not set",
                        f"set {unset[0]} in .env",
                    )
            elif not (look.root / value).is_file():
                yield look.problem(
                    keys,
                    f"{called(owner)}: {keys[-1]} {value} does not exist",
                    "put the file there, or correct the path",
                )


def unused(look: Look) -> Iterator[Trap]:
    for kind in KINDS:
        used = look.used(kind)
        for name in look.config.section(kind):
            if name in used or name in LOOKED_AT_BY_HAND:
                continue
            where = "service.extensions" if kind == "extensions" else "a pipeline"
            yield look.warning(
                (kind, name),
                f"{called((kind, name))} is defined and does nothing",
                f"name it in {where}, or take it out",
            )
