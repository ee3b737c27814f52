# ruby-pg, with a pool as connection_pool's: one queue of connections.
require "pg"
require_relative "story"

INSERT = "INSERT INTO notes (body) VALUES ($1)".freeze

def told
  yield
rescue PG::ServerError => error
  "#{error.class} #{sqlstate(error)} #{server_text(error)}"
end

def count(db) = db.exec(READ).getvalue(0, 0)

def plain
  db = PG.connect
  say "types", db.exec(TYPES).values
  say "binary", db.exec_params("SELECT $1::int8, $2::bytea", [7, { value: "\x00\xff".b, format: 1 }], 1).values
  db.prepare("p", "SELECT $1::int + 1, $2::text")
  8.times { |n| say "prepared", db.exec_prepared("p", [n, "ä" * n]).values }
  say "returning", db.exec_params("#{INSERT} RETURNING id", ["third"]).values
  say "updated", db.exec("UPDATE notes SET body = body || '!'").cmd_tuples
  say "unique", told { db.exec_params(INSERT, ["third!"]) }
  say "syntax", told { db.exec("SELEC 1") }
  db.transaction do |inside|
    inside.exec_params(INSERT, ["kept"])
    inside.exec("SAVEPOINT s")
    inside.exec_params(INSERT, ["dropped"])
    inside.exec("ROLLBACK TO s")
  end
  db.copy_data("COPY notes (body) FROM STDIN") { 50.times { |n| db.put_copy_data("copied #{n}\n") } }
  lines = []
  db.copy_data("COPY (SELECT body FROM notes ORDER BY id) TO STDOUT") do
    while (line = db.get_copy_data)
      lines << line
    end
  end
  say "notes", lines
  db.enter_pipeline_mode
  20.times { |n| db.send_query_params("SELECT $1::int", [n]) }
  db.pipeline_sync
  answers = []
  21.times do
    result = db.get_result
    answers << (result.ntuples == 1 ? result.getvalue(0, 0) : result.result_status) if result
    db.get_result unless result&.result_status == PG::PGRES_PIPELINE_SYNC
  end
  db.exit_pipeline_mode
  say "pipeline", answers
  sum = 0
  db.send_query("SELECT generate_series(1, 5000)")
  db.set_single_row_mode
  db.get_result.stream_each_row { |row| sum += row[0].to_i }
  db.get_result
  say "row by row", sum
  db.exec("LISTEN news")
  db.exec("NOTIFY news, 'hello'")
  db.wait_for_notify(5) { |channel, _, payload| say "notified", [channel, payload] }
  Thread.new { sleep 0.3; db.cancel }
  say "cancelled", told { db.exec("SELECT pg_sleep(20)") }
  db.reset
  say "after a reset", count(db)
  db.close
end

def frozen
  db = PG.connect
  pool = Queue.new << PG.connect
  with = lambda do |&block|
    one = pool.pop
    begin
      block.call(one)
    ensure
      pool << one
    end
  end
  pid, pooled = db.backend_pid, with.call(&:backend_pid)
  db.prepare("read", READ)
  db.prepare("write", INSERT)
  db.exec_prepared("write", ["before"])
  turn "FREEZE"
  say "simple read", count(db)
  say "prepared read", db.exec_prepared("read").getvalue(0, 0)
  db.transaction { say "read in a transaction", count(db) }
  say "read in a pool", with.call { |one| count(one) }
  say "write", told { db.exec("INSERT INTO notes (body) VALUES ('refused')") }
  say "prepared write", told { db.exec_prepared("write", ["refused"]) }
  say "write in a transaction", told { db.transaction { db.exec_params("UPDATE notes SET body = 'refused' WHERE id = $1", [1]) } }
  say "write in a pool", told { with.call { |one| one.exec_params(INSERT, ["refused"]) } }
  say "read after it", count(db)
  say "read in the pool after it", with.call { |one| count(one) }
  who = ->(one) { one.exec("SELECT pg_backend_pid()").getvalue(0, 0).to_i }
  say "same connection in the pool", with.call(&who) == pooled
  say "same connection", who.call(db) == pid
  turn "THAW"
  say "thawed, prepared read", db.exec_prepared("read").getvalue(0, 0)
  say "thawed, prepared write", db.exec_prepared("write", ["after"]).cmd_tuples
  say "thawed, write in the pool", with.call { |one| one.exec_params(INSERT, ["after, in the pool"]).cmd_tuples }
end

ARGV[0] == "plain" ? plain : frozen
