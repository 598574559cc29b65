/*
 * connie: connect to the address of a host that answers first.
 *
 * Link with libconnie.so, or with libconnie.a and what it needs of the system: docs/c.md. Licensed under MIT or Apache-2.0, at your
 * choice. Made by cbindgen from connie-c/src/lib.rs: change that, and run connie-c/header.sh.
 */

#ifndef CONNIE_H
#define CONNIE_H

#include <stddef.h>
#include <stdint.h>

/**
 * What a call answers: 0, or a negative number for what went wrong. `connie_last_error` has the whole story in words.
 */
enum connie {
  /**
   * There is a connection.
   */
  CONNIE_OK = 0,
  /**
   * A pointer is NULL, the port is 0, or the host is neither a name nor an address. Nothing was tried. As EINVAL.
   */
  CONNIE_INVALID_ARGUMENT = -1,
  /**
   * There is no such name, or it has no address. As EAI_NONAME of getaddrinfo.
   */
  CONNIE_NAME_NOT_FOUND = -2,
  /**
   * The name could not be looked up, which may be different the next time. As EAI_AGAIN of getaddrinfo.
   */
  CONNIE_LOOK_UP_FAILED = -3,
  /**
   * The time allowed is used up, for the look-up and the addresses together; or the system has given up each address. As
   * ETIMEDOUT.
   */
  CONNIE_TIMED_OUT = -4,
  /**
   * The process, or the system, has no descriptor left. As EMFILE.
   */
  CONNIE_OUT_OF_DESCRIPTORS = -5,
  /**
   * Nobody listens on that port: a machine has answered, and refused. As ECONNREFUSED.
   */
  CONNIE_REFUSED = -6,
  /**
   * The connection was reset before it could be used. As ECONNRESET.
   */
  CONNIE_RESET = -7,
  /**
   * There is no way to the host: no route, no address of its family on this machine, or a router or firewall said so. As
   * EHOSTUNREACH.
   */
  CONNIE_UNREACHABLE = -8,
  /**
   * The network is down: the interface that the way to the host leads over. As ENETDOWN.
   */
  CONNIE_NETWORK_DOWN = -9,
  /**
   * Anything else. As EIO.
   */
  CONNIE_OTHER = -10,
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Connects to the address of `host` that answers first, and stores the connection's descriptor in `*fd`.
 *
 * `host` is a name (`example.org`) or an address (`192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`). A name is looked up for IPv6 and IPv4
 * at once, by the system's resolver, and every address is tried as soon as it is known, up to 16 at a time; those that stay silent
 * make room for others. The first that completes its TCP handshake is kept, all others are closed.
 *
 * `timeout_ms` limits the whole call, in milliseconds, the look-up included. 0 sets no limit: then a host that stays silent takes as
 * long as the system's own time-out, some two minutes on Linux.
 *
 * Answers CONNIE_OK, or one of the errors of `enum connie`. Where the addresses of a host have failed in
 * different ways, it is CONNIE_REFUSED if any has refused; else CONNIE_TIMED_OUT, if any was silent; else
 * CONNIE_UNREACHABLE or CONNIE_NETWORK_DOWN, if there is no way to any; else that of the first. Each by
 * itself is in the message of `connie_last_error`.
 *
 * The descriptor is a connected TCP socket that blocks, is closed on exec, and sends small segments at once (TCP_NODELAY). It is the
 * caller's to close. After an error `*fd` is -1 and nothing is left open.
 *
 * `host` must be NULL or a string that ends in a NUL; `fd` must be NULL or point to an int. May be called by any number of threads at
 * once; the races of a process share three quarters of the descriptors that it may have, and wait for one another within their
 * time. A call takes less than 128 KiB of its thread's stack. A signal does not end it, and a signal handler must not call it. The
 * child of a `fork` may call it, also where other threads of the parent were in a call at that moment: with a time limit, since the system's
 * resolver may hang there.
 */
int connie_connect(const char *host,
                   uint16_t port,
                   uint32_t timeout_ms,
                   int *fd);

/**
 * As `connie_connect`, for a caller that has looked the host up already: tries these addresses, best first.
 *
 * `addresses` is an array of `count` strings, each an address without a port: `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`, as
 * getnameinfo writes with NI_NUMERICHOST. The first 128 are tried; a name among them is CONNIE_INVALID_ARGUMENT.
 */
int connie_connect_addresses(const char *const *addresses,
                             size_t count,
                             uint16_t port,
                             uint32_t timeout_ms,
                             int *fd);

/**
 * What an error means, in a few words that never change: "connection refused". The string is never freed and must not be written to.
 * Any number may be asked for.
 */
const char *connie_strerror(int error);

/**
 * Writes what went wrong in the last connect of the calling thread into `message`: one line of UTF-8 that names the host and the
 * reason, and what became of each address. Empty where that call has succeeded, or there was none.
 *
 * Works as snprintf does: writes at most `capacity` octets, the last of them a NUL, and answers how long the whole message is without
 * its NUL; an answer of `capacity` or more says that it was cut. `message` may be NULL where `capacity` is 0.
 */
size_t connie_last_error(char *message,
                         size_t capacity);

#ifdef __cplusplus
} // extern "C"
#endif // __cplusplus

#endif /* CONNIE_H */
