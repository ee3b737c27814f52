"""SQLAlchemy on psycopg, with the engine's pool and the ORM."""

import os

from sqlalchemy import URL, create_engine, exc, func, select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from story import READ, TYPES, freeze, name, run, say, thaw

url = URL.create("postgresql+psycopg", os.environ["PGUSER"], os.environ["PGPASSWORD"], os.environ["PGHOST"],
                 int(os.environ["PGPORT"]), os.environ["PGDATABASE"])


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]


def told(act):
    try:
        return act()
    except exc.DBAPIError as error:
        cause = error.orig
        lost = " (connection given up)" if error.connection_invalidated else ""
        return f"{name(error)}({name(cause)}) {cause.sqlstate} {cause.diag.message_primary}{lost}"


def count(session):
    return session.scalar(select(func.count()).select_from(Note))


def add(engine, *bodies):
    with Session(engine) as session:
        session.add_all(Note(body=body) for body in bodies)
        session.commit()
        return len(bodies)


def plain():
    engine = create_engine(url, pool_size=3)
    with engine.connect() as db:
        say("types", db.exec_driver_sql(TYPES).all())
        say("version", db.dialect.server_version_info)
    say("added", add(engine, "third", *(f"many {n}" for n in range(50))))
    say("unique", told(lambda: add(engine, "third")))
    with Session(engine) as session:
        session.execute(update(Note).values(body=Note.body + "!"))
        with session.begin_nested() as inner:
            session.add(Note(body="dropped"))
            session.flush()
            inner.rollback()
        session.commit()
        say("notes", session.scalars(select(Note.body).order_by(Note.id)).all())
        say("streamed", sum(session.execute(text("SELECT generate_series(1, 5000)").execution_options(yield_per=100)).scalars()))
    for level in ("SERIALIZABLE", "REPEATABLE READ", "AUTOCOMMIT"):
        with engine.connect().execution_options(isolation_level=level) as db:
            say(level, db.scalar(text("SHOW transaction_isolation")))
    engine.dispose()


def frozen():
    # The pool asks each connection for a sign of life before it is used.
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True)
    pids = set()

    def pid():
        with engine.connect() as db:
            pids.add(db.scalar(text("SELECT pg_backend_pid()")))

    add(engine, "before")
    pid()
    with engine.connect() as db:
        for _ in range(7):  # psycopg has prepared it by then
            db.execute(text(READ))
    freeze()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        say("simple read", db.scalar(text(READ)))
    with engine.connect() as db:
        say("prepared read", db.scalar(text(READ)))
    with Session(engine) as session, session.begin():
        say("read in a transaction", count(session))
    with Session(engine) as session:
        say("read in a pool", count(session))

    def insert(level):
        with engine.connect().execution_options(isolation_level=level) as db:
            db.execute(text("INSERT INTO notes (body) VALUES ('refused')"))
            db.commit()

    def change():
        with Session(engine) as session, session.begin():
            session.get(Note, 1).body = "refused"

    say("write", told(lambda: insert("AUTOCOMMIT")))
    say("prepared write", told(lambda: insert("READ COMMITTED")))
    say("write in a transaction", told(change))
    say("write in a pool", told(lambda: add(engine, "refused")))
    with Session(engine) as session:
        say("read after it", count(session))
        say("read in the pool after it", count(session))
    pid()
    say("same connection in the pool", str(len(pids) == 1).lower())
    say("same connection", str(len(pids) == 1).lower())
    thaw()
    with engine.connect() as db:
        say("thawed, prepared read", db.scalar(text(READ)))
    say("thawed, prepared write", add(engine, "after"))
    say("thawed, write in the pool", add(engine, "after, in the pool"))


run(plain, frozen)
