"""gunicorn's settings for profiles-flask. BIND, WEB_CONCURRENCY and RELOAD move them."""

from otel_stack_distro.gunicorn.settings import settings
from profiles.people import load_people

globals().update(settings(app="profiles:create_app()", port=4568, check=load_people))
