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
 * The version of this header. That of the library is `connie_version`.
 */
#define CONNIE_VERSION_MAJOR 0

/**
 * Raised by what can break a caller, before 1.0.
 */
#define CONNIE_VERSION_MINOR 1

/**
 * Raised by everything else.
 */
#define CONNIE_VERSION_PATCH 0

/**
 * What a call returns: 0, or a negative number for what went wrong. `connie_last_error` says it in words.
 */
enum connie {
  /**
   * There is a connection.
   */
  CONNIE_OK = 0,
  /**
   * A pointer is NULL, the port is 0, or the host is neither a name nor an address. Nothing was tried.
   * Like EINVAL.
   */
  CONNIE_INVALID_ARGUMENT = -1,
  /**
   * There is no such name, or it has no address. Like EAI_NONAME of getaddrinfo.
   */
  CONNIE_NAME_NOT_FOUND = -2,
  /**
   * The name could not be resolved; it may work the next time. Like EAI_AGAIN of getaddrinfo.
   */
  CONNIE_LOOKUP_FAILED = -3,
  /**
   * The time allowed for the lookup and the addresses has passed, or the system has given up each address.
   * Like ETIMEDOUT.
   */
  CONNIE_TIMED_OUT = -4,
  /**
   * The process, or the system, has no descriptor left. Like EMFILE.
   */
  CONNIE_OUT_OF_DESCRIPTORS = -5,
  /**
   * Nothing listens on that port: a machine has answered, and refused. Like ECONNREFUSED.
   */
  CONNIE_REFUSED = -6,
  /**
   * The connection was reset before it could be used. Like ECONNRESET.
   */
  CONNIE_RESET = -7,
  /**
   * The host cannot be reached: there is no route, this machine has no address of its family, or a router
   * or firewall said so. Like EHOSTUNREACH.
   */
  CONNIE_UNREACHABLE = -8,
  /**
   * The network is down: the interface on the route to the host. Like ENETDOWN.
   */
  CONNIE_NETWORK_DOWN = -9,
  /**
   * Anything else. Like EIO.
   */
  CONNIE_OTHER = -10,
  /**
   * The descriptor of `connie_options_set_cancel_fd` was ready to read. Like ECANCELED.
   */
  CONNIE_CANCELED = -11,
  /**
   * This machine does not let the program connect there: a local rule, a sandbox, a missing permission.
   * Like EACCES.
   */
  CONNIE_DENIED = -12,
};

/**
 * What a caller found out about the address behind a connection.
 */
enum connie_verdict {
  /**
   * It works.
   */
  CONNIE_VERDICT_GOOD = 0,
  /**
   * It refuses to work, such as a server that is overloaded or shuts down.
   */
  CONNIE_VERDICT_REFUSED = 1,
  /**
   * It does not answer.
   */
  CONNIE_VERDICT_STALLED = 2,
  /**
   * TLS failed, and not for its certificate's name or issuer, which say nothing about an address.
   */
  CONNIE_VERDICT_TLS_FAILED = 3,
};

/**
 * What connections have learnt about addresses: which answer, how fast, and which are dead. With it one SYN
 * is enough on nearly every visit to a host but the first. Made by `connie_memory_new` or
 * `connie_memory_load`, given to options by `connie_options_set_memory`. Any number of options and threads
 * may share one. docs/memory.md says what it keeps, and for how long.
 */
struct connie_memory;

/**
 * How to connect: made by `connie_options_new`, changed by its setters, given to any number of calls, also
 * of several threads at once, and freed once none of them is under way. It must not be changed while a call
 * has it.
 */
struct connie_options;

/**
 * A visit to a host that a memory has learnt from, for what its caller finds out of the connection later.
 */
struct connie_visit;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Connects to the address of `host` that answers first, and stores the connection's descriptor in `*fd`.
 *
 * `host` is a name (`example.org`) or an address (`192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`). A name is
 * resolved for IPv6 and IPv4 at once, by the system's resolver, and every address is tried as soon as it is
 * known, up to 16 at a time; those that stay silent make room for others. The first that completes its TCP
 * handshake is kept, all others are closed.
 *
 * `timeout_ms` limits the whole call, in milliseconds, including the lookup. 0 sets no limit: then a host
 * that stays silent takes as long as the system's own timeout, some two minutes on Linux.
 *
 * Returns CONNIE_OK, or one of the errors of `enum connie`. Where the addresses of a host have failed in
 * different ways, it is CONNIE_REFUSED if any has refused; else CONNIE_TIMED_OUT, if any was silent; else
 * CONNIE_UNREACHABLE or CONNIE_NETWORK_DOWN, if none can be reached; else that of the first. The message of
 * `connie_last_error` has each of them.
 *
 * The descriptor is a connected TCP socket that blocks, is closed on exec, and sends small segments at once
 * (TCP_NODELAY). It is the caller's to close. After an error `*fd` is -1 and nothing is left open.
 *
 * `host` must be NULL or a string that ends in a NUL; `fd` must be NULL or point to an int. May be called by
 * any number of threads at once; the races of a process share three quarters of the descriptors that it may
 * have, and wait for one another within their time. A call takes less than 128 KiB of its thread's stack. A
 * signal does not end it, and a signal handler must not call it. The child of a `fork` may call it, also
 * where other threads of the parent were in a call at that moment: with a time limit, since the system's
 * resolver may hang there.
 */
int connie_connect(const char *host, uint16_t port, uint32_t timeout_ms, int *fd);

/**
 * Like `connie_connect`, for a caller that has resolved the host already: tries these addresses, best first.
 *
 * `addresses` is an array of `count` strings, each an address without a port: `192.0.2.1`, `2001:db8::1`,
 * `fe80::1%eth0`, as getnameinfo writes with NI_NUMERICHOST. The first 128 are tried; a name among them is
 * CONNIE_INVALID_ARGUMENT.
 */
int connie_connect_addresses(const char *const *addresses, size_t count, uint16_t port, uint32_t timeout_ms, int *fd);

/**
 * Like `connie_connect`, with `options`, which may be NULL.
 */
int connie_connect_with(const struct connie_options *options,
                        const char *host,
                        uint16_t port,
                        uint32_t timeout_ms,
                        int *fd);

/**
 * Like `connie_connect_addresses`, with `options`, which may be NULL.
 */
int connie_connect_addresses_with(const struct connie_options *options,
                                  const char *const *addresses,
                                  size_t count,
                                  uint16_t port,
                                  uint32_t timeout_ms,
                                  int *fd);

/**
 * Options that are those of `connie_connect`, to be changed. Never NULL; to be freed by
 * `connie_options_free`.
 */
struct connie_options *connie_options_new(void);

/**
 * Frees options. NULL is nothing to free.
 */
void connie_options_free(struct connie_options *options);

/**
 * Ends each call with CONNIE_CANCELED once `cancel_fd` is ready to read, or the other end of it is closed: a
 * pipe, a socket or an eventfd, to which another thread or a signal handler writes. The library never reads
 * from it, so a call that begins while it is ready ends at once; and it keeps a duplicate, so that
 * `cancel_fd` may be closed. -1 removes it.
 *
 * Each setter returns CONNIE_OK, or CONNIE_INVALID_ARGUMENT and changes nothing; `connie_last_error` says
 * why.
 */
int connie_options_set_cancel_fd(struct connie_options *options, int cancel_fd);

/**
 * When the next address is tried: `all-at-once` (the default), `staggered` (RFC 8305, Happy Eyeballs) or
 * `one-by-one`.
 */
int connie_options_set_pacing(struct connie_options *options, const char *name);

/**
 * The most addresses that are tried at the same time, each with a socket: 1 to 64, 16 by default.
 */
int connie_options_set_max_in_flight(struct connie_options *options, uint32_t count);

/**
 * How long a silent address keeps its socket while another waits for one, in milliseconds: 10 to 600,000,
 * 250 by default.
 */
int connie_options_set_patience(struct connie_options *options, uint32_t milliseconds);

/**
 * The one family of addresses to try: 4 or 6; 0 is both, the default.
 */
int connie_options_set_family(struct connie_options *options, uint32_t family);

/**
 * The address to connect from, of its family: `192.0.2.1`, `2001:db8::1`. One alone excludes the other
 * family. NULL removes both.
 */
int connie_options_set_source(struct connie_options *options, const char *address);

/**
 * The port to connect from, or the first of a range that is free. 0 and 0 let the system choose, which is
 * the default.
 */
int connie_options_set_local_ports(struct connie_options *options, uint16_t first, uint16_t last);

/**
 * The interface that packets leave and enter by (SO_BINDTODEVICE): `eth0`. Linux. NULL removes it.
 */
int connie_options_set_interface(struct connie_options *options, const char *name);

/**
 * Probes of a silent peer: the seconds before the first, those between two, and how many of them end the
 * connection. 0 is the system's own.
 */
int connie_options_set_keepalive(struct connie_options *options,
                                 uint32_t idle_seconds,
                                 uint32_t interval_seconds,
                                 uint32_t count);

/**
 * SO_SNDBUF and SO_RCVBUF, in octets, before the connection is made. 0 is the system's own, the default.
 */
int connie_options_set_buffers(struct connie_options *options, size_t send, size_t receive);

/**
 * Whether the connection has TCP_NODELAY: yes by default, no for 0.
 */
int connie_options_set_nodelay(struct connie_options *options, int is_set);

/**
 * The memory of the calls with these options: it says what to try first, and learns. NULL removes it. The
 * options keep what they need of it, so that it may be freed before them.
 */
int connie_options_set_memory(struct connie_options *options, const struct connie_memory *memory);

/**
 * Whether a call with a memory goes where the one before went, as long as that address answers and none is
 * known to be better: for sessions that are bound to a server. No by default, and for 0.
 */
int connie_options_set_incumbent(struct connie_options *options, int is_set);

/**
 * A memory that knows nothing: 40 KiB. Never NULL; to be freed by `connie_memory_free`.
 */
struct connie_memory *connie_memory_new(void);

/**
 * Frees a memory. Options that have it keep it. NULL is nothing to free.
 */
void connie_memory_free(struct connie_memory *memory);

/**
 * Stores in `*memory` what `connie_memory_save` has written into the file `path`; an empty memory where
 * there is no such file. It is freed by `connie_memory_free`. Returns CONNIE_OK, CONNIE_INVALID_ARGUMENT for
 * a NULL, or CONNIE_OTHER where the file cannot be read or holds something else: then `*memory` is NULL, and
 * `connie_last_error` says why.
 */
int connie_memory_load(const char *path, struct connie_memory **memory);

/**
 * Writes a memory into the file `path`, which only its owner may read: addresses, and hosts as hashes that
 * no other machine can tell. A program that reads or writes the file at the same time finds a whole memory.
 * Returns CONNIE_OK, CONNIE_INVALID_ARGUMENT for a NULL, or CONNIE_OTHER where it cannot be written.
 */
int connie_memory_save(const struct connie_memory *memory, const char *path);

/**
 * The same memory for the part of a program that `number` stands for, another user say: what one part learns
 * the others do not use. The part with the number 0 is that of `connie_memory_new`. NULL for NULL; to be
 * freed by `connie_memory_free`.
 */
struct connie_memory *connie_memory_partition(const struct connie_memory *memory, uint32_t number);

/**
 * Forgets all, in every part: for a program that knows that the machine is on another network, and to remove
 * what is kept of a user. NULL forgets nothing.
 */
void connie_memory_forget(const struct connie_memory *memory);

/**
 * How many addresses a memory knows, on all networks and in all parts. 0 for NULL.
 */
size_t connie_memory_count(const struct connie_memory *memory);

/**
 * What the last connect of the calling thread was to its memory, where it had one and has connected; else
 * NULL. To be freed by `connie_visit_free`. `connie_visit_report` reports what TCP does not show: a server
 * that completes the handshake and then fails.
 */
struct connie_visit *connie_last_visit(void);

/**
 * Reports to the memory what came of the connection, as one of `enum connie_verdict`: an address that is not
 * good is tried behind others for some time, for this host alone. NULL, and a number that is not a verdict,
 * report nothing.
 */
void connie_visit_report(const struct connie_visit *visit, int verdict);

/**
 * Frees a visit. NULL is nothing to free.
 */
void connie_visit_free(struct connie_visit *visit);

/**
 * The version of the library: "0.1.0". The string is never freed.
 */
const char *connie_version(void);

/**
 * What an error means, in a few words that never change: "connection refused". The string is never freed and
 * must not be written to. Any number may be asked for.
 */
const char *connie_strerror(int error);

/**
 * Writes what went wrong in the last connect of the calling thread into `message`: one line of UTF-8 that
 * names the host and the reason, and what became of each address. Empty where that call has succeeded, or
 * there was none.
 *
 * Works as snprintf does: writes at most `capacity` octets, the last of them a NUL, and returns how long the
 * whole message is without its NUL; a result of `capacity` or more means that it was cut. `message` may be
 * NULL where `capacity` is 0.
 */
size_t connie_last_error(char *message, size_t capacity);

/**
 * What became of one address in the last connect of the calling thread, which has failed: the first has the
 * `index` 0. Answers an error of `enum connie`, and writes a line with the address
 * (`192.0.2.1:443: connection refused`) into `line`, as `connie_last_error` does with its message. Answers
 * CONNIE_OK where there were not so many addresses, and leaves `line` as it is.
 */
int connie_last_error_at(size_t index, char *line, size_t capacity);

#ifdef __cplusplus
} // extern "C"
#endif // __cplusplus

#endif /* CONNIE_H */
