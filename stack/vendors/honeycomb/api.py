"""Honeycomb's own API: whose key it is, saved queries, deploy markers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stack.asking import UnreachableError, ask, excerpt
from stack.errors import StackError

QUERIES = "honeycomb/queries"
TIMEOUT_SECONDS = 10

_PERMISSIONS = {
    "queries": "Manage Queries and Columns",
    "query_annotations": "Manage Queries and Columns",
    "markers": "Manage Markers",
}


@dataclass(frozen=True, slots=True)
class Honeycomb:
    """Where and as whom: `endpoint` is https://api.honeycomb.io, the EU's or an emulator's."""

    endpoint: str
    key: str = field(repr=False)


class SavedQuery(BaseModel):
    """One file of honeycomb/queries: `query` is a Honeycomb query specification."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    description: str = Field(default="", max_length=280)
    query: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of one query: it was created, or was there already."""

    name: str
    query_id: str
    action: Literal["created", "unchanged"]


def load_queries(root: Path) -> list[SavedQuery]:
    """Read `root/honeycomb/queries/*.json` in the order of their names.

    Raises StackError that names the file and the field.
    """
    queries = []
    for path in sorted((root / QUERIES).glob("*.json")):
        try:
            queries.append(SavedQuery.model_validate_json(path.read_bytes()))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            name = path.relative_to(root)
            raise StackError(f"{name}: {where}: {first['msg']}", f"correct {where}") from error
    return queries


def permissions(honeycomb: Honeycomb) -> dict[str, bool]:
    """What the key may, by the names of GET /1/auth. Raises StackError when it is nobody's."""
    given = _call(honeycomb, "GET", "auth").get("api_key_access", {})
    return {str(name): bool(allowed) for name, allowed in given.items()}


def save_queries(honeycomb: Honeycomb, dataset: str, queries: Iterable[SavedQuery]) -> list[Saved]:
    """Create each query under its name, unless the same one is there already.

    Honeycomb never changes a query: one that differs is created beside the earlier one.
    Raises StackError; what was created before it stays.
    """
    place = quote(dataset, safe="")
    named: dict[str, list[str]] = {}
    for annotation in _call(honeycomb, "GET", f"query_annotations/{place}"):
        named.setdefault(annotation["name"], []).append(annotation["query_id"])
    return [_save(honeycomb, place, query, named.get(query.name, [])) for query in queries]


def _save(honeycomb: Honeycomb, place: str, wanted: SavedQuery, ids: Iterable[str]) -> Saved:
    for query_id in ids:
        found = _call(honeycomb, "GET", f"queries/{place}/{quote(query_id, safe='')}")
        if _says(found, wanted.query):
            return Saved(wanted.name, query_id, "unchanged")
    created = _call(honeycomb, "POST", f"queries/{place}", wanted.query)
    about = {"name": wanted.name, "description": wanted.description, "query_id": created["id"]}
    _call(honeycomb, "POST", f"query_annotations/{place}", about)
    return Saved(wanted.name, str(created["id"]), "created")


def send_marker(honeycomb: Honeycomb, message: str) -> str:
    """Draw a deploy at this moment into every graph of every dataset; return the marker's id.

    Raises StackError, for example when the key may not create markers.
    """
    marker = {"message": message, "type": "deploy"}
    return str(_call(honeycomb, "POST", "markers/__all__", marker)["id"])


def _says(found: Any, wanted: Any) -> bool:
    """Say whether `found` holds what was wanted; Honeycomb adds the defaults of the rest."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            _says(found.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(_says(*pair) for pair in zip(found, wanted, strict=True))
        )
    return bool(found == wanted)


def _call(honeycomb: Honeycomb, method: str, path: str, body: Any = None) -> Any:
    """Return the answer's JSON. Raises StackError in one line, without the key."""
    try:
        response = ask(
            method,
            f"{honeycomb.endpoint.rstrip('/')}/1/{path}",
            headers={"X-Honeycomb-Team": honeycomb.key},
            json=body,
            seconds=TIMEOUT_SECONDS,
        )
    except UnreachableError as silent:
        raise StackError(
            f"Honeycomb does not answer: {silent}", "check the network and HONEYCOMB_REGION"
        ) from None
    if not response.ok or response.is_redirect:
        raise StackError(
            f"Honeycomb answered {response.status_code} to {method} /1/{path}: {excerpt(response)}",
            _todo(response.status_code, path),
        )
    try:
        return response.json()
    except ValueError as error:
        raise StackError(
            f"{honeycomb.endpoint} answered {method} /1/{path} with something other than JSON",
            "check that this is Honeycomb's address",
        ) from error


def _todo(status: int, path: str) -> str:
    match status:
        case 401:
            return "check HONEYCOMB_API_KEY, and HONEYCOMB_REGION: a key is good in one region only"
        case 403:
            permission = _PERMISSIONS.get(path.split("/", maxsplit=1)[0], "for this")
            return f"use a configuration key with the permission {permission!r}"
        case 404:
            return "a dataset is there once it got its first event: make verify sends some"
        case 429:
            return "wait a minute and try again"
    return ""
