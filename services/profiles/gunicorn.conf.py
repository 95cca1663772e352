"""gunicorn's settings for profiles-flask. BIND, WEB_CONCURRENCY and RELOAD move them."""

from profiles.people import load_people
from serving.gunicorn_settings import settings

globals().update(settings(app="profiles:create_app()", port=4568, check=load_people))
