#!/bin/sh
# Prints connie.h as cbindgen makes it of src/lib.rs: connie-c/header.sh >connie-c/include/connie.h
#
# cbindgen before 0.28, Debian 12's among them, does not know the attribute unsafe(no_mangle); it is shown the older spelling.
set -eu
cd "$(dirname "$0")"
source=$(mktemp)
trap 'rm -f "$source"' EXIT
sed 's/#\[unsafe(no_mangle)\]/#[no_mangle]/' src/lib.rs >"$source"
cbindgen --quiet --config cbindgen.toml "$source"
