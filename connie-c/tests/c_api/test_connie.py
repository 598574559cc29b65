"""The module connie over the hosts of support.rs: run by python.rs."""

import errno
import http.client
import os
import asyncio
import re
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
import urllib.error
import urllib.request
import warnings

import connie
from connie import _native

PORT = int(os.environ["PORT"])
TLS_PORT = int(os.environ["TLS_PORT"])
PAGE = b"the page\n"
# More than anything here takes on a busy machine.
LONG = 20


def descriptors():
    return len(os.listdir("/proc/self/fd"))


class Connections(unittest.TestCase):
    def setUp(self):
        self.before = descriptors()

    def tearDown(self):
        self.assertEqual(descriptors(), self.before)

    def get(self, connection):
        connection.request("GET", "/")
        page = connection.getresponse().read()
        connection.close()
        self.assertEqual(page, PAGE)

    def test_the_manners_of_sockets_create_connection(self):
        connected = connie.create_connection(("live.test", str(PORT)), LONG)
        self.assertFalse(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        source = connected.getsockname()[0]
        connected.close()
        options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        connected = connie.create_connection(("live.test", PORT), LONG, (source, 31077), options)
        self.assertTrue(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertEqual(connected.getsockname(), (source, 31077))
        connected.close()
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            for host in [None, "127.1", "0x7f.1", "0177.0.0.1", b"127.0.0.1"]:
                with connie.create_connection((host, port), LONG) as connected:
                    self.assertEqual(connected.getpeername(), ("127.0.0.1", port))
            for source in [("127.0.0.2", 0), ("127.2", 0), (b"127.0.0.2", 0), ("local.test", 0)]:
                with connie.create_connection(("127.0.0.1", port), LONG, source) as connected:
                    self.assertEqual(connected.getsockname()[0], "127.0.0.2")
        with self.assertRaises(socket.gaierror):
            connie.create_connection(("live.test", PORT), LONG, ("no-such.test", 0))
        with self.assertRaises(OSError):
            connie.create_connection(("live.test", PORT), LONG, socket_options=[(12345, 1, 1)])
        if sys.version_info >= (3, 11):
            with self.assertRaises(ExceptionGroup) as caught:
                connie.create_connection(("mixed.test", PORT), LONG, all_errors=True)
            kinds = sorted(error.errno for error in caught.exception.exceptions)
            self.assertEqual(kinds, sorted([errno.ECONNREFUSED, errno.EHOSTUNREACH]))
            # As in socket, where the lookup is not one of the attempts.
            with self.assertRaises(socket.gaierror):
                connie.create_connection(("no-such.test", PORT), LONG, all_errors=True)

    def handled(self, seconds, call):
        """The exception of a handler that runs after `seconds`, and how long it took to arrive."""

        class Stop(Exception):
            pass

        def handler(number, frame):
            handler.at = time.monotonic()
            raise Stop

        before = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            try:
                call()
            finally:
                # The signal may even come here.
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Stop:
            return time.monotonic() - handler.at
        finally:
            signal.signal(signal.SIGALRM, before)
        return None

    def test_a_signals_handler_ends_a_call_at_once(self):
        for host in ["dead.test", "10.9.0.1"]:
            took = self.handled(0.1, lambda: connie.create_connection((host, PORT), LONG))
            self.assertLess(took, 0.1)
        self.assertEqual(descriptors(), self.before)

    def test_a_signals_handler_while_a_call_succeeds_leaves_nothing_open(self):
        # The winner answers after 10 ms: handlers before it, at that moment and after it.
        ended = 0
        for step in range(200):
            took = self.handled(
                0.006 + step * 0.00005, lambda: connie.create_connection(("10.9.0.2", PORT), LONG).close()
            )
            ended += took is not None
        self.assertGreater(ended, 10)
        self.assertEqual(descriptors(), self.before)

    def test_a_handler_that_raises_at_any_step_leaves_nothing_open(self):
        class Stop(Exception):
            pass

        steps = 0

        def trace(frame, event, _):
            nonlocal steps
            if os.path.basename(frame.f_code.co_filename) not in ("_race.py", "socket.py", "threading.py"):
                return None
            frame.f_trace_opcodes = True
            if event in ("line", "opcode"):
                steps -= 1
                if steps == 0:
                    raise Stop
            return trace

        last = 0
        with warnings.catch_warnings(), socket.create_server(("127.0.0.1", 0)) as server:
            # That Python closes a socket which the caller never got is what is wanted.
            warnings.simplefilter("ignore", ResourceWarning)
            server.setblocking(False)
            address = server.getsockname()
            before = descriptors()
            for last in range(1, 2000):
                steps = last
                traced = sys.gettrace()
                sys.settrace(trace)
                try:
                    connie.create_connection(address, LONG).close()
                    ended = True
                except Stop:
                    ended = False
                finally:
                    sys.settrace(traced)
                # What was on its way when the call ended closes itself.
                limit = time.monotonic() + LONG
                while time.monotonic() < limit and descriptors() != before:
                    time.sleep(0.001)
                self.assertEqual(descriptors(), before, last)
                try:
                    server.accept()[0].close()
                except BlockingIOError:
                    pass
                if ended:
                    break
        self.assertGreater(last, 10)
        self.assertLess(last, 1999)

    def test_a_coroutine(self):
        async def page():
            reader, writer = await connie.open_connection("many.test", PORT, timeout=LONG)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

        self.assertTrue(asyncio.run(page()).endswith(PAGE))

        async def beside_another():
            start = time.monotonic()
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(connie.open_connection("dead.test", PORT), 0.1)
            with self.assertRaises(ConnectionRefusedError):
                await connie.open_connection("refused.test", PORT)
            return time.monotonic() - start

        self.assertLess(asyncio.run(beside_another()), LONG)
        limit = time.monotonic() + LONG
        while descriptors() != self.before and time.monotonic() < limit:
            time.sleep(0.01)

        # What asyncio calls source_address, and a family: neither may be left unheeded.
        async def from_there(**arguments):
            _, writer = await connie.open_connection("localhost", port, timeout=LONG, **arguments)
            local = writer.get_extra_info("sockname")[:2]
            writer.close()
            await writer.wait_closed()
            return local

        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            local = asyncio.run(from_there(local_addr=("127.0.0.2", 31078), happy_eyeballs_delay=0.25))
            self.assertEqual(local, ("127.0.0.2", 31078))
            with socket.create_server(("::1", port), family=socket.AF_INET6):
                self.assertEqual(asyncio.run(from_there(family=socket.AF_INET))[0], "127.0.0.1")
                self.assertEqual(asyncio.run(from_there(family=socket.AF_INET6))[0], "::1")
            with self.assertRaises(socket.gaierror):
                asyncio.run(from_there(family=socket.AF_UNIX))
            with self.assertRaises(ValueError):
                asyncio.run(from_there(server_hostname="localhost"))

        async def secure():
            context = ssl.create_default_context(cafile=os.environ["AUTHORITY"])
            reader, writer = await connie.open_connection("many.test", TLS_PORT, ssl=context)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            answer = await reader.readuntil(b"\r\n")
            writer.transport.abort()
            await asyncio.sleep(0.05)
            return answer

        self.assertIn(b"200", asyncio.run(secure()))

    def test_a_connection_is_http_clients(self):
        connection = connie.HTTPConnection("many.test", PORT, timeout=LONG)
        self.assertIsInstance(connection, http.client.HTTPConnection)
        connection.request("GET", "/")
        self.assertEqual(connection.sock.getpeername(), ("10.9.0.2", PORT))
        self.assertEqual(connection.sock.gettimeout(), LONG)
        self.assertTrue(connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertFalse(connection.sock.get_inheritable())
        self.assertEqual(connection.getresponse().read(), PAGE)
        # Kept alive, and opened anew.
        for _ in range(2):
            connection.request("GET", "/missing")
            response = connection.getresponse()
            self.assertEqual(response.status, 404)
            response.read()
            connection.close()

    def test_https(self):
        context = ssl.create_default_context(cafile=os.environ["AUTHORITY"])
        self.get(connie.HTTPSConnection("many.test", TLS_PORT, timeout=LONG, context=context))
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.get(connie.HTTPSConnection("live.test", TLS_PORT, timeout=LONG, context=context))
        opener = connie.build_opener(context=context)
        with opener.open(f"https://many.test:{TLS_PORT}/", timeout=LONG) as response:
            self.assertEqual(response.read(), PAGE)

    def test_an_opener_of_urllib(self):
        with connie.build_opener().open(f"http://many.test:{PORT}/", timeout=LONG) as response:
            self.assertEqual(response.read(), PAGE)
        with self.assertRaises(urllib.error.URLError) as caught:
            connie.build_opener().open(f"http://refused.test:{PORT}/", timeout=LONG)
        self.assertIsInstance(caught.exception.reason, ConnectionRefusedError)

    def test_a_proxy(self):
        proxy = urllib.request.ProxyHandler({"http": f"http://many.test:{PORT}"})
        with connie.build_opener(proxy).open("http://name.test/", timeout=LONG) as response:
            self.assertEqual(response.read(), PAGE)

    def test_errors_are_the_ones_that_python_raises(self):
        for host, kind, number in [
            ("refused.test", ConnectionRefusedError, errno.ECONNREFUSED),
            ("mixed.test", ConnectionRefusedError, errno.ECONNREFUSED),
            ("far.test", OSError, errno.EHOSTUNREACH),
            ("no-such.test", socket.gaierror, socket.EAI_NONAME),
            ("", socket.gaierror, socket.EAI_NONAME),
        ]:
            with self.subTest(host), self.assertRaises(kind) as caught:
                connie.create_connection((host, PORT), LONG)
            self.assertEqual(caught.exception.errno, number)
            self.assertIn(host, caught.exception.strerror)

    def test_a_time_out(self):
        start = time.monotonic()
        with self.assertRaises(TimeoutError) as caught:
            connie.HTTPConnection("dead.test", PORT, timeout=0.25).connect()
        self.assertGreaterEqual(time.monotonic() - start, 0.249)
        self.assertEqual(caught.exception.errno, errno.ETIMEDOUT)
        self.assertIn("10.9.0.1", str(caught.exception))
        with self.assertRaises(TimeoutError):
            connie.create_connection(("dead.test", PORT), 1e-9)

    def test_time_outs_are_as_for_socket(self):
        self.assertIsNone(socket.getdefaulttimeout())
        for timeout in [(), (None,), (LONG,), (1e9,)]:
            connected = connie.create_connection(("live.test", PORT), *timeout)
            self.assertEqual(connected.gettimeout(), timeout[0] if timeout else None)
            connected.close()
        socket.setdefaulttimeout(LONG)
        try:
            connected = connie.create_connection(("live.test", PORT))
            self.assertEqual(connected.gettimeout(), LONG)
            connected.close()
        finally:
            socket.setdefaulttimeout(None)
        for timeout in [0, -1, float("nan")]:
            with self.assertRaises(ValueError):
                connie.create_connection(("live.test", PORT), timeout)

    def test_what_the_library_must_not_see(self):
        with self.assertRaises(ValueError):
            connie.create_connection(("live.test\0.evil.test", PORT), LONG)
        with self.assertRaises(OverflowError):
            connie.create_connection(("live.test", 65536 + PORT), LONG)
        for port in [0, None, "0"]:
            with self.assertRaises(ConnectionRefusedError):
                connie.create_connection(("live.test", port), LONG)
        with self.assertRaisesRegex(OSError, "not float"):
            connie.create_connection(("live.test", 80.5), LONG)
        # What is neither a name nor an address is for socket a name that does not exist.
        for host in ["a b", "a..b", "256.1.1.1", "1.2.3.4.5", "127.0.0.1:80", "http://live.test", "::1%no-such"]:
            with self.subTest(host), self.assertRaises(socket.gaierror) as caught:
                connie.create_connection((host, PORT), LONG)
            self.assertEqual(caught.exception.errno, socket.EAI_NONAME)
            self.assertIn(host, caught.exception.strerror)
        with self.assertRaises(TypeError):
            connie.create_connection((17, PORT), LONG)
        for port in ["no-such-service", -1, "-1"]:
            with self.subTest(port), self.assertRaises(socket.gaierror) as caught:
                connie.create_connection(("live.test", port), LONG)
            self.assertEqual(caught.exception.errno, socket.EAI_SERVICE)
        with self.assertRaises(UnicodeError):
            connie.create_connection(("\u00e4" * 100, PORT), LONG)
        with self.assertRaises(socket.gaierror):
            connie.create_connection(("b\u00fccher.test", PORT), LONG)

    def test_addresses_that_were_looked_up(self):
        connected = connie.connect_addresses(["10.9.0.1", "10.9.0.3", "10.9.0.2"], PORT, LONG)
        self.assertEqual(connected.getpeername(), ("10.9.0.2", PORT))
        connected.close()
        with self.assertRaises(OSError) as caught:
            connie.connect_addresses([], PORT, LONG)
        self.assertEqual(caught.exception.errno, errno.EINVAL)

    def test_threads_run_beside_a_call(self):
        ended = []
        waiting = threading.Thread(target=lambda: ended.append(self.fails("dead.test", 1)), daemon=True)
        waiting.start()
        self.get(connie.HTTPConnection("many.test", PORT, timeout=LONG))
        self.assertEqual(ended, [], "the other call holds up this thread")
        waiting.join(LONG)
        self.assertEqual(ended, [True])

    def fails(self, host, timeout):
        try:
            connie.create_connection((host, PORT), timeout).close()
            return False
        except TimeoutError as error:
            return host in str(error)

    def test_the_child_of_a_fork_connects(self):
        # The threads that look names up are the parent's; they wait for more for a second.
        connie.create_connection(("many.test", PORT), LONG).close()
        child = os.fork()
        if child == 0:
            try:
                connie.create_connection(("many.test", PORT), LONG).close()
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
        limit = time.monotonic() + 2 * LONG
        ended, status = 0, None
        while not ended and time.monotonic() < limit:
            ended, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.01)
        self.assertEqual((ended, status), (child, 0))

    def test_a_memory_is_shared_saved_and_told(self):
        memory = connie.Memory()
        self.assertEqual((len(memory), bool(memory)), (0, True))
        connected = connie.create_connection(("four.test", PORT), LONG, memory=memory)
        known = len(memory)
        self.assertGreaterEqual(known, 1)
        connie.report(connected, connie.Verdict.STALLED)
        connected.close()
        with self.assertRaises(ValueError):
            connie.report(connected, 4)
        with connie.create_connection(("live.test", PORT), LONG) as other:
            connie.report(other, connie.Verdict.GOOD)
            with self.assertRaises(ValueError):
                connie.report(other, 4)
        connie.report(5, connie.Verdict.GOOD)
        self.assertEqual(len(memory.partition(3)), known)
        with self.assertRaises(OverflowError):
            memory.partition(-1)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "memory")
            self.assertEqual(len(connie.Memory(path)), 0)
            memory.save(path)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            self.assertEqual(len(connie.Memory(path)), known)
            with open(path, "w", encoding="utf-8") as file:
                file.write("no memory")
            with self.assertRaisesRegex(OSError, path):
                connie.Memory(path)
            with self.assertRaisesRegex(OSError, folder):
                memory.save(folder)
        memory.forget()
        self.assertEqual(len(memory), 0)

    def test_what_lives_has_a_memory_of_its_own_and_tells_it_of_tls(self):
        connection = connie.HTTPConnection("many.test", PORT, timeout=LONG)
        self.get(connection)
        self.assertGreaterEqual(len(connection.memory), 1)
        memory = connie.Memory()
        self.assertIs(connie.HTTPConnection("many.test", PORT, memory=memory).memory, memory)
        opener = connie.build_opener(memory=memory)
        self.assertIs(opener.memory, memory)
        self.assertIsInstance(connie.build_opener().memory, connie.Memory)
        opener.open(f"http://many.test:{PORT}/", timeout=LONG).close()
        self.assertGreaterEqual(len(memory), 1)

        async def visit():
            reader, writer = await connie.open_connection("many.test", PORT, timeout=LONG, memory=memory)
            connie.report(writer.get_extra_info("socket"), connie.Verdict.GOOD)
            writer.close()
            await writer.wait_closed()

        asyncio.run(visit())
        told = []
        with unittest.mock.patch("connie._native.report", lambda visit, verdict: told.append(verdict)):
            # No TLS is spoken there.
            with self.assertRaises(OSError):
                connie.HTTPSConnection("many.test", PORT, timeout=LONG).connect()
            self.assertEqual(told, [connie.Verdict.TLS_FAILED])
            # A certificate that nobody here trusts says nothing of the address.
            with self.assertRaises(ssl.SSLCertVerificationError):
                connie.HTTPSConnection("many.test", TLS_PORT, timeout=LONG).connect()
            self.assertEqual(told, [connie.Verdict.TLS_FAILED])

    def test_the_table_of_errors_is_that_of_the_header(self):
        with open(os.environ["HEADER"], encoding="utf-8") as file:
            header = file.read()
        entries = re.findall(r"/\*\*(.*?)\*/\s+CONNIE_\w+ = (-?\d+),", header.split("enum connie_")[0], re.S)
        self.assertEqual(int(entries[0][1]), 0)
        errors = {int(number): re.search(r"Like\s[\s*]*(\w+)", text).group(1) for text, number in entries[1:]}
        self.assertEqual(sorted(errors), list(range(-len(_native._ERRORS), 0)))
        for number, name in errors.items():
            kind, value = _native._ERRORS[-number - 1]
            module = socket if name.startswith("EAI") else errno
            self.assertEqual((kind is socket.gaierror, value), (module is socket, getattr(module, name)), name)


if __name__ == "__main__":
    unittest.main()
