#!/usr/bin/env bash
# Installs the wheel into a fresh environment, checks its type hints, and fetches a page with it by each HTTP client of
# examples/python/clients.py, and with the programs of docs/from, from a host whose first address is dead.
#
#   packaging/try_wheel.sh WHEEL [CLIENTS]     or a folder with nothing else in it; the clients come from where pip finds packages
#
# The host's name is in a file that is mounted over /etc/hosts in a namespace of this script's own, with a network of its own: needs root.
set -euo pipefail

wheel="$(realpath "${1:?try_wheel: wants a wheel}")"
[ ! -d "$wheel" ] || wheel="$(realpath "$wheel"/*.whl)"
clients="$(realpath "$(dirname "$0")/../examples/python")"
[ "$(id -u)" = 0 ] || { printf 'NOT TRIED: %s: needs root\n' "$wheel" >&2; exit "${CONNIE_STRICT:-0}"; }
here="$(mktemp -d)"
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/environment"
"$here/environment/bin/pip" install -q --no-index "$wheel"
# In a folder of its own, so that what is imported is the wheel's.
cd "$here"
"$here/environment/bin/python" -I -c 'import connie; connie.create_connection; print("connie", connie.__version__)'
"$here/environment/bin/pip" install -q urllib3==2.* requests==2.* httpx==0.28.* aiohttp==3.* aiohappyeyeballs==2.* mypy==2.*
# As a program's own check reads the hints of what is installed.
cat >typed.py <<'END'
import socket
import connie

async def page() -> bytes:
    reader, writer = await connie.open_connection("name.test", 80, timeout=10, local_addr=("127.0.0.1", 0))
    writer.close()
    return await reader.read()

def raced(memory: connie.Memory) -> socket.socket:
    return connie.create_connection(("name.test", "http"), 10, ("127.0.0.1", 0), all_errors=True, memory=memory)

connie.create_connection("name.test")  # type: ignore[arg-type]
END
"$here/environment/bin/mypy" --strict --cache-dir=/dev/null -p connie -m typed
# The dead one first: RFC 6724 prefers 127.0.0.1, which shares its whole prefix with the source address, itself.
printf '127.0.0.1 name.test\n127.0.0.2 name.test\n' >"$here/hosts"
printf 'multi on\n' >"$here/host.conf"
printf 'hosts: files\n' >"$here/nsswitch.conf"
unshare --mount --net bash -euo pipefail -s "$here" "$clients" <<'END'
ip link set lo up
for file in hosts host.conf nsswitch.conf; do mount --bind "$1/$file" "/etc/$file"; done
PYTHONPATH="$2" timeout 100 "$1/environment/bin/python" -W error - <<'PYTHON'
import http.server, os, socket, subprocess, sys, threading, time
import clients, connie

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"the page\n")
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.2", 8080), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
# A queue that is full: the kernel drops what comes.
dead = socket.create_server(("127.0.0.1", 8080), backlog=0)
queue = [socket.socket() for _ in range(4)]
for one in queue:
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", 8080))
silent = socket.socket()
silent.settimeout(0.3)
try:
    silent.connect(("127.0.0.1", 8080))
    raise SystemExit("the first address is not dead")
except TimeoutError:
    pass
first = socket.getaddrinfo("name.test", 8080, type=socket.SOCK_STREAM)[0][4][0]
assert first == "127.0.0.1", f"the first address is {first}"
for client in clients.CLIENTS:
    start = time.monotonic()
    assert client("http://name.test:8080/") == b"the page\n", client
    took = time.monotonic() - start
    # Its import is in that; a client that waits for the dead address takes all of its 10 s.
    assert took < 5, (client.__name__, took)
    print(f"{client.__name__}: {took:.2f} s")

# Runs a program of docs/from: (whether it has the page in time, seconds).
def run(program, arguments, limit):
    file = os.path.join(os.path.dirname(clients.__file__), "from", program + ".py")
    start = time.monotonic()
    try:
        done = subprocess.run([sys.executable, "-W", "error", file, *arguments], timeout=limit, capture_output=True)
    except subprocess.TimeoutExpired:
        return False, time.monotonic() - start
    assert done.returncode == 0 and done.stdout.endswith(b"the page\n"), (program, done)
    return True, time.monotonic() - start

for name, arguments, waits in [
    ("http_client", ["name.test:8080"], True),
    ("urllib3", ["http://name.test:8080/"], True),
    ("aiohappyeyeballs", ["name.test", "8080"], False),
]:
    before, took = run(name + "_before", arguments, 2 if waits else 5)
    # aiohappyeyeballs goes on to the next address after its delay.
    assert before is not waits and took >= 0.25, (name, before, took)
    after, took = run(name + "_after", arguments, 5)
    assert after, name
    print(f"from {name}: {took:.2f} s")
print("passed")
PYTHON
END
