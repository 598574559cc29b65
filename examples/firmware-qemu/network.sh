#!/bin/sh
# Runs a command in a network of its own, which is gone when the command has ended:
#
#   ./network.sh cargo run --release --target thumbv7m-none-eabi -- http://many.test/
#
# In it are the TAP device connie0, a DHCP and name server, a router that advertises itself, and a web server on port 80 of 10.77.0.1
# and fd00:4d::1. The name one.test has the first of these. The name many.test has both, and eight more at which nobody is.
#
# There is no way out of that network, not to the crate registry either. What `cargo run` would build, with
# all that it would download, is therefore built before, outside; inside it is only run.
#
# Needs root, or a system that lets users have namespaces and open /dev/net/tun. Debian packages: iproute2 util-linux dnsmasq-base
# python3 qemu-system-arm.
set -eu
for program in unshare ip dnsmasq python3; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || {
        echo "network.sh: no $program; apt-get install iproute2 util-linux dnsmasq-base python3" >&2
        exit 1
    }
done

# built cargo run ARGUMENT... [-- ...]: builds with the arguments before `--`, which are cargo's.
built() {
    shift 2
    seen=
    left=$#
    while [ "$left" -gt 0 ]; do
        [ "$1" != -- ] || seen=yes
        [ "$seen" ] || set -- "$@" "$1"
        shift
        left=$((left - 1))
    done
    cargo build "$@"
}

if [ "${1:-}" != --inside ]; then
    [ $# -gt 0 ] || {
        echo "usage: network.sh COMMAND [ARGUMENT...]" >&2
        exit 2
    }
    root="$(id -u)"
    [ "$root" = 0 ] || [ -w /dev/net/tun ] || {
        echo "network.sh: /dev/net/tun is not open to you; run this as root, or: sudo chmod 0666 /dev/net/tun" >&2
        exit 1
    }
    case "$1 ${2:-}" in "cargo run" | "cargo r") built "$@" ;; esac
    if [ "$root" = 0 ]; then exec unshare --net -- "$0" --inside "$@"; fi
    exec unshare --user --map-root-user --net -- "$0" --inside "$@"
fi
shift
PATH="$PATH:/usr/sbin:/sbin"
directory="$(mktemp -d)"
servers=
trap 'kill $servers 2>/dev/null; wait; rm -rf "$directory"' EXIT
trap 'exit 130' INT TERM

ip link set lo up
ip tuntap add dev connie0 mode tap
echo 0 >/proc/sys/net/ipv6/conf/connie0/accept_dad
ip link set connie0 up
ip addr add 10.77.0.1/24 dev connie0
ip addr add fd00:4d::1/64 dev connie0 nodad

{
    echo "10.77.0.1 one.test"
    for last in 201 202 203 204 1; do
        echo "10.77.0.$last many.test"
        echo "fd00:4d::$last many.test"
    done
} >"$directory/hosts"
dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --group=root --pid-file= --log-facility="$directory/log" \
    --no-resolv --no-hosts --local=/test/ --addn-hosts="$directory/hosts" --interface=connie0 --bind-interfaces --no-ping \
    --dhcp-range=10.77.0.50,10.77.0.99,255.255.255.0,1h --dhcp-leasefile="$directory/leases" \
    --enable-ra --dhcp-range=::,constructor:connie0,ra-only,64,1h &
servers="$servers $!"
mkdir "$directory/page"
echo "the page" >"$directory/page/index.html"
python3 -m http.server 80 --bind :: --directory "$directory/page" >/dev/null 2>&1 &
servers="$servers $!"
# Until both listen.
tries=0
until python3 -c 'import socket; [socket.create_connection(("10.77.0.1", port)) for port in (80, 53)]' 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 50 ] || {
        echo "network.sh: the servers do not start: $(cat "$directory/log")" >&2
        exit 1
    }
    sleep 0.1
done
# Not exec: the servers are stopped when it has ended.
status=0
"$@" || status=$?
exit $status
