"""gunicorn's settings for any app: `gunicorn -c python:otel_stack_distro.gunicorn.conf`, or in a
gunicorn.conf.py of the app's own `from otel_stack_distro.gunicorn.conf import *`.
"""

from otel_stack_distro.gunicorn.settings import settings

globals().update(settings())
