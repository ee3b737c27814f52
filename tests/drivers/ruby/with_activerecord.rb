# ActiveRecord, with its pool and its cache of prepared statements.
require "active_record"
require_relative "story"

ActiveRecord::Base.establish_connection(
  adapter: "postgresql", host: ENV["PGHOST"], port: ENV["PGPORT"], database: ENV["PGDATABASE"],
  username: ENV["PGUSER"], password: ENV["PGPASSWORD"], pool: 1
)

class Note < ActiveRecord::Base
end

def told
  yield
rescue ActiveRecord::StatementInvalid => error
  cause = error.cause
  "#{error.class}(#{cause.class}) #{sqlstate(cause)} #{server_text(cause)}"
end

def db = ActiveRecord::Base.connection

# Back to the pool, as after each request.
def handed_back = ActiveRecord::Base.clear_active_connections!

def plain
  say "types", db.select_rows(TYPES)
  say "created", Note.create!(body: "third").id
  Note.insert_all((0...50).map { |n| { body: "many #{n}" } })
  say "unique", told { Note.create!(body: "third") }
  say "syntax", told { db.execute("SELEC 1") }
  8.times { |n| say "prepared", Note.where("id > ?", n).find_by(body: "third")&.id }
  Note.transaction do
    Note.create!(body: "kept")
    Note.transaction(requires_new: true) do
      Note.create!(body: "dropped")
      raise ActiveRecord::Rollback
    end
  end
  Note.transaction(isolation: :serializable) { say "serializable", Note.lock.find_by(body: "kept").body }
  say "updated", Note.where("body LIKE 'many%'").update_all("body = body || '!'")
  say "notes", Note.order(:id).pluck(:body)
  say "in batches", Note.find_each(batch_size: 7).sum { |note| note.body.size }
  say "columns", Note.columns.map { |column| [column.name, column.sql_type] }
  say "locked", db.get_advisory_lock(1)
  say "unlocked", db.release_advisory_lock(1)
  handed_back
  say "pool", Note.count
end

def frozen
  Note.create!(body: "before")
  Note.find_by(id: 1)
  pid = db.select_value("SELECT pg_backend_pid()")
  turn "FREEZE"
  say "simple read", db.execute(READ).getvalue(0, 0)
  say "prepared read", Note.find_by(id: 1) ? Note.count : 0
  Note.transaction { say "read in a transaction", Note.count }
  handed_back
  say "read in a pool", Note.count
  say "write", told { db.execute("INSERT INTO notes (body) VALUES ('refused')") }
  say "prepared write", told { Note.create!(body: "refused") }
  say "write in a transaction", told { Note.transaction { Note.find_by(id: 1).update!(body: "refused") } }
  handed_back
  say "write in a pool", told { Note.create!(body: "refused") }
  say "read after it", Note.count
  handed_back
  say "read in the pool after it", Note.count
  same = db.select_value("SELECT pg_backend_pid()") == pid
  say "same connection in the pool", same
  say "same connection", same
  turn "THAW"
  say "thawed, prepared read", Note.find_by(id: 1) ? Note.count : 0
  say "thawed, prepared write", Note.create!(body: "after") ? 1 : 0
  handed_back
  say "thawed, write in the pool", Note.create!(body: "after, in the pool") ? 1 : 0
end

ARGV[0] == "plain" ? plain : frozen
