"""A site in Django that reads and writes, with the middleware and the banner of docs/CLIENTS.md."""

import os
import subprocess
import sys

import django
from django.conf import settings

TEMPLATE = "{% if read_only %}<p class=banner>Under maintenance.</p>{% endif %}{{ notes|length }} notes"

settings.configure(
    ALLOWED_HOSTS=["testserver"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ["PGHOST"],
            "PORT": os.environ["PGPORT"],
            "USER": os.environ["PGUSER"],
            "PASSWORD": os.environ["PGPASSWORD"],
            "NAME": os.environ["PGDATABASE"],
            "CONN_MAX_AGE": 60,
            "ATOMIC_REQUESTS": True,
        }
    },
    MIDDLEWARE=["django_frostgate.FrozenMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for this",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "context_processors": ["django_frostgate.banner"],
                "loaders": [("django.template.loaders.locmem.Loader", {"notes.html": TEMPLATE})],
            },
        }
    ],
)
django.setup()

from django.db import models  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.shortcuts import render  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402


class Note(models.Model):
    body = models.TextField(unique=True)

    class Meta:
        app_label = "notes"
        db_table = "notes"


def notes(request):
    if request.method == "POST":
        Note.objects.create(body=request.POST["body"])
        return HttpResponse(status=201)
    return render(request, "notes.html", {"notes": list(Note.objects.all())})


urlpatterns = [path("notes", notes)]
client = Client(raise_request_exception=False)


def get(when):
    answer = client.get("/notes")
    text = answer.content.decode()
    banner = ", with a banner" if "banner" in text else ""
    print(f"{when}: {answer.status_code} {text.split('>')[-1]}{banner}")


def post(when, body):
    answer = client.post("/notes", {"body": body})
    later = f" Retry-After {answer['Retry-After']}" if "Retry-After" in answer else ""
    print(f"{when}: {answer.status_code}{later}")


def turn(command):
    subprocess.run(os.environ[command], shell=True, check=True, stdout=subprocess.DEVNULL)


frozen = sys.argv[1] == "frozen"
get("open, GET")
post("open, POST", "before")
if frozen:
    turn("FREEZE")
    get("frozen, GET")
    post("frozen, POST", "refused")
    get("frozen, GET after it")
    turn("THAW")
post("thawed, POST", "after")
post("thawed, POST again", "after, in the pool")
get("thawed, GET")
