"""One call in a thread of its own, so that a signal's handler runs in the main thread meanwhile, and a task can be canceled."""

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
    """Owns the connection until it is taken, and closes what nobody takes."""

    def __init__(self, call: Call, tell: typing.Callable[[], None] = lambda: None) -> None:
        # Objects, so that whatever is raised between two steps closes them.
        self._reader, self._writer = socket.socketpair()
        self._call = call
        self._tell = tell
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._canceled = False
        self._connected: typing.Optional[socket.socket] = None
        self._error: typing.Optional[BaseException] = None

    def start(self) -> None:
        """In a daemon, which does not keep the program from ending."""
        threading.Thread(target=self._run, name="connie", daemon=True).start()

    def _run(self) -> None:
        # A signal is for the main thread, whose wait it ends.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
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
            self._done.set()
            self._tell()

    def cancel(self) -> None:
        """The call ends within milliseconds, by itself."""
        # The end of the other side is what the call waits for beside its sockets.
        self._writer.close()
        with self._lock:
            self._canceled = True
            if self._connected is not None:
                self._connected.close()

    def wait(self) -> None:
        """Until it has ended. What a signal's handler raises meanwhile cancels it."""
        try:
            self._done.wait()
        except BaseException:
            self.cancel()
            self._done.wait(_PATIENCE)
            raise

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
        race.cancel()
        raise
