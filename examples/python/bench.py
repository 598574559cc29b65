"""Python's http.client beside the same with connie under it: the whole GET, the same URL, in random order.

    PYTHONPATH=../../connie-python python3 bench.py http://example.org/
    python3 bench.py --rounds 10 --timeout 1 --addresses 127.0.0.2,127.0.0.4 http://name.test:8080/

A round that fails counts with the time that it took; how many failed is in the table. With --addresses both are told the same addresses
for the host, in this order, and no name server is asked. Politely: one request at a time.
"""

import argparse
import http.client
import random
import socket
import statistics
import sys
import time
import urllib.parse

import connie


class Addresses:
    """What a lookup of the host tells both clients."""

    def __init__(self, host, addresses):
        self.host, self.addresses = host, addresses
        self.system = socket.getaddrinfo

    def getaddrinfo(self, host, port, *args, **kwargs):
        """In place of socket.getaddrinfo, by which http.client looks names up."""
        if host != self.host:
            return self.system(host, port, *args, **kwargs)
        return [answer for address in self.addresses for answer in self.system(address, port, *args, **kwargs)]

    def connect(self, address, timeout, source_address=None):
        """In place of connie.create_connection, which asks the system's resolver itself."""
        return connie.connect_addresses(self.addresses, address[1], timeout)


def get(client, url, timeout):
    """The time a GET took in milliseconds, and why it failed if it did."""
    start = time.perf_counter()
    failure = None
    connection = client(url.hostname, url.port, timeout=timeout)
    try:
        target = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
        connection.request("GET", target, headers={"User-Agent": "connie-bench", "Connection": "close"})
        connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        failure = error
    finally:
        connection.close()
    return (time.perf_counter() - start) * 1000, failure


def client_with(client, addresses):
    """The connie client, told the addresses."""

    def make(*args, **kwargs):
        connection = client(*args, **kwargs)
        connection._create_connection = addresses.connect
        return connection

    return make


def contenders(url, addresses):
    plain, raced = {
        "http": (http.client.HTTPConnection, connie.HTTPConnection),
        "https": (http.client.HTTPSConnection, connie.HTTPSConnection),
    }[url.scheme]
    if addresses:
        known = Addresses(url.hostname, addresses)
        socket.getaddrinfo = known.getaddrinfo
        raced = client_with(raced, known)
    return {"http.client": plain, "connie": raced}


def measure(clients, url, rounds, timeout, seed):
    order = [name for name in clients for _ in range(rounds)]
    random.Random(seed).shuffle(order)
    times, failures = {name: [] for name in clients}, {name: [] for name in clients}
    for number, name in enumerate(order, 1):
        if sys.stderr.isatty():
            print(f"\r{number}/{len(order)}\r", end="", file=sys.stderr, flush=True)
        took, failure = get(clients[name], url, timeout)
        times[name].append(took)
        if failure:
            failures[name].append(failure)
    return times, failures


def table(times, failures):
    row = "{:<12}{:>8}{:>8}{:>12}{:>12}{:>12}{:>12}".format
    lines = [row("", "rounds", "failed", "mean ms", "median ms", "max ms", "deviation")]
    for name, taken in times.items():
        deviation = statistics.stdev(taken) if len(taken) > 1 else 0.0
        figures = statistics.mean(taken), statistics.median(taken), max(taken), deviation
        lines.append(row(name, len(taken), len(failures[name]), *(f"{figure:.2f}" for figure in figures)))
    plain, raced = (statistics.mean(taken) for taken in times.values())
    lines.append(f"mean of http.client / mean of connie: {plain / raced:.2f}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="http.client beside the same with connie under it")
    parser.add_argument("url", type=urllib.parse.urlsplit)
    parser.add_argument("--rounds", type=int, default=50, help="of each; default 50")
    parser.add_argument("--timeout", type=float, default=10, help="seconds, as http.client takes it; default 10")
    parser.add_argument("--addresses", type=lambda text: text.split(","), help="of the host, best first: ADDR[,ADDR...]")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the random order")
    options = parser.parse_args()
    if options.url.scheme not in ("http", "https") or not options.url.hostname:
        parser.error("give a URL such as http://example.org/")
    if options.rounds < 1:
        parser.error("give one round or more")
    clients = contenders(options.url, options.addresses)
    times, failures = measure(clients, options.url, options.rounds, options.timeout, options.seed)
    print(f"{options.url.geturl()}, seed {options.seed}")
    print(table(times, failures))
    for name, failed in failures.items():
        if failed:
            print(f"{name}: {failed[0]}", file=sys.stderr)
    return 1 if any(len(failed) == options.rounds for failed in failures.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
