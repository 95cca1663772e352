"""An edited collector config, applied without losing a span, or refused."""

from __future__ import annotations

from stack.collector_build import ensure_collector_binary
from stack.collector_config.files import ConfigTexts
from stack.config_check import lint
from stack.console import step
from stack.errors import StackError
from stack.runtimes.chosen import RUNTIMES
from stack.services import Plan
from stack.smoke import smoke


def reload(plan: Plan) -> bool:
    """Have the running collector go on with the edited config; say whether it differed.

    Checked first as `make validate` does, then by starting it beside the running one.
    While the collector changes over, for about a second, the services' exporters try again, and
    what it had accepted waits in its queues on disk. Raises StackError when the config is refused;
    the running one stays, or is brought back.
    """
    runtime = RUNTIMES[plan.runtime]
    running = ConfigTexts.read(plan.config_folder)
    with step("checking the edited config"):
        wanted = runtime.checked_config(plan)
    if wanted == running:
        return False
    lint(plan)
    if plan.settings.collector_image is None:
        with step("trying it beside the running collector"):
            binary = ensure_collector_binary(plan.root, plan.settings.collector_bin)
            smoke(binary, wanted, plan.process("collector").environment, plan.access)
    with step("changing over"):
        try:
            runtime.switch_config(plan, wanted)
        except BaseException as failed:
            runtime.switch_config(plan, running)
            if isinstance(failed, StackError):
                raise StackError(
                    f"the collector did not start with the new config and runs with the old one "
                    f"again ({failed.what})",
                    failed.todo,
                ) from None
            raise
    return True
