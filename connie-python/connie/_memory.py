"""What connections have learnt about addresses, for later ones."""

import enum
import os
import socket
import ssl
import typing
import weakref

from . import _native


class Verdict(enum.IntEnum):
    """What you found out about the address behind a connection."""

    #: It works.
    GOOD = 0
    #: It refuses to work, such as a server that is overloaded or shuts down.
    REFUSED = 1
    #: It does not answer.
    STALLED = 2
    #: TLS failed, and not for its certificate's name or issuer, which say nothing about an address.
    TLS_FAILED = 3


class Memory:
    """Which addresses answer, how fast, and which are dead: with it one SYN is enough on nearly every visit to a host but the first.

    Pass it as `memory=` to whatever connects. Any number of threads and tasks may share one. `path` names a file that `save` has written: it
    goes on from there, and is empty where there is no such file.
    """

    def __init__(self, path: typing.Union[str, bytes, "os.PathLike[str]", None] = None) -> None:
        self._handle = _native.new_memory() if path is None else _native.load_memory(os.fsencode(path))

    def save(self, path: typing.Union[str, bytes, "os.PathLike[str]"]) -> None:
        """Write it to a file that only its owner may read: addresses, and hosts as hashes. A reader always finds a whole memory."""
        _native.save_memory(self._handle, os.fsencode(path))

    def partition(self, number: int) -> "Memory":
        """Return the same memory for a part of the program, such as another user: what one part learns the others do not use."""
        if not 0 <= number < 2**32:
            raise OverflowError(f"a partition is between 0 and 4294967295, not {number}")
        part = Memory.__new__(Memory)
        part._handle = _native.partition(self._handle, number)
        return part

    def forget(self) -> None:
        """Forget everything, in every part. Call it also when you know that the machine is on another network."""
        _native.forget(self._handle)

    def __len__(self) -> int:
        """Return how many addresses it knows."""
        return _native.count(self._handle)

    def __bool__(self) -> bool:
        # An empty one is a memory, too.
        return True


def report(connected: typing.Any, verdict: Verdict) -> None:
    """Report what came of a connection to its memory: TCP does not show a server that completes the handshake and then fails.

    `connected` is a socket that a call with `memory=` has made, or the one that asyncio shows of it (`writer.get_extra_info("socket")`). For any
    other it does nothing.
    """
    verdict = Verdict(verdict)
    connected = getattr(connected, "_sock", connected)
    # What is not a socket could not even be looked for.
    visit = _visits.get(connected) if isinstance(connected, socket.socket) else None
    if visit is not None:
        _native.report(visit, verdict)


def is_tls_failure(error: BaseException) -> bool:
    """Whether it says something about the address: a certificate that is not trusted does not, nor does a task that was canceled."""
    return isinstance(error, OSError) and not isinstance(error, ssl.SSLCertVerificationError)


def remember(connected: socket.socket, visit: typing.Optional[_native.Handle]) -> socket.socket:
    if visit is not None:
        _visits[connected] = visit
    return connected


# A socket takes no attribute.
_visits: "weakref.WeakKeyDictionary[socket.socket, _native.Handle]" = weakref.WeakKeyDictionary()
