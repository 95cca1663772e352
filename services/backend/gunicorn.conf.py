"""gunicorn's settings for backend-flask. BIND, WEB_CONCURRENCY and RELOAD move them."""

from cruddur.config import Config
from otel_stack_distro.gunicorn.settings import settings

globals().update(settings(app="cruddur:create_app()", port=8000, check=Config.from_environ))
