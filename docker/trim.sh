#!/bin/sh
# Removes what never-loaded.txt names. A pattern that matches nothing is an error: torch has changed then.
set -eu
list=$1
cd "$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')"
before=$(du -sm . | cut -f1)
grep -v '^#' "$list" | while read -r pattern; do
    # shellcheck disable=SC2086 - it is a pattern
    set -- $pattern
    [ -e "$1" ] || { echo "trim: $pattern matches nothing" >&2; exit 1; }
    rm -rf -- "$@"
done
echo "trim: $before MB before, $(du -sm . | cut -f1) MB now"
