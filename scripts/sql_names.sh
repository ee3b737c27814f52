#!/bin/sh
# Writes the lists of names that src/sql reads at compile time, from the catalogs of real servers:
#
#   src/sql/functions.txt      PostgreSQL's own functions, whatever they do: what is dangerous stands in functions.rs,
#                              which is asked first
#   src/sql/syntax_words.txt   words that stand before a parenthesis without calling a function of that name
#   src/sql/settings.txt       settings that set_config may set: what a session may set, without what could take the
#                              fence down or harm data
#
# usage: scripts/sql_names.sh 'host=… port=… user=…' …    one connection string for each version; names are united
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { sed -n '2,10p' "$0"; exit 2; }

ask() { # query, then connection strings
    query=$1
    shift
    for server in "$@"; do psql -XAtq -d "$server" -c "$query"; done
}

# What only versions 13, 14, 16 and 17 have, or had, beside 15 and 18.
only_in_other_versions() {
    cat <<'LIST'
currtid
float48eq
pg_backup_start_time
pg_is_in_backup
pg_start_backup
pg_stop_backup
pg_stat_get_bgwriter_buf_written_clean
pg_stat_get_buf_fsync_backend
pg_stat_get_buf_written_backend
LIST
}

{
    ask "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
         AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND proname ~ '^[a-z0-9_]+\$'" "$@"
    only_in_other_versions
} | LC_ALL=C sort -u >src/sql/functions.txt

# Reserved words and "column name" keywords: gram.y takes none of them for the name of a function. ROLLUP and CUBE are
# neither, but stand in GROUP BY.
{
    ask "SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'C')" "$@"
    printf '%s\n' rollup cube
} | LC_ALL=C sort -u >src/sql/syntax_words.txt

{
    # Not every setting is shown by pg_settings: role and session_authorization are not.
    printf '%s\n' role session_authorization seed
    ask "SELECT lower(name) FROM pg_settings WHERE context IN ('user', 'superuser') AND name !~ '\\.'" "$@"
    printf '%s\n' operator_precedence_warning force_parallel_mode vacuum_cleanup_index_scale_factor \
        debug_logical_replication_streaming logical_replication_mode
} | grep -vxE '(default_)?transaction_read_only|zero_damaged_pages|ignore_checksum_failure|ignore_system_indexes|allow_system_table_mods|allow_in_place_tablespaces|dynamic_library_path|extension_control_path|session_preload_libraries|local_preload_libraries|jit_dump_bitcode|extension_destdir' |
    LC_ALL=C sort -u >src/sql/settings.txt
wc -l src/sql/functions.txt src/sql/syntax_words.txt src/sql/settings.txt
