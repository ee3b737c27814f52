"""asyncpg, with its pool."""

import asyncio

import asyncpg

from story import READ, TYPES, freeze, name, run, say, thaw

INSERT = "INSERT INTO notes (body) VALUES ($1)"


async def told(act):
    try:
        return await act
    except (asyncpg.PostgresError, TimeoutError) as error:
        return f"{name(error)} {getattr(error, 'sqlstate', '')} {getattr(error, 'message', '')}"


async def plain():
    db = await asyncpg.connect()
    say("types", dict((await db.fetch(TYPES.replace("'10.1.2.3/32'", "'10.1.2.3'")))[0]))
    for turn in range(8):
        say("prepared", await db.fetchrow("SELECT $1::int + 1, $2::text", turn, "ä" * turn))
    say("returning", await db.fetchval(INSERT + " RETURNING id", "third"))
    say("updated", await db.execute("UPDATE notes SET body = body || '!'"))
    say("unique", await told(db.execute(INSERT, "third!")))
    say("syntax", await told(db.execute("SELEC 1")))
    try:
        async with db.transaction():
            await db.execute(INSERT, "kept")
            async with db.transaction():
                await db.execute(INSERT, "dropped")
                raise KeyError
    except KeyError:
        pass
    say("script", await db.execute("SELECT 1; SELECT 2; UPDATE notes SET body = body"))
    await db.executemany(INSERT, [(f"many {n}",) for n in range(50)])
    say("copied", await db.copy_records_to_table("notes", records=[(f"copied {n}",) for n in range(50)], columns=["body"]))
    say("notes", [row["body"] for row in await db.fetch("SELECT body FROM notes ORDER BY id")])
    say("large", await db.fetchrow("SELECT length($1::text), md5($1::text)", "x" * 1_000_000))
    say("rows", sum(row[0] for row in await db.fetch("SELECT generate_series(1, 20000)")))
    async with db.transaction():
        say("cursor", sum([row[0] async for row in db.cursor("SELECT generate_series(1, 500)")]))
    heard = asyncio.Queue()
    await db.add_listener("news", lambda *what: heard.put_nowait(what[2:]))
    await db.execute("NOTIFY news, 'hello'")
    say("notified", await asyncio.wait_for(heard.get(), 5))
    say("cancelled", await told(db.execute("SELECT pg_sleep(20)", timeout=0.3)))
    say("after it", await db.fetchval("SELECT 1"))
    await db.close()
    async with asyncpg.create_pool(min_size=2, max_size=4) as pool:
        say("pool", await asyncio.gather(*(pool.fetchval(READ) for _ in range(12))))


async def frozen():
    db = await asyncpg.connect()
    pool = await asyncpg.create_pool(min_size=1, max_size=1)
    pid, pool_pid = db.get_server_pid(), await pool.fetchval("SELECT pg_backend_pid()")
    read, write = await db.prepare(READ), await db.prepare(INSERT + " RETURNING 1")
    await write.fetchval("before")
    await read.fetchval()
    freeze()
    say("simple read", (await db.execute("SELECT body FROM notes")).split()[1])
    say("prepared read", await read.fetchval())
    async with db.transaction():
        say("read in a transaction", await db.fetchval(READ))
    say("read in a pool", await pool.fetchval(READ))
    say("write", await told(db.execute("INSERT INTO notes (body) VALUES ('refused')")))
    say("prepared write", await told(write.fetchval("refused")))

    async def block():
        async with db.transaction():
            await db.execute("UPDATE notes SET body = 'refused' WHERE id = 1")

    say("write in a transaction", await told(block()))
    say("write in a pool", await told(pool.execute(INSERT, "refused")))
    say("read after it", await read.fetchval())
    say("read in the pool after it", await pool.fetchval(READ))
    say("same connection in the pool", str(await pool.fetchval("SELECT pg_backend_pid()") == pool_pid).lower())
    say("same connection", str(db.get_server_pid() == pid and not db.is_closed()).lower())
    thaw()
    say("thawed, prepared read", await read.fetchval())
    say("thawed, prepared write", await write.fetchval("after"))
    say("thawed, write in the pool", (await pool.execute(INSERT, "after, in the pool")).split()[-1])
    await pool.close()
    await db.close()


run(lambda: asyncio.run(plain()), lambda: asyncio.run(frozen()))
