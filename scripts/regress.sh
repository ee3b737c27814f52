#!/usr/bin/env bash
# PostgreSQL's own regression suite, isolation suite and libpq_pipeline program, once against a server directly and once
# through the open proxy in front of such a server: what differs is shown. Each time the cluster is a new one.
#
# usage: scripts/regress.sh [regress|isolation|pipeline]…
#
# The tests come from the server's own source: FROSTGATE_PG_SOURCE names it, or it is fetched as Debian's source package
# into .cache. Only the test drivers are built. What comes out otherwise from run to run of a server alone is no
# difference of the proxy's: a test that differs is run directly a second time, and one that differs there too is named
# apart. FROSTGATE_REGRESS_KEEP=FOLDER keeps the results.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/throwaway.sh

suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(regress isolation pipeline)
bin=$(postgres_bin)
version=$("$bin/postgres" --version | grep -oE '[0-9]+\.[0-9]+' | head -n 1)
major=${version%%.*}

no_source() {
    say "SKIPPED: the source of PostgreSQL $version can't be had here: $*"
    say "name the folder of an unpacked source by FROSTGATE_PG_SOURCE"
    exit 0
}

# Debian's source package, of the very version that is installed; the machine's own lists of packages stay as they are.
fetch_source() {
    local folder=$PWD/.cache/postgres-source mirror package exact found
    found=$(printf '%s\n' "$folder"/postgresql-"$major"-"$version"*/ | head -n 1)
    if [ ! -e "$found/configure" ]; then
        command -v apt-get >/dev/null 2>&1 || no_source 'there is no apt-get'
        command -v dpkg-source >/dev/null 2>&1 || no_source 'dpkg-source is missing (package dpkg-dev)'
        package=$(dpkg-query -S "$bin/postgres" 2>/dev/null | cut -d: -f1) || no_source 'the server is not from a package'
        exact=$(dpkg-query -W -f '${source:Version}' "$package")
        mkdir -p "$folder/lists/partial"
        # Each source of binaries that is known here is one of sources too.
        {
            grep -hE '^deb ' /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed 's/^deb /deb-src /' || true
        } >"$folder/src.list"
        mkdir -p "$folder/parts"
        for mirror in /etc/apt/sources.list.d/*.sources; do
            if [ -e "$mirror" ]; then sed 's/^Types:.*/Types: deb-src/' "$mirror" >"$folder/parts/${mirror##*/}"; fi
        done
        local apt=(apt-get -qq -o Dir::Etc::SourceList="$folder/src.list" -o Dir::Etc::SourceParts="$folder/parts"
            -o Dir::State::Lists="$folder/lists" -o APT::Sandbox::User=)
        say "fetching the source of $package $exact"
        "${apt[@]}" update >&2 || no_source 'apt-get update fails with deb-src lines'
        (cd "$folder" && "${apt[@]}" source "postgresql-$major=$exact" >"$folder/log" 2>&1) ||
            no_source "apt-get source fails: $(tail -n 1 "$folder/log")"
        found=$(printf '%s\n' "$folder"/postgresql-"$major"-"$version"*/ | head -n 1)
    fi
    source_folder=${found%/}
}

# The drivers of the tests, and what the server loads for them.
build() {
    if [ ! -e src/test/regress/regress.so ] || [ ! -e src/test/isolation/isolationtester ] ||
        [ ! -e src/test/modules/libpq_pipeline/libpq_pipeline ]; then
        say "building the test drivers in $PWD"
        [ -e config.status ] || ./configure --silent --without-readline --without-zlib CFLAGS='-O1 -w' 2>/dev/null
        local part
        for part in regress isolation modules/libpq_pipeline; do make -s -j2 -C "src/test/$part" all; done
    fi >&2
}

source_folder=${FROSTGATE_PG_SOURCE:-}
[ -n "$source_folder" ] || fetch_source
(cd "$source_folder" && build)

results=${FROSTGATE_REGRESS_KEEP:-$throwaway/results}
mkdir -p "$results"
results=$(cd "$results" && pwd)

# Where the server's user may read and write.
work=$throwaway/work
place_tests() {
    rm -rf "$work"
    mkdir -p "$work"
    cp -r "$source_folder/src/test/regress" "$source_folder/src/test/isolation" "$work/"
    cp "$source_folder/src/test/modules/libpq_pipeline/libpq_pipeline" "$work/"
    if [ "$(id -u)" = 0 ]; then chown -R "$(id -u postgres 2>/dev/null || id -u nobody)" "$work"; fi
}

# A program of the tests, as the server's user, in its folder.
as_tester() { # folder, program, arguments
    local folder=$1
    shift
    if [ "$(id -u)" = 0 ]; then
        local user=postgres
        id "$user" >/dev/null 2>&1 || user=nobody
        (cd "$folder" && setpriv --reuid="$user" --regid="$user" --init-groups "$@")
    else
        (cd "$folder" && "$@")
    fi
}

run_pg_regress() { # suite, database, port, where results go, program, arguments
    local suite=$1 database=$2 port=$3 to=$4 program=$5
    shift 5
    as_tester "$work/$suite" "./$program" --inputdir=. --outputdir=. --dlpath=. --bindir="$bin" --host=127.0.0.1 \
        --port="$port" --user=postgres --dbname="$database" "$@" >"$to/$suite.log" 2>&1 || true
    mkdir -p "$to/$suite"
    cp "$work/$suite"/results/*.out "$to/$suite/"
}

# All suites that were asked for; results in a folder of that name.
run_suites() { # name, yes or no: by the proxy
    local to=$results/$1 by_proxy=$2 suite port test traced
    rm -rf "$to"
    mkdir -p "$to"
    place_tests
    server_auth=trust start_server "max_prepared_transactions = 20"
    port=$server_port
    if [ "$by_proxy" = yes ]; then
        start_proxy "proxy-$1"
        port=$proxy_port
    fi
    for suite in "${suites[@]}"; do
        say "$1: $suite"
        case $suite in
        regress) run_pg_regress regress regression "$port" "$to" pg_regress --max-connections=20 --schedule=parallel_schedule ;;
        isolation) run_pg_regress isolation isolation_regression "$port" "$to" pg_isolation_regress --schedule=isolation_schedule ;;
        pipeline)
            mkdir -p "$to/pipeline"
            for test in $("$work/libpq_pipeline" tests); do
                # A trace of each message where PostgreSQL compares it too: the others send until a buffer is full.
                traced=()
                if [ -e "$source_folder/src/test/modules/libpq_pipeline/traces/$test.trace" ]; then
                    traced=(-t "$work/$test.trace")
                fi
                if as_tester "$work" ./libpq_pipeline -r 700 "${traced[@]}" "$test" \
                    "host=127.0.0.1 port=$port dbname=postgres" >"$work/said" 2>&1; then
                    echo held >"$to/pipeline/$test.out"
                else
                    { tail -n 3 "$work/said" && echo failed; } >"$to/pipeline/$test.out"
                fi
                [ ${#traced[@]} -eq 0 ] || cp "$work/$test.trace" "$to/pipeline/"
            done
            ;;
        *)
            sed -n '5p' "$0" >&2
            exit 2
            ;;
        esac
    done
    stop_all
}

# The names of results that differ between two runs.
differing() { # one, other
    diff -rq "$results/$1" "$results/$2" | grep -v '\.log' | sed -E "s#^(Files|Only in) $results/[^/]+/##; s#: #/#; s# and .*##" || true
}

run_suites direct no
run_suites proxy yes
mapfile -t different < <(differing direct proxy)
unsteady=()
if [ ${#different[@]} -gt 0 ]; then
    say "${#different[@]} results differ; the server alone once more, to see whether they do there"
    run_suites again no
    mapfile -t unsteady < <(differing direct again)
fi

faults=0
for name in "${different[@]}"; do
    if printf '%s\n' "${unsteady[@]}" | grep -qxF "$name"; then
        printf 'comes out otherwise without the proxy too: %s\n' "$name"
    else
        faults=$((faults + 1))
        printf '\ndiffers through the proxy: %s\n' "$name"
        diff -U2 "$results/direct/$name" "$results/proxy/$name" | head -n 100 || true
    fi
done

# How many of a suite's tests come out as PostgreSQL's authors expect.
held() { # run, suite
    if [ "$2" = pipeline ]; then
        grep -lx held "$results/$1/pipeline/"*.out | wc -l
    else
        grep -cE '[.]{3} ok +[0-9]+ ms' "$results/$1/$2.log"
    fi
}

none_held=0
for suite in "${suites[@]}"; do
    printf '%s of PostgreSQL %s: %s tests; as expected directly: %s, through the proxy: %s\n' "$suite" "$version" \
        "$(find "$results/direct/$suite" -name '*.out' | wc -l)" "$(held direct "$suite")" "$(held proxy "$suite")"
    [ "$(held direct "$suite")" -gt 0 ] || none_held=1
done
printf 'differences of the proxy: %s\n' "$faults"
[ "$faults" -eq 0 ] && [ "$none_held" -eq 0 ]
