"""CloudFormation resources that moto lacks; importing this makes them known to it."""

from __future__ import annotations
