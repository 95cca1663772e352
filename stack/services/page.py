"""The process that serves the page, and sends its spans where a browser may not."""

from __future__ import annotations

from pathlib import Path

from stack.page_build import BUILT, can_serve_page
from stack.python_env import PythonEnv
from stack.services.model import PAGE, Plan, merged
from stack.services.process import Process
from stack.services.sending import sending
from stack.settings import Settings


def has_page(settings: Settings, root: Path) -> bool:
    """Whether the page is part of the stack: unless the user said, where it can be built."""
    return settings.page == "on" or (settings.page is None and can_serve_page(root))


def page(plan: Plan) -> Process:
    port = plan.settings.frontend_port
    server = plan.root / "services/frontend/server"
    python = PythonEnv(
        plan.root / ".run/page-venv", server / "requirements.txt", "the page's server"
    )
    return Process(
        name=PAGE,
        argv=(str(python.bin / "gunicorn"), "page:create_app()"),
        cwd=server,
        environment={
            "PAGE_DIR": str(plan.root / BUILT),
            "BIND": f"127.0.0.1:{port}",
            "PYTHONUNBUFFERED": "1",
            "BACKEND_URL": plan.backend_url,
            # A browser has neither certificate nor token: its server sends for it.
            **(sending(plan) if plan.access.restricted else {"COLLECTOR_URL": plan.otlp_url}),
            "FRONTEND_ORIGINS": ",".join(plan.settings.page_origins),
            **{
                name: plan.environment[name]
                for name in ("RELEASE", "DEPLOYMENT_ENVIRONMENT", "DEBUG_ROUTES")
            },
            **merged(vendor.page for vendor in plan.vendors),
        },
        ports={"FRONTEND_PORT": port},
        health=f"http://127.0.0.1:{port}/health",
        start_order=40,
        python=python,
    )
