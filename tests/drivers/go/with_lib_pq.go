// lib/pq under database/sql, with its pool.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/lib/pq"
)

const (
	types = `SELECT 7::int2, 42::int4, 9007199254740993::int8, 1.5::float8, 12.3450::numeric, 'Grüße'::text, '\xdeadbeef'::bytea,
		true, NULL::text, TIMESTAMPTZ '2026-11-20 12:00:00+00', INTERVAL '1 day 2 hours', ARRAY[1,2,NULL],
		'{"a": [1, null]}'::jsonb, '6f1c1f7e-3b0a-4a5e-9d4e-0a1b2c3d4e5f'::uuid`
	read   = "SELECT count(*) FROM notes"
	insert = "INSERT INTO notes (body) VALUES ($1)"
)

func say(what string, value any) { fmt.Printf("%s: %v\n", what, value) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func told(err error) string {
	var server *pq.Error
	if errors.As(err, &server) {
		return fmt.Sprintf("%T(%s) %s %s", server, server.Code.Name(), server.Code, server.Message)
	}
	return fmt.Sprint(err)
}

func turn(command string) { must(exec.Command("sh", "-c", os.Getenv(command)).Run()) }

type asker interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func number(db asker, query string, args ...any) (n int64) {
	must(db.QueryRowContext(context.Background(), query, args...).Scan(&n))
	return n
}

func open() *sql.DB {
	db, err := sql.Open("postgres", "sslmode=disable")
	must(err)
	return db
}

func rows(db *sql.DB, query string, args ...any) [][]any {
	found, err := db.Query(query, args...)
	must(err)
	defer found.Close()
	columns, err := found.Columns()
	must(err)
	var all [][]any
	for found.Next() {
		row, places := make([]any, len(columns)), make([]any, len(columns))
		for n := range row {
			places[n] = &row[n]
		}
		must(found.Scan(places...))
		all = append(all, row)
	}
	must(found.Err())
	return all
}

func changed(result sql.Result, err error) int64 {
	must(err)
	n, err := result.RowsAffected()
	must(err)
	return n
}

func plain() {
	db := open()
	defer db.Close()
	db.SetMaxOpenConns(3)
	ctx := context.Background()
	say("types", rows(db, types))
	prepared, err := db.Prepare("SELECT length($1::text)")
	must(err)
	for n := 0; n < 8; n++ {
		var length int
		must(prepared.QueryRow(strings.Repeat("ä", n)).Scan(&length))
		say("prepared", length)
	}
	say("returning", number(db, insert+" RETURNING id", "third"))
	say("updated", changed(db.Exec("UPDATE notes SET body = body || '!'")))
	_, err = db.Exec(insert, "third!")
	say("unique", told(err))
	_, err = db.Exec("SELEC 1")
	say("syntax", told(err))
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	must(err)
	for _, step := range []string{"INSERT INTO notes (body) VALUES ('kept')", "SAVEPOINT s", "INSERT INTO notes (body) VALUES ('dropped')", "ROLLBACK TO s"} {
		_, err = tx.Exec(step)
		must(err)
	}
	must(tx.Commit())
	tx, err = db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	must(err)
	_, err = tx.Exec(insert, "never")
	say("read only", told(err))
	must(tx.Rollback())
	tx, err = db.Begin()
	must(err)
	copying, err := tx.Prepare(pq.CopyIn("notes", "body"))
	must(err)
	for n := 0; n < 50; n++ {
		_, err = copying.Exec(fmt.Sprint("copied ", n))
		must(err)
	}
	_, err = copying.Exec()
	must(err)
	must(copying.Close())
	must(tx.Commit())
	say("notes", rows(db, "SELECT body FROM notes ORDER BY id"))
	say("large", rows(db, "SELECT length($1::text), md5($1::text)", strings.Repeat("x", 1000000)))
	say("rows", len(rows(db, "SELECT generate_series(1, 20000)")))
	listener := pq.NewListener("sslmode=disable", time.Second, time.Second, nil)
	must(listener.Listen("news"))
	_, err = db.Exec("NOTIFY news, 'hello'")
	must(err)
	say("notified", (<-listener.Notify).Extra)
	must(listener.Close())
	short, done := context.WithTimeout(ctx, 300*time.Millisecond)
	defer done()
	_, err = db.ExecContext(short, "SELECT pg_sleep(20)")
	say("cancelled", told(err))
	say("pool", number(db, read))
}

func frozen() {
	ctx := context.Background()
	one, pool := open(), open()
	pool.SetMaxOpenConns(1)
	defer one.Close()
	defer pool.Close()
	db, err := one.Conn(ctx)
	must(err)
	const whoAmI = "SELECT pg_backend_pid()"
	pid, pooled := number(db, whoAmI), number(pool, whoAmI)
	reading, err := db.PrepareContext(ctx, read)
	must(err)
	writing, err := db.PrepareContext(ctx, insert)
	must(err)
	changed(writing.Exec("before"))
	asked := func() (n int64) {
		must(reading.QueryRow().Scan(&n))
		return n
	}
	asked()
	turn("FREEZE")
	say("simple read", number(db, read))
	say("prepared read", asked())
	// Without ReadOnly this driver says BEGIN READ WRITE, which a frozen proxy refuses, as a hot standby does.
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	must(err)
	say("read in a transaction", number(tx, read))
	must(tx.Commit())
	say("read in a pool", number(pool, read))
	_, err = db.ExecContext(ctx, "INSERT INTO notes (body) VALUES ('refused')")
	say("write", told(err))
	_, err = writing.Exec("refused")
	say("prepared write", told(err))
	_, err = db.BeginTx(ctx, nil)
	say("write in a transaction", told(err))
	_, err = pool.Exec(insert, "refused")
	say("write in a pool", told(err))
	say("read after it", number(db, read))
	say("read in the pool after it", number(pool, read))
	say("same connection in the pool", number(pool, whoAmI) == pooled)
	say("same connection", number(db, whoAmI) == pid)
	turn("THAW")
	say("thawed, prepared read", asked())
	say("thawed, prepared write", changed(writing.Exec("after")))
	say("thawed, write in the pool", changed(pool.Exec(insert, "after, in the pool")))
}

func main() {
	if os.Args[1] == "plain" {
		plain()
	} else {
		frozen()
	}
}
