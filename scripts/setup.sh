#!/usr/bin/env bash
# Sees to it that what is named is on this machine: rust, cc, make, postgres, prometheus, nginx, chromium, pg_cron.
# On Debian and Ubuntu it installs what is missing, as root or with sudo, and says so; elsewhere it says what to
# install, and ends with 1.
#
# usage: scripts/setup.sh NAME…      (package:NAME is one of Debian's packages)
#
# It never starts, stops or makes a PostgreSQL cluster of the machine's own: the demo and the tests make theirs.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

# A command as root: as we are, or with sudo; without a terminal sudo must not ask.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        sudo "$@"
    else
        say "not root, and there is no sudo that works without asking; run this as root and try again:"
        say "  $*"
        exit 1
    fi
}

# What to install where we do not install it ourselves.
advise() { # what, Fedora, Arch, Alpine, macOS
    say "$1 is missing. Install it and try again:"
    say "  Fedora, RHEL: sudo dnf install $2"
    say "  Arch:         sudo pacman -S $3"
    say "  Alpine:       sudo apk add $4"
    say "  macOS:        brew install $5"
    exit 1
}

lists_are_there() { [ -n "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ]; }

update_lists() {
    say "apt-get update"
    as_root apt-get update -qq
}

# Lists may be older than what the mirrors have: once more with new ones.
apt_install() {
    say "installing: $*"
    lists_are_there || update_lists
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends
        -o Dpkg::Options::=--force-confold "$@")
    as_root "${install[@]}" >/dev/null || {
        update_lists
        as_root "${install[@]}" >/dev/null
    }
}

need_rust() {
    if ! has cargo; then
        say "Rust is missing. Install it from https://rustup.rs and try again."
        exit 1
    fi
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
    if ! has rustup; then
        say "rustfmt or clippy is missing, and so is rustup, which would install them"
        exit 1
    fi
    say "installing rustfmt and clippy with rustup"
    rustup component add rustfmt clippy
}

need_cc() {
    has cc && return
    has apt-get || advise "a C compiler, for linking and for some crates" gcc base-devel build-base gcc
    apt_install gcc libc6-dev
}

need_make() {
    has make && return
    has apt-get || advise make make make make make
    apt_install make
}

has_postgres() {
    local folder
    for folder in "${FROSTGATE_PG_BIN:-}" /usr/lib/postgresql/*/bin; do
        [ -x "$folder/initdb" ] && has_client && return
    done
    has initdb && has postgres && has_client
}

has_client() { has psql && has pgbench && has pg_dump; }

need_postgres() {
    has_postgres && return
    has apt-get || advise "PostgreSQL" "postgresql-server postgresql-contrib" postgresql \
        "postgresql postgresql-contrib" postgresql@17
    # Debian's packages make a cluster `main` and start it, which nobody has asked for here.
    local settings=/etc/postgresql-common/createcluster.conf
    if [ ! -e "$settings" ] && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
        say "writing create_main_cluster = false to $settings, so that no cluster is made or started"
        as_root mkdir -p "${settings%/*}"
        printf '# Written before PostgreSQL was installed for tests: no cluster of the machine itself.\n%s\n' \
            'create_main_cluster = false' | as_root tee "$settings" >/dev/null
    fi
    apt_install postgresql postgresql-contrib postgresql-client
}

# The package of Prometheus would start it as a service: take its programs, prometheus and promtool, alone.
need_prometheus() {
    has promtool && has prometheus && return
    has apt-get || advise "Prometheus, with promtool" golang-github-prometheus prometheus prometheus prometheus
    local folder=$PWD/.cache/prometheus
    [ -x "$folder/usr/bin/promtool" ] && [ -x "$folder/usr/bin/prometheus" ] && return
    lists_are_there || update_lists
    say "fetching prometheus and promtool from the package prometheus into .cache, without installing that"
    rm -rf "$folder"
    mkdir -p "$folder"
    (
        cd "$folder"
        # Lists may be older than what the mirrors have: once more with new ones.
        apt-get download -qq prometheus 2>/dev/null || { update_lists && apt-get download -qq prometheus; }
        dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb
    )
    "$folder/usr/bin/promtool" --version >/dev/null
    "$folder/usr/bin/prometheus" --version >/dev/null
}

# Debian's package would start a server of the machine's own: it is told not to.
need_nginx() {
    has nginx && return
    [ -x /usr/sbin/nginx ] && return
    has apt-get || advise nginx nginx nginx nginx nginx
    say "nginx is installed for a test, and not started"
    [ -e /etc/systemd/system/nginx.service ] || as_root ln -s /dev/null /etc/systemd/system/nginx.service 2>/dev/null || true
    apt_install nginx-light
}

# Extensions that write by themselves: the check is tried beside real ones.
need_pg_cron() {
    local bin version
    bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    version=$(basename "${bin%/bin}")
    [ -e "/usr/lib/postgresql/$version/lib/pg_cron.so" ] && return
    if has apt-get && apt-cache policy "postgresql-$version-cron" 2>/dev/null | grep -q 'Candidate: [0-9]'; then
        apt_install "postgresql-$version-cron"
    else
        say "pg_cron is not in this system's packages; the test beside it is skipped"
    fi
}

need_chromium() {
    has chromium && return
    if has apt-get && apt-cache policy chromium 2>/dev/null | grep -q 'Candidate: [0-9]'; then
        apt_install chromium
    else
        say "Chromium is not in this system's packages; the test of the page is skipped"
    fi
}

packages=()
for what in "$@"; do
    case $what in
    package:*) packages+=("${what#package:}") ;;
    rust | cc | make | postgres | prometheus | nginx | chromium | pg_cron) "need_$what" ;;
    *)
        sed -n '2,6p' "$0" >&2
        exit 2
        ;;
    esac
done
if [ ${#packages[@]} -gt 0 ]; then
    if ! has apt-get; then
        say "there is no apt-get here, to install ${packages[*]}"
        exit 1
    fi
    apt_install "${packages[@]}"
fi
