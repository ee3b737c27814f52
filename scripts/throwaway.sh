# shellcheck shell=bash
# To be sourced by scripts that need a PostgreSQL and a proxy of their own: both in a temporary folder, on free ports,
# gone when the script ends. FROSTGATE_PG_BIN names the server's programs, as for the tests.

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }

throwaway=$(mktemp -d "${TMPDIR:-/tmp}/frostgate-XXXXXX")
# The server's user must reach its data.
chmod 711 "$throwaway"
proxies=()

# Ends the proxies and the server, and takes the server's data away.
stop_all() {
    local pid
    for pid in "${proxies[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    proxies=()
    if [ -f "$throwaway/data/postmaster.pid" ]; then
        as_server_user pg_ctl -D "$throwaway/data" -m immediate -s stop || true
    fi
    rm -rf "$throwaway/data"
}

clean_up() {
    local status=$?
    stop_all
    rm -rf "$throwaway"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# One that nobody answers at, below those that the system gives to clients.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)) && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}

# The folder of the server's programs.
postgres_bin() {
    local folder
    for folder in "${FROSTGATE_PG_BIN:-}" $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
        if [ -x "$folder/initdb" ]; then
            echo "$folder"
            return
        fi
    done
    dirname "$(command -v initdb)"
}

# The server does not run as root.
as_server_user() { # program, arguments
    local program=$1 user=postgres
    shift
    if [ "$(id -u)" = 0 ]; then
        id "$user" >/dev/null 2>&1 || user=nobody
        (cd / && setpriv --reuid="$user" --regid="$user" --init-groups "$(postgres_bin)/$program" "$@")
    else
        "$(postgres_bin)/$program" "$@"
    fi
}

# A server whose superuser `postgres` has the password `postgres`, asked for by scram-sha-256 unless server_auth says
# another way; sets server_port. Arguments are lines for its settings.
start_server() {
    server_port=$(free_port)
    install -d -m 700 "$throwaway/data"
    if [ "$(id -u)" = 0 ]; then chown "$(id -u postgres 2>/dev/null || id -u nobody)" "$throwaway/data"; fi
    printf 'postgres\n' >"$throwaway/password"
    chmod 644 "$throwaway/password"
    as_server_user initdb -D "$throwaway/data" -U postgres --auth="${server_auth:-scram-sha-256}" --pwfile="$throwaway/password" \
        -E UTF8 --locale=C --no-sync >/dev/null
    printf '%s\n' "port = $server_port" "listen_addresses = '127.0.0.1'" "unix_socket_directories = ''" 'fsync = off' \
        'max_connections = 200' 'max_prepared_transactions = 20' 'wal_level = logical' "$@" \
        >>"$throwaway/data/postgresql.conf"
    as_server_user pg_ctl -D "$throwaway/data" -w -s -l "$throwaway/data/log" start </dev/null >/dev/null 2>&1
    export PGPASSWORD=postgres PGHOST=127.0.0.1 PGUSER=postgres
}

# The program, built once.
frostgate() {
    if [ -z "${frostgate_program:-}" ]; then
        cargo build --locked --quiet
        frostgate_program=${CARGO_TARGET_DIR:-target}/debug/frostgate
    fi
    "$frostgate_program" "$@"
}

# A proxy in front of the server; sets proxy_port and proxy_control. Arguments go to `serve`.
start_proxy() { # name, arguments
    local folder=$throwaway/$1
    shift
    frostgate --version >/dev/null
    mkdir -p "$folder"
    proxy_control=$folder/state/control.sock
    "$frostgate_program" serve --upstream "host=127.0.0.1 port=$server_port" --listen 127.0.0.1:0 --http off \
        --state-dir "$folder/state" "$@" >"$folder/audit" 2>"$folder/log" &
    proxies+=($!)
    for _ in $(seq 300); do
        if frostgate status --control "$proxy_control" >/dev/null 2>&1; then
            # shellcheck disable=SC2034 # for who sources this
            proxy_port=$(sed -nE '1s/.*"listen":\["[^"]*:([0-9]+)".*/\1/p' "$folder/audit")
            return
        fi
        sleep 0.1
    done
    cat "$folder/log" >&2
    return 1
}
