#!/usr/bin/env bash
# Each driver as people use it, against a PostgreSQL of its own: directly, through an open proxy (where all must come
# out as directly), and through a proxy that is frozen and thawed meanwhile. What can't be had here is skipped with a
# line. tests/drivers/README.md tells what a program must do.
#
# usage: scripts/drivers.sh [STACK…]       FROSTGATE_DRIVERS_INSTALL=no to take only what is there
#        make drivers
#
# A server and a proxy that are there already: FROSTGATE_TEST_SERVER and FROSTGATE_TEST_PROXY, each HOST:PORT, with
# FREEZE and THAW, the commands that freeze and thaw; PGUSER and PGPASSWORD of a superuser are `postgres` by default.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/throwaway.sh

cache=$PWD/.cache/drivers
programs=$PWD/tests/drivers
mkdir -p "$cache"

# What a refused write looks like in each stack: the driver's own class, then the code and PostgreSQL's text.
# The order is that of the table.
stacks=(psycopg asyncpg sqlalchemy django node-postgres pgjdbc lib-pq ruby-pg activerecord tokio-postgres sqlx
    django-site rails express laravel spring)
refusal_of() {
    case $1 in
    psycopg) echo 'psycopg.errors.ReadOnlySqlTransaction' ;;
    asyncpg) echo 'asyncpg.exceptions.ReadOnlySQLTransactionError' ;;
    sqlalchemy) echo 'sqlalchemy.exc.InternalError(psycopg.errors.ReadOnlySqlTransaction)' ;;
    django) echo 'django.db.utils.InternalError(psycopg.errors.ReadOnlySqlTransaction)' ;;
    node-postgres) echo 'DatabaseError' ;;
    pgjdbc) echo 'org.postgresql.util.PSQLException' ;;
    lib-pq) echo '*pq.Error(read_only_sql_transaction)' ;;
    ruby-pg) echo 'PG::ReadOnlySqlTransaction' ;;
    activerecord) echo 'ActiveRecord::StatementInvalid(PG::ReadOnlySqlTransaction)' ;;
    tokio-postgres) echo 'tokio_postgres::Error(SqlState::READ_ONLY_SQL_TRANSACTION)' ;;
    sqlx) echo 'sqlx::Error::Database(PgDatabaseError)' ;;
    *) echo '503, and a banner on what is read' ;;
    esac
}

# Getting a stack: each is made ready once, and its reason is kept where it can't be.
declare -A ready why

# Debian's packages, if a file of theirs is missing.
packages() { # file, package…
    local file=$1
    shift
    # shellcheck disable=SC2086 # a pattern
    compgen -G "$file" >/dev/null && return
    if [ "${FROSTGATE_DRIVERS_INSTALL:-yes}" = yes ] && command -v apt-get >/dev/null 2>&1 &&
        scripts/setup.sh "$@" >&2 && compgen -G "$file" >/dev/null; then
        return
    fi
    reason="it needs Debian's packages ${*#package:}"
    return 1
}

get_python() {
    local python=$cache/python/bin/python
    reason='it needs python3 with venv, and PyPI'
    if ! "$python" -c 'import psycopg, psycopg_pool, asyncpg, sqlalchemy, django' 2>/dev/null; then
        say 'fetching the drivers for Python'
        python3 -m venv "$cache/python" >&2 &&
            "$python" -m pip install --quiet --disable-pip-version-check -r "$programs/python/requirements.txt" >&2
    fi
}

get_node() {
    reason='it needs node and npm, and the npm registry'
    command -v node >/dev/null 2>&1 || return 1
    [ -d "$cache/node/node_modules/pg" ] && [ -d "$cache/node/node_modules/express" ] && return
    say 'fetching the drivers for Node.js'
    npm install --silent --no-save --no-package-lock --prefix "$cache/node" pg@8 express@5 >&2
}

get_java() {
    reason="it needs a JDK and Debian's package libpostgresql-jdbc-java"
    command -v javac >/dev/null 2>&1 || packages /usr/bin/javac package:default-jdk-headless || return 1
    packages /usr/share/java/postgresql.jar package:libpostgresql-jdbc-java || return 1
    mkdir -p "$cache/java"
    javac -d "$cache/java" -cp /usr/share/java/postgresql.jar "$programs/java/WithPgjdbc.java"
}

get_go() {
    packages /usr/bin/go package:golang-go || return 1
    packages '/usr/share/gocode/src/github.com/lib/pq/conn.go' package:golang-github-lib-pq-dev || return 1
    reason='its program can not be built'
    mkdir -p "$cache/go"
    (cd "$programs/go" && GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$cache/go/cache" GOFLAGS='' \
        go build -o "$cache/go/with_lib_pq" with_lib_pq.go)
}

get_ruby() {
    packages /usr/bin/ruby package:ruby package:ruby-pg package:ruby-activerecord || return 1
    reason="it needs Debian's packages ruby-pg and ruby-activerecord"
    ruby -e 'require "pg"; require "active_record"' 2>/dev/null && return
    [ "${FROSTGATE_DRIVERS_INSTALL:-yes}" = yes ] && scripts/setup.sh package:ruby-pg package:ruby-activerecord >&2 &&
        ruby -e 'require "pg"; require "active_record"'
}

get_rails() {
    get_ruby || return 1
    ruby -e 'require "action_controller/railtie"; require "active_record/railtie"' 2>/dev/null && return
    reason="it needs Debian's packages ruby-railties, ruby-actionpack and ruby-activerecord"
    [ "${FROSTGATE_DRIVERS_INSTALL:-yes}" = yes ] && scripts/setup.sh package:ruby-railties package:ruby-activerecord >&2 &&
        ruby -e 'require "action_controller/railtie"; require "active_record/railtie"'
}

get_php() {
    packages /usr/share/php/Illuminate/Foundation/Application.php package:php-laravel-framework || return 1
    php -r 'exit(extension_loaded("pdo_pgsql") ? 0 : 1);' 2>/dev/null && return
    packages /nowhere package:php-cli package:php-pgsql ||
        php -r 'exit(extension_loaded("pdo_pgsql") ? 0 : 1);' 2>/dev/null
}
get_spring() {
    get_java || return 1
    local jars=/usr/share/java
    packages "$jars/spring3-jdbc.jar" package:libspring-jdbc-java || return 1
    packages "$jars/spring3-web.servlet.jar" package:libspring-web-servlet-java || return 1
    packages "$jars/spring3-test.jar" package:libspring-test-java package:libservlet-api-java || return 1
    reason='its program can not be built'
    javac -d "$cache/java" -cp "$(spring_jars)" "$programs"/frameworks/*.java
}

spring_jars() { printf '%s:' "$cache/java" /usr/share/java/{spring3-*,commons-logging,servlet-api,postgresql}.jar; }

get_rust() {
    reason='its crates can not be fetched or built'
    CARGO_TARGET_DIR=${FROSTGATE_DRIVERS_TARGET:-$cache/rust} cargo build --quiet --locked \
        --manifest-path "$programs/rust/Cargo.toml"
}

platform_of() {
    case $1 in
    psycopg | asyncpg | sqlalchemy | django | django-site) echo python ;;
    node-postgres | express) echo node ;;
    pgjdbc) echo java ;;
    lib-pq) echo go ;;
    ruby-pg | activerecord) echo ruby ;;
    rails) echo rails ;;
    tokio-postgres | sqlx) echo rust ;;
    laravel) echo php ;;
    spring) echo spring ;;
    *)
        say "no such stack: $1; there are: ${stacks[*]}"
        exit 2
        ;;
    esac
}

get() { # platform; 0 if it is there
    if [ -z "${ready[$1]:-}" ]; then
        reason=
        if "get_$1"; then ready[$1]=yes; else ready[$1]=no why[$1]=$reason; fi
    fi
    [ "${ready[$1]}" = yes ]
}

# The program of a stack, in one mode.
play() { # stack, mode
    local rust=${FROSTGATE_DRIVERS_TARGET:-$cache/rust}/debug
    case $1 in
    psycopg | asyncpg | sqlalchemy | django) "$cache/python/bin/python" "$programs/python/with_$1.py" "$2" ;;
    django-site) "$cache/python/bin/python" "$programs/frameworks/django_site.py" "$2" ;;
    node-postgres) NODE_PATH=$cache/node/node_modules node "$programs/node/with_pg.js" "$2" ;;
    express) NODE_PATH=$cache/node/node_modules node "$programs/frameworks/express_app.js" "$2" ;;
    pgjdbc) java -cp "$cache/java:/usr/share/java/postgresql.jar" WithPgjdbc "$2" ;;
    lib-pq) "$cache/go/with_lib_pq" "$2" ;;
    ruby-pg) ruby "$programs/ruby/with_pg.rb" "$2" ;;
    activerecord) ruby "$programs/ruby/with_activerecord.rb" "$2" ;;
    rails) ruby "$programs/frameworks/rails_app.rb" "$2" ;;
    spring) java -cp "$(spring_jars)" SpringSite "$2" ;;
    laravel) php "$programs/frameworks/laravel_app.php" "$2" ;;
    tokio-postgres) "$rust/with_tokio_postgres" "$2" ;;
    sqlx) "$rust/with_sqlx" "$2" ;;
    esac
}

# What a program must say while it is frozen and thawed.
expected() { # stack
    local class write
    case $1 in
    django-site | rails | express | laravel | spring) cat "$programs/frameworks/expected" && return ;;
    esac
    class=$(refusal_of "$1")
    write="$class 25006 cannot execute INSERT in a read-only transaction"
    local begun=${write/INSERT/UPDATE}
    # lib/pq begins every transaction that is not marked as read-only with READ WRITE.
    if [ "$1" = lib-pq ]; then begun=${write/INSERT/BEGIN}; fi
    cat <<END
simple read: 3
prepared read: 3
read in a transaction: 3
read in a pool: 3
write: $write
prepared write: $write
write in a transaction: $begun
write in a pool: $write
read after it: 3
read in the pool after it: 3
same connection in the pool: true
same connection: true
thawed, prepared read: 3
thawed, prepared write: 1
thawed, write in the pool: 1
END
}

fresh_database() {
    PGOPTIONS='-c client_min_messages=warning' psql -X -q -p "$server_port" -d postgres -c 'DROP DATABASE IF EXISTS drivers WITH (FORCE)' \
        -c 'CREATE DATABASE drivers OWNER app'
    PGUSER=app PGPASSWORD=app psql -X -q -p "$server_port" -d drivers \
        -c 'CREATE TABLE notes (id serial PRIMARY KEY, body text NOT NULL UNIQUE)' \
        -c "INSERT INTO notes (body) VALUES ('first'), ('second')"
}

# Runs one of the three ways; output and errors in files.
way() { # stack, name, mode, host, port
    fresh_database
    PGUSER=app PGPASSWORD=app PGDATABASE=drivers PGHOST=$4 PGPORT=$5 timeout 120 bash -c "$(declare -f play spring_jars); play $1 $3" \
        >"$throwaway/$1.$2" 2>"$throwaway/$1.$2.err" </dev/null
}

show() { sed 's/^/    /' "$@" >&2; }

verdict_open() { # stack
    way "$1" direct plain "$server_host" "$server_port" || { show "$throwaway/$1.direct.err"; echo 'fails directly'; return 1; }
    way "$1" open plain "$proxy_host" "$proxy_port" || { show "$throwaway/$1.open.err"; echo FAILED; return 1; }
    if ! diff "$throwaway/$1.direct" "$throwaway/$1.open" >"$throwaway/diff"; then
        show "$throwaway/diff"
        echo DIFFERS
        return 1
    fi
    echo "same ($(wc -c <"$throwaway/$1.open") bytes)"
}

verdict_frozen() { # stack
    local notes
    # What failed before may have left it frozen.
    bash -c "$THAW" >/dev/null 2>&1 || true
    way "$1" frozen frozen "$proxy_host" "$proxy_port" || { show "$throwaway/$1.frozen" "$throwaway/$1.frozen.err"; echo FAILED; return 1; }
    if ! diff <(expected "$1") "$throwaway/$1.frozen" >"$throwaway/diff"; then
        show "$throwaway/diff"
        echo DIFFERS
        return 1
    fi
    # What the program says is one thing, what the server holds another.
    notes=$(PGUSER=app PGPASSWORD=app psql -X -A -t -p "$server_port" -d drivers -c "SELECT string_agg(body, '|' ORDER BY id) FROM notes")
    if [ "$notes" != 'first|second|before|after|after, in the pool' ]; then
        show <<<"the server holds $notes"
        echo 'WRONG ROWS'
        return 1
    fi
    echo held
}

asked=("$@")
[ ${#asked[@]} -gt 0 ] || asked=("${stacks[@]}")
for stack in "${asked[@]}"; do platform_of "$stack" >/dev/null; done

if [ -n "${FROSTGATE_TEST_SERVER:-}" ]; then
    : "${FROSTGATE_TEST_PROXY:?is needed with FROSTGATE_TEST_SERVER}" "${FREEZE:?is needed}" "${THAW:?is needed}"
    export PGUSER=${PGUSER:-postgres} PGPASSWORD=${PGPASSWORD:-postgres}
    server_host=${FROSTGATE_TEST_SERVER%:*} server_port=${FROSTGATE_TEST_SERVER##*:}
    proxy_host=${FROSTGATE_TEST_PROXY%:*} proxy_port=${FROSTGATE_TEST_PROXY##*:}
else
    start_server 'log_min_messages = warning'
    start_proxy drivers
    server_host=127.0.0.1 proxy_host=127.0.0.1
    # shellcheck disable=SC2089,SC2090 # commands for a shell
    FREEZE="'$frostgate_program' freeze --reason 'drivers' --control '$proxy_control'"
    # shellcheck disable=SC2089
    THAW="'$frostgate_program' thaw --control '$proxy_control'"
fi
# shellcheck disable=SC2090
export FREEZE THAW
export PGHOST=$server_host
PGOPTIONS='-c client_min_messages=warning' psql -X -q -p "$server_port" -d postgres -c 'DROP DATABASE IF EXISTS drivers WITH (FORCE)' -c 'DROP ROLE IF EXISTS app' \
    -c "CREATE ROLE app LOGIN PASSWORD 'app'"
export cache programs

rows=() failed=0 skipped=0
for stack in "${asked[@]}"; do
    platform=$(platform_of "$stack")
    if ! get "$platform"; then
        say "skipped: $stack: ${why[$platform]}"
        skipped=$((skipped + 1))
        rows+=("$stack|skipped||${why[$platform]}")
        continue
    fi
    say "$stack"
    open=$(verdict_open "$stack") || failed=$((failed + 1))
    frozen=$(verdict_frozen "$stack") || failed=$((failed + 1))
    rows+=("$stack|$open|$frozen|$(refusal_of "$stack")")
done

printf '\n'
printf '%s\n' 'stack|open|frozen and thawed|a refused write is' "${rows[@]}" | column -t -s '|' -o '  '
printf '\n%s stacks, %s failures, %s skipped, with PostgreSQL %s\n' "${#asked[@]}" "$failed" "$skipped" \
    "$(psql -X -A -t -p "$server_port" -d postgres -c 'SHOW server_version')"
[ "$failed" -eq 0 ]
