"""A collector config as the collector sees it: files merged, variables replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stack.collector_config.files import merged
from stack.collector_config.text import REFERENCE, load, shown, unescaped

Keys = tuple[str, ...]


@dataclass
class Config:
    """A config with its variables replaced.

    `lines`: `file:line` of a key by its path, the first file itself at (). `unset`: variables that
    had no value, by the path of the scalar that names them.
    """

    tree: dict[str, Any] = field(default_factory=dict)
    lines: dict[Keys, str] = field(default_factory=dict)
    unset: dict[Keys, list[str]] = field(default_factory=dict)

    def at(self, keys: Keys) -> str:
        """Where the last of `keys` that the files hold stands."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys, "")

    def at_key(self, owner: Keys, key: str) -> str:
        """Where `key` stands anywhere below `owner`; where `owner` does, without it."""
        below = (
            line
            for keys, line in self.lines.items()
            if keys[: len(owner)] == owner and keys[len(owner) :][-1:] == (key,)
        )
        return next(below, self.at(owner))

    def section(self, kind: str) -> dict[str, Any]:
        found = self.tree.get(kind)
        return found if isinstance(found, dict) else {}


def read(files: Sequence[Path], variables: Mapping[str, str]) -> Config:
    """`files` merged as `make up WITH=…` does: maps by key, `service.extensions` added to.

    `${env:NAME}` and `${env:NAME:-default}` are replaced from `variables`; one that is not there
    becomes empty. Raises StackError.
    """
    config = Config()
    for file in files:
        load(file)  # says in one line what is broken, and where
        config.lines.setdefault((), shown(file))
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        tree = _value(config, node, (), file, variables)
        if isinstance(tree, dict):
            config.tree = merged(config.tree, tree)
    return config


def _value(
    config: Config, node: yaml.Node | None, keys: Keys, file: Path, variables: Mapping[str, str]
) -> Any:
    constructor = yaml.constructor.SafeConstructor()
    if isinstance(node, yaml.MappingNode):
        constructor.flatten_mapping(node)
        found = {}
        for key, value in node.value:
            below = (*keys, str(key.value))
            config.lines.setdefault(below, f"{shown(file)}:{key.start_mark.line + 1}")
            found[str(key.value)] = _value(config, value, below, file, variables)
        return found
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            below = (*keys, str(index))
            config.lines[below] = f"{shown(file)}:{item.start_mark.line + 1}"
            items.append(_value(config, item, below, file, variables))
        return items
    if node is None:
        return None
    if "$" not in str(node.value):
        return constructor.construct_object(node)
    missing: list[str] = []
    text = expand(str(node.value), variables, missing)
    if missing:
        config.unset[keys] = missing
    # A whole scalar that is one variable takes the variable's type, as in the collector.
    whole = REFERENCE.fullmatch(str(node.value))
    return yaml.safe_load(text) if whole and text and _plain(text) else text


def expand(text: str, variables: Mapping[str, str], missing: list[str] | None = None) -> str:
    """`text` with its variables replaced; those without a value become "" and join `missing`."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        # The default is for an unset variable: an empty one stays empty, and is as bad.
        value = variables.get(match["name"], match["default"])
        if not value and match["default"] != "" and missing is not None:
            missing.append(match["name"])
        return unescaped(value or "")

    return REFERENCE.sub(replace, text)


def _plain(text: str) -> bool:
    return re.fullmatch(r"[0-9.]+|true|false", text) is not None
