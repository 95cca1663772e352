"""The emulators' account, as `make provision` sees and fills it."""

from __future__ import annotations

import json
from typing import Any

from emulators.aws.settings import Settings
from emulators.client import Client
from stack.collector_config.text import CONFIG_FILE, env_defaults
from stack.provision.account import Target
from stack.provision.change_set import ChangeSet, execute, propose
from stack.provision.template import Template, template_parameters
from stack.settings import ROOT

CLOUDWATCH = ("cloudformation", "logs", "cloudwatch", "sts")


def target_of(emulators: Client) -> Target:
    keys = Settings()
    return Target(
        "eu-west-1",
        {"xray": emulators.address("xray")} | dict.fromkeys(CLOUDWATCH, emulators.address("aws")),
        keys.access_key_id,
        keys.secret_access_key,
    )


def proposed(target: Target, **parameters: Any) -> ChangeSet | None:
    """What `make provision` would do; `parameters` are the template's."""
    config = (ROOT / CONFIG_FILE).read_text()
    given = template_parameters(env_defaults(config), "otlp", ["backend-flask"])
    given |= {name: str(value) for name, value in parameters.items()}
    return propose(target, Template.read(ROOT), given)


def provision(target: Target, **parameters: Any) -> None:
    """Do it, in one change set or, where something is taken over, two."""
    while (change_set := proposed(target, **parameters)) is not None:
        execute(target, change_set)


def planned(
    target: Target, template: Template | None = None, **parameters: Any
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Type and resolved properties by logical id, as CloudFormation would make them."""
    cloudformation = target.client("cloudformation")
    made = cloudformation.create_change_set(
        StackName="planned",
        ChangeSetName="planned",
        ChangeSetType="CREATE",
        TemplateBody=(template or Template.read(ROOT)).text,
        Parameters=[
            {"ParameterKey": name, "ParameterValue": str(value)}
            for name, value in parameters.items()
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    answer = cloudformation.describe_change_set(
        ChangeSetName=made["Id"], IncludePropertyValues=True
    )
    changes = [one["ResourceChange"] for one in answer["Changes"]]
    return {
        one["LogicalResourceId"]: (
            one["ResourceType"],
            json.loads(one["AfterContext"])["Properties"],
        )
        for one in changes
    }
