"""psycopg 3, with its pool."""

import threading

import psycopg
from psycopg_pool import ConnectionPool

from story import DSN, READ, TYPES, freeze, name, run, say, thaw


def told(act):
    try:
        return act()
    except psycopg.Error as error:
        return f"{name(error)} {error.sqlstate} {error.diag.message_primary}"


def plain():
    with psycopg.connect(DSN, autocommit=True) as db:
        for binary in (False, True):
            with db.cursor(binary=binary) as cursor:
                say("types", cursor.execute(TYPES).fetchone())
                say("columns", [(c.name, c.type_code) for c in cursor.description])
        for turn in range(8):  # from the sixth on it is prepared
            say("prepared", db.execute("SELECT %s::int + 1, %s::text", (turn, "ä" * turn)).fetchone())
        say("returning", db.execute("INSERT INTO notes (body) VALUES (%s) RETURNING id", ("third",)).fetchall())
        say("updated", db.execute("UPDATE notes SET body = body || '!'").rowcount)
        say("unique", told(lambda: db.execute("INSERT INTO notes (body) VALUES ('third!')")))
        say("syntax", told(lambda: db.execute("SELEC 1")))
        with db.transaction():
            db.execute("INSERT INTO notes (body) VALUES ('kept')")
            with db.transaction(force_rollback=True):
                db.execute("INSERT INTO notes (body) VALUES ('dropped')")
        say("notes", db.execute("SELECT body FROM notes ORDER BY id").fetchall())
        with db.cursor() as cursor:
            cursor.executemany("INSERT INTO notes (body) VALUES (%s)", [(f"many {n}",) for n in range(50)])
            with cursor.copy("COPY notes (body) FROM STDIN") as copy:
                for n in range(50):
                    copy.write_row((f"copied {n}",))
            with cursor.copy("COPY (SELECT body FROM notes ORDER BY id) TO STDOUT") as copy:
                say("copied", [row[0] for row in copy.rows()])
        with db.pipeline():
            cursors = [db.execute("SELECT %s::int", (n,)) for n in range(20)]
        say("pipeline", [cursor.fetchone()[0] for cursor in cursors])
        say("large", db.execute("SELECT length(%s::text), md5(%s::text)", ("x" * 1_000_000,) * 2).fetchone())
        say("rows", sum(row[0] for row in db.execute("SELECT generate_series(1, 20000)")))
        with db.transaction(), db.cursor("by_name") as cursor:
            cursor.execute("SELECT generate_series(1, 500)")
            say("cursor", sum(row[0] for row in cursor))
        db.execute("LISTEN news")
        db.execute("NOTIFY news, 'hello'")
        say("notified", [(n.channel, n.payload) for n in db.notifies(timeout=5, stop_after=1)])
        threading.Timer(0.3, db.cancel_safe).start()
        say("cancelled", told(lambda: db.execute("SELECT pg_sleep(20)")))
        notices = []
        db.add_notice_handler(lambda notice: notices.append((notice.severity, notice.message_primary)))
        db.execute("DO $$ BEGIN RAISE WARNING 'take care'; END $$")
        say("notices", notices)
    with ConnectionPool(DSN, min_size=2, max_size=4) as pool:
        for _ in range(6):
            with pool.connection() as db:
                say("pool", db.execute(READ).fetchone())


def frozen():
    insert = "INSERT INTO notes (body) VALUES (%s)"
    update = "UPDATE notes SET body = 'refused' WHERE id = 1"
    pool = ConnectionPool(DSN, min_size=1, max_size=1, open=True)
    with psycopg.connect(DSN, autocommit=True) as db, pool:
        pid = db.info.backend_pid
        with pool.connection() as pooled:
            pool_pid = pooled.info.backend_pid
        db.execute(insert, ("before",), prepare=True)
        db.execute(READ, prepare=True)
        freeze()
        say("simple read", psycopg.ClientCursor(db).execute(READ).fetchone()[0])
        say("prepared read", db.execute(READ, prepare=True).fetchone()[0])
        with db.transaction():
            say("read in a transaction", db.execute(READ).fetchone()[0])
        with pool.connection() as pooled:
            say("read in a pool", pooled.execute(READ).fetchone()[0])
        say("write", told(lambda: psycopg.ClientCursor(db).execute(insert, ("refused",))))
        say("prepared write", told(lambda: db.execute(insert, ("refused",), prepare=True)))

        def block():
            with db.transaction():
                db.execute(update)

        say("write in a transaction", told(block))

        def by_pool():
            with pool.connection() as pooled:
                pooled.execute(insert, ("refused",))

        say("write in a pool", told(by_pool))
        say("read after it", db.execute(READ, prepare=True).fetchone()[0])
        with pool.connection() as pooled:
            say("read in the pool after it", pooled.execute(READ).fetchone()[0])
            say("same connection in the pool", str(pooled.info.backend_pid == pool_pid).lower())
        say("same connection", str(db.info.backend_pid == pid and not db.closed).lower())
        thaw()
        say("thawed, prepared read", db.execute(READ, prepare=True).fetchone()[0])
        say("thawed, prepared write", db.execute(insert, ("after",), prepare=True).rowcount)
        with pool.connection() as pooled:
            say("thawed, write in the pool", pooled.execute(insert, ("after, in the pool",)).rowcount)


run(plain, frozen)
