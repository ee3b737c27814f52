# What the programs in Ruby share.
READ = "SELECT count(*) FROM notes".freeze
TYPES = "SELECT 7::int2, 42::int4, 9007199254740993::int8, 1.5::float8, 12.3450::numeric, 'Grüße'::text, " \
        "'\\xdeadbeef'::bytea, true, NULL::text, DATE '2026-11-20', TIMESTAMPTZ '2026-11-20 12:00:00+00', " \
        "INTERVAL '1 day 2 hours', ARRAY[1,2,NULL], '{\"a\": [1, null]}'::jsonb".freeze

def say(what, value) = puts("#{what}: #{value}")

def turn(command) = system(ENV.fetch(command), out: File::NULL, exception: true)

def server_text(error) = error.result.error_field(PG::Result::PG_DIAG_MESSAGE_PRIMARY)

def sqlstate(error) = error.result.error_field(PG::Result::PG_DIAG_SQLSTATE)
