#!/bin/sh
# Makes the certificates of the tests anew: an authority, which the firmware `https` has in it, a server that is named as
# the tests' host, and one that is not. The keys are known to everybody: trust this authority nowhere else.
set -eu
cd "$(dirname "$0")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
: >"$work/index"
cat >"$work/ca.cnf" <<CONFIG
[ca]
default_ca = own
[own]
database = $work/index
rand_serial = yes
new_certs_dir = $work
default_md = sha256
policy = any
[any]
commonName = supplied
CONFIG
# new NAME COMMON-NAME EXTENSIONS OPTIONS...: a key and a certificate that is valid from 2020 to 2120.
new() {
    name="$1" common="$2" extensions="$3"
    shift 3
    openssl ecparam -name prime256v1 -genkey -noout -out "$work/$name.key"
    openssl req -new -key "$work/$name.key" -subj "/CN=$common" -out "$work/$name.csr"
    printf "$extensions" >"$work/extensions"
    openssl ca -batch -config "$work/ca.cnf" -startdate 20200101000000Z -enddate 21200101000000Z -notext \
        -extfile "$work/extensions" -in "$work/$name.csr" -keyfile "$work/authority.key" -out "$work/$name.pem" "$@" 2>/dev/null
}
new authority "connie's tests" 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n' -selfsign
for host in many other; do
    new "$host" "$host.test" \
        "subjectAltName=DNS:$host.test\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n" \
        -cert "$work/authority.pem"
    cp "$work/$host.key" "$work/$host.pem" .
done
openssl x509 -in "$work/authority.pem" -outform der -out authority.der
chmod 644 ./*.key
