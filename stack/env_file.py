"""`.env` as it is written, and the files of their own that keys may be in."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from dotenv.parser import parse_stream

from stack.errors import StackError, quoted
from stack.suggest import closest

ENV_FILE = ".env"
EXAMPLE_FILE = ".env.example"

LONGEST_NAME = 40

SLIP = 0.8
"""How alike a slip and the name that was meant are. HONEYCOMB_KEY for HONEYCOMB_API_KEY: 0.87. Of
20 names of vendors that the stack knows nothing of the closest, HONEYBADGER_API_KEY, has 0.78.
"""


_KEY_FILE_LIMIT = 16 * 1024


def read_env_file(path: Path) -> dict[str, tuple[str, int]]:
    """Values and line numbers by name."""
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as failed:
        raise StackError(f"{ENV_FILE} cannot be read ({failed.strerror})") from None
    except UnicodeDecodeError as failed:
        raise StackError(
            f"{ENV_FILE} is not UTF-8 text (byte {failed.start})", "save it as UTF-8"
        ) from None
    found: dict[str, tuple[str, int]] = {}
    for binding in parse_stream(io.StringIO(text)):
        line = binding.original.line + _leading_newlines(binding.original.string)
        if binding.error or (binding.key is not None and binding.value is None):
            raise StackError(
                f"{ENV_FILE} line {line} is not of the form NAME=value",
                "write it so, or put a # before it",
            )
        if binding.key is None or binding.value is None:
            continue
        if binding.key in found:
            raise StackError(
                f"{_shown_name(binding.key)} stands twice in {ENV_FILE} "
                f"(lines {found[binding.key][1]} and {line})",
                "keep one of them",
            )
        found[binding.key] = (binding.value.strip(), line)
    return found


def read_names(path: Path, names: Collection[str]) -> dict[str, str]:
    """What the file says of these names, whatever is wrong with its other lines."""
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as failed:
        raise StackError(f"{ENV_FILE} cannot be read ({failed.strerror})") from None
    return {
        binding.key: binding.value.strip()
        for binding in parse_stream(io.StringIO(text))
        if binding.key in names and binding.key and binding.value
    }


def _leading_newlines(text: str) -> int:
    return len(text) - len(text.lstrip("\n"))


def documented_names(root: Path) -> set[str]:
    """The names that .env.example explains; none where it was deleted."""
    try:
        text = (root / EXAMPLE_FILE).read_text(encoding="utf-8")
    except OSError:
        return set()
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", text, re.MULTILINE))


def check_known(name: str, line: int, known: Iterable[str]) -> str:
    """What is to be said of a name that nobody knows, "" of a known one: it may be the key of a
    vendor that was taken out of the collector's config.

    Raises StackError for what looks like a slip: a name close to a known one, or none at all.
    """
    if name in known:
        return ""
    if name.startswith("OTEL_"):
        raise StackError(
            f"{name} does not belong in {ENV_FILE} (line {line})",
            "OTEL_* settings stand in services/<service>/otel.env",
        )
    close = closest(name.upper(), known, SLIP)
    unknown = f"unknown name {name if close else _shown_name(name)} in {ENV_FILE} line {line}"
    if close:
        raise StackError(unknown, f"did you mean {close}?")
    if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", name) is None:
        raise StackError(unknown, f"{EXAMPLE_FILE} lists the known names")
    return f"{unknown} is ignored: nothing asks for it"


def _shown_name(name: str) -> str:
    """A key that was written where a name belongs must not be printed."""
    like_a_name = re.fullmatch(r"[A-Za-z]{1,12}(_[A-Za-z]{1,12})*", name)
    return name if like_a_name and len(name) <= LONGEST_NAME else quoted(name)


def read_key_files(
    pointers: Iterable[str], values: dict[str, str], origins: dict[str, str], root: Path
) -> tuple[Path, ...]:
    """Put what the files hold into `values`, under the keys' own names. Returns the files."""
    files = []
    for pointer in sorted(pointers):
        name = pointer.removesuffix("_FILE")
        path, origin = root / values.pop(pointer), origins.pop(pointer)
        if name in values:
            raise StackError(
                f"{name} ({origins[name]}) and {pointer} ({origin}) are both set",
                "keep one of them",
            )
        # The path is not shown: it may be the key itself, under the wrong name.
        try:
            key = path.read_bytes()[:_KEY_FILE_LIMIT].decode("utf-8-sig").strip()
        except OSError as failed:
            raise StackError(
                f"the file that {pointer} names cannot be read ({origin}): {failed.strerror}",
                f"write the key into a file, and its path, seen from {root}, after {pointer}=",
            ) from None
        except UnicodeDecodeError:
            key = ""
        if not key or len(key.split()) != 1:
            raise StackError(
                f"the file that {pointer} names ({origin}) does not hold one word",
                "write the key into it, and nothing else",
            )
        values[name], origins[name] = key, f"the file that {pointer} names"
        files.append(path)
    return tuple(files)
