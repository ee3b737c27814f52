"""What the programs in Python share: the two words, the freeze and the thaw, and a line for each thing that is so."""

import os
import subprocess
import sys

DSN = "host={PGHOST} port={PGPORT} user={PGUSER} password={PGPASSWORD} dbname={PGDATABASE}".format(**os.environ)
TYPES = (
    "SELECT 7::int2, 42::int4, 9007199254740993::int8, 1.5::float8, 12.3450::numeric, 'Grüße'::text, "
    "'\\xdeadbeef'::bytea, true, NULL::text, DATE '2026-11-20', TIMESTAMPTZ '2026-11-20 12:00:00+00', "
    "INTERVAL '1 day 2 hours', ARRAY[1,2,NULL], '{\"a\": [1, null]}'::jsonb, '10.1.2.3/32'::inet, "
    "'6f1c1f7e-3b0a-4a5e-9d4e-0a1b2c3d4e5f'::uuid, int4range(1, 5)"
)
READ = "SELECT count(*) FROM notes"


def say(what, value):
    print(f"{what}: {value}", flush=True)


def freeze():
    subprocess.run(os.environ["FREEZE"], shell=True, check=True, stdout=subprocess.DEVNULL)


def thaw():
    subprocess.run(os.environ["THAW"], shell=True, check=True, stdout=subprocess.DEVNULL)


def name(error):
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"


def run(plain, frozen):
    {"plain": plain, "frozen": frozen}[sys.argv[1]]()
