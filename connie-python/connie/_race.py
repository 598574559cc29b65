"""One call in a thread of its own, so that a signal's handler runs in the main thread meanwhile, and a task can be canceled."""

import _socket
import _thread
import os
import signal
import socket
import threading
import typing

from ._memory import remember
from ._native import Call, last_visit

# Longer than a canceled call takes on a busy machine.
_PATIENCE = 1.0


class Race:
    """Owns the connection until it is taken, and closes it if it never is."""

    def __init__(self, call: Call, tell: typing.Callable[[], None] = lambda: None) -> None:
        # Objects from the first step on, so that whatever is raised between two closes them: the socket module's own function has
        # them as bare descriptors for a moment.
        self._reader, self._writer = _socket.socketpair()
        self._call = call
        self._tell = tell
        self._lock = threading.Lock()
        # Held until the call has ended. Not an Event, which an exception of a signal's handler can leave locked for good.
        self._done = threading.Lock()
        self._done.acquire()
        self._ended = False
        self._canceled = False
        self._running = False
        self._connected: typing.Optional[socket.socket] = None
        self._error: typing.Optional[BaseException] = None

    def start(self) -> None:
        """In a thread that does not keep the program from ending.

        Not by threading.Thread: what a signal's handler raises in the midst of its `start` leaves a thread that ends before it has run.
        """
        _thread.start_new_thread(self._run, ())

    def _run(self) -> None:
        # A signal is for the main thread, whose wait it ends.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            with self._lock:
                if self._canceled:
                    return
                self._running = True
            fd = self._call.run(self._reader.fileno())
            with self._lock:
                if self._canceled:
                    os.close(fd)
                else:
                    self._connected = remember(socket.socket(fileno=fd), last_visit())
        except BaseException as error:
            self._error = error
        finally:
            self._reader.close()
            self._ended = True
            self._done.release()
            self._tell()

    def cancel(self) -> None:
        """The call ends within milliseconds, by itself."""
        # The end of the other side is what the call waits for beside its sockets.
        self._writer.close()
        with self._lock:
            self._canceled = True
            if not self._running:
                self._reader.close()
            if self._connected is not None:
                self._connected.close()

    def wait(self) -> None:
        """Until it has ended."""
        self._done.acquire()

    def settle(self) -> None:
        """Until a call that was canceled has closed what it had open."""
        # One that has not begun has nothing, and never will.
        if self._running and not self._ended:
            self._done.acquire(timeout=_PATIENCE)

    def take(self) -> socket.socket:
        self._writer.close()
        if self._error is not None:
            try:
                raise self._error
            finally:
                # Or the error would keep this, and this the error.
                self._error = None
        connected, self._connected = self._connected, None
        if connected is None:
            raise ConnectionAbortedError("canceled")
        return connected


def run(call: Call) -> socket.socket:
    if threading.current_thread() is not threading.main_thread():
        # No handler runs here.
        return remember(socket.socket(fileno=call.run(-1)), last_visit())
    race = Race(call)
    try:
        race.start()
        race.wait()
        return race.take()
    except BaseException:
        # What a signal's handler has raised, at whatever step, or the call's own error.
        race.cancel()
        race.settle()
        raise
