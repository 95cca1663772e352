"""Django in one file. As in `startproject`'s wsgi.py, it is the program that names its settings."""

import logging
import os

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

SECRET_KEY = "none"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = __name__
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}


def order(_: HttpRequest, number: int) -> JsonResponse:
    logging.getLogger("orders").warning("order %d", number)
    return JsonResponse({"order": number})


urlpatterns = [path("orders/<int:number>", order)]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", __name__)
app = get_wsgi_application()
