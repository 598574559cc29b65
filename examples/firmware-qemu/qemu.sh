#!/bin/sh
# Runs the firmware in QEMU, on the TAP device CONNIE_TAP (connie0 where that is not set): cargo calls it as
#
#   qemu.sh FIRMWARE ARGUMENTS...
#
# network.sh makes such a device, and everything else that the firmware needs.
set -eu
tap="${CONNIE_TAP:-connie0}"
firmware="$1"
shift
command -v qemu-system-arm >/dev/null || {
    echo "qemu.sh: no qemu-system-arm; apt-get install qemu-system-arm" >&2
    exit 1
}
ip link show "$tap" >/dev/null 2>&1 || {
    echo "qemu.sh: no network device $tap; run this by ./network.sh, or name another with CONNIE_TAP" >&2
    exit 1
}
case "$firmware" in
    */thumbv6m-*) processor=cortex-m0 ;;
    *) processor=cortex-m3 ;;
esac
# The firmware gets its path and its arguments as one text, so that no space must be in the path.
cd "$(dirname "$firmware")"
# Without -nic QEMU would make a network that reaches the host's.
exec qemu-system-arm -M lm3s6965evb -cpu "$processor" -display none -monitor none -serial none \
    -nic "tap,ifname=$tap,script=no,downscript=no,model=stellaris,mac=02:00:00:00:4d:02" \
    -semihosting-config enable=on,target=native -kernel "$(basename "$firmware")" -append "$*"
