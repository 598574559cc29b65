"""What Python's http.client makes of raw answers.

Reads from stdin one JSON object: the port of a server on 127.0.0.1 that sends answer i to a request for /i/whole or /i/bytes, and the
answers, as text whose characters are the bytes: {"port": 1, "answers": [{"method": "GET", "raw": "HTTP/1.1 ...", "cuts": [1, 2]}]}.

Writes one JSON list: for each answer, the different outcomes of reading it in every way, each with the ways that led to it. Where the
answer is cut it comes to http.client by a socket that gives exactly these pieces, else over a real connection.
"""

import http.client
import io
import json
import sys


class Pieces(io.RawIOBase):
    """Gives these pieces, one for each call, and then the end."""

    def __init__(self, pieces):
        self.pieces = [piece for piece in pieces if piece]

    def readable(self):
        return True

    def readinto(self, buffer):
        if not self.pieces:
            return 0
        count = min(len(buffer), len(self.pieces[0]))
        buffer[:count] = self.pieces[0][:count]
        self.pieces[0] = self.pieces[0][count:]
        if not self.pieces[0]:
            del self.pieces[0]
        return count


class Socket:
    """As much of a socket as http.client uses."""

    def __init__(self, pieces):
        self.pieces = pieces

    def makefile(self, mode):
        return io.BufferedReader(Pieces(self.pieces))

    def sendall(self, data):
        pass

    def close(self):
        pass


def read(connection, method, target):
    """Sends a request and reads the answer."""
    outcome = {"error": None, "kept": None, "body": ""}
    try:
        connection.request(method, target)
        response = connection.getresponse()
    except Exception as error:  # Whatever it is, it is the outcome.
        outcome["error"] = type(error).__name__
        return outcome
    outcome["head"] = [response.status, response.reason, response.version, response.getheaders()]
    try:
        outcome["body"] = response.read().decode("latin-1")
        outcome["kept"] = connection.sock is not None
    except http.client.IncompleteRead as error:
        outcome["error"] = "IncompleteRead"
        outcome["body"] = error.partial.decode("latin-1")
        if error.expected is not None:
            outcome["expected"] = len(error.partial) + error.expected
    except Exception as error:
        outcome["error"] = type(error).__name__
    return outcome


def ways(index, answer, port):
    """Each way of reading an answer, with what came of it."""
    method, raw = answer["method"], answer["raw"].encode("latin-1")
    for how in ("whole", "bytes"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        yield how, read(connection, method, f"/{index}/{how}")
        connection.close()
    for cut in answer["cuts"]:
        connection = http.client.HTTPConnection("name.test")
        connection.sock = Socket([raw[:cut], raw[cut:]])
        yield f"cut at {cut}", read(connection, method, "/")


def outcomes(index, answer, port):
    """The different outcomes, each with the first way that led to it."""
    found = {}
    for way, outcome in ways(index, answer, port):
        found.setdefault(json.dumps(outcome), [way, outcome])
    return list(found.values())


given = json.load(sys.stdin)
json.dump([outcomes(index, answer, given["port"]) for index, answer in enumerate(given["answers"])], sys.stdout)
