"""X-Ray groups: a name for a filter expression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from emulators.aws.expressions import ExpressionError
from emulators.xray.filters import Predicate, compile_filter

Json = dict[str, Any]

MAX_GROUPS = 25
MAX_NAME = 32


class GroupError(Exception):
    """A change that X-Ray refuses with InvalidRequestException."""


@dataclass(slots=True)
class Groups:
    """The groups of one region by name."""

    arn_prefix: str
    groups: dict[str, Json] = field(default_factory=dict)
    predicates: dict[str, Predicate] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def create(self, request: Json) -> Json:
        """A new group. Raises GroupError."""
        name = request["GroupName"]
        if not 1 <= len(name) <= MAX_NAME or name == "Default":
            raise GroupError(f"GroupName must have 1 to {MAX_NAME} characters and not be Default")
        if name in self.groups:
            raise GroupError(f"Group {name} already exists")
        if len(self.groups) >= MAX_GROUPS:
            raise GroupError(f"no more than {MAX_GROUPS} groups")
        arn = f"{self.arn_prefix}:group/{name}/{next(self._numbers):026d}"
        return self._put({"GroupName": name, "GroupARN": arn}, request)

    def get(self, request: Json) -> Json:
        """The group with that name or ARN. Raises GroupError."""
        name, arn = request.get("GroupName"), request.get("GroupARN")
        if not name and not arn:
            raise GroupError("GroupName or GroupARN is needed")
        for group in self.groups.values():
            if group["GroupName"] == name or group["GroupARN"] == arn:
                return group
        raise GroupError(f"Group {name or arn} not found")

    def update(self, request: Json) -> Json:
        """A group with another filter or insights configuration. Raises GroupError."""
        return self._put(self.get(request), request)

    def delete(self, request: Json) -> Json:
        """Take a group away; answers nothing. Raises GroupError."""
        name = self.get(request)["GroupName"]
        del self.groups[name], self.predicates[name]
        return {}

    def _put(self, group: Json, request: Json) -> Json:
        expression = request.get("FilterExpression", group.get("FilterExpression", ""))
        try:
            predicate = (
                compile_filter(expression, of_group=True) if expression else (lambda _: True)
            )
        except ExpressionError as error:
            raise GroupError(f"Invalid filter expression: {error}") from None
        insights = request.get("InsightsConfiguration", group.get("InsightsConfiguration"))
        updated = {
            **group,
            "FilterExpression": expression,
            "InsightsConfiguration": {
                "InsightsEnabled": False,
                "NotificationsEnabled": False,
                **(insights or {}),
            },
        }
        self.groups[group["GroupName"]] = updated
        self.predicates[group["GroupName"]] = predicate
        return updated
