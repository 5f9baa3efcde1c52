#!/bin/sh
# Stands for `python3 -m pip download ...` in the tests: does what the script in the cache folder says.
dest=
while [ $# -gt 0 ]; do
    if [ "$1" = --dest ]; then dest=$2; fi
    shift
done
cache="$TMPDIR/../../.."
echo run >> "$cache/runs"
. "$cache/pip.sh"
