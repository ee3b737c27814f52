"""Django's ORM on psycopg, with Django's own pool."""

import os

import django
from django.conf import settings

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ["PGHOST"],
            "PORT": os.environ["PGPORT"],
            "USER": os.environ["PGUSER"],
            "PASSWORD": os.environ["PGPASSWORD"],
            "NAME": os.environ["PGDATABASE"],
            "OPTIONS": {"pool": {"min_size": 1, "max_size": 1}},
        }
    },
    USE_TZ=True,
)
django.setup()

from django.db import Error, connection, models, transaction  # noqa: E402

from story import READ, TYPES, freeze, name, run, say, thaw  # noqa: E402


class Note(models.Model):
    body = models.TextField(unique=True)

    class Meta:
        app_label = "notes"
        db_table = "notes"


def told(act):
    try:
        return act()
    except Error as error:
        cause = error.__cause__
        return f"{name(error)}({name(cause)}) {cause.sqlstate} {cause.diag.message_primary}"


def asked(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def change(body):
    with transaction.atomic():
        note = Note.objects.get(id=1)
        note.body = body
        note.save()


def plain():
    say("types", asked(TYPES))
    say("created", Note.objects.create(body="third").id)
    say("many", len(Note.objects.bulk_create(Note(body=f"many {n}") for n in range(50))))
    say("unique", told(lambda: Note.objects.create(body="third")))
    say("or created", Note.objects.get_or_create(body="third")[1])
    change("changed")
    with transaction.atomic():
        Note.objects.create(body="kept")
        try:
            with transaction.atomic():
                Note.objects.create(body="dropped")
                raise KeyError
        except KeyError:
            pass
    with transaction.atomic():
        say("locked", Note.objects.select_for_update().filter(body="kept").count())
    say("notes", list(Note.objects.order_by("id").values_list("body", flat=True)))
    say("streamed", sum(len(note.body) for note in Note.objects.all().iterator(chunk_size=7)))
    say("deleted", Note.objects.filter(body__startswith="many").delete())


def frozen():
    insert = "INSERT INTO notes (body) VALUES ('refused')"
    Note.objects.create(body="before")
    pid = asked("SELECT pg_backend_pid()")
    for _ in range(7):
        asked(READ)
    freeze()
    say("simple read", asked(READ)[0])
    say("prepared read", asked(READ)[0])
    with transaction.atomic():
        say("read in a transaction", Note.objects.count())
    connection.close()  # back to the pool, as after each request
    say("read in a pool", Note.objects.count())
    say("write", told(lambda: asked(insert)))
    say("prepared write", told(lambda: Note.objects.create(body="refused")))
    say("write in a transaction", told(lambda: change("refused")))
    connection.close()
    say("write in a pool", told(lambda: Note.objects.create(body="refused")))
    say("read after it", Note.objects.count())
    connection.close()
    say("read in the pool after it", Note.objects.count())
    same = str(asked("SELECT pg_backend_pid()") == pid).lower()
    say("same connection in the pool", same)
    say("same connection", same)
    thaw()
    say("thawed, prepared read", asked(READ)[0])
    say("thawed, prepared write", 1 if Note.objects.create(body="after").id else 0)
    connection.close()
    say("thawed, write in the pool", 1 if Note.objects.create(body="after, in the pool").id else 0)
    connection.close()
    connection.close_pool()


run(plain, frozen)
