/*
 * Makes every call of connie.h that can go wrong, and some that must not: calls PORT [ROUNDS]. Prints "passed", or ends with what is amiss.
 *
 * The hosts are those of support.rs. Also compiled as C++.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <connie.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* More than anything here takes on a busy machine. */
#define LONG 20000
#define THREADS 8
/* The stack of each: what a call needs at most, as connie.h says. */
#define STACK (128 * 1024)

static uint16_t port;
/* Of each thread. */
static int rounds = 10;

#define EXPECT(condition) ((condition) ? (void)0 : amiss(__LINE__, #condition))

static void amiss(int line, const char *what)
{
    char message[4096];
    connie_last_error(message, sizeof message);
    fprintf(stderr, "calls.c:%d: %s; last error: %s\n", line, what, message);
    exit(1);
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    EXPECT(directory != NULL);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Says who is at the other end of a connection that should not be. */
static void show_peer(const char *host, int fd)
{
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    char text[INET_ADDRSTRLEN] = "?";
    if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0) {
        perror("getpeername");
    } else if (peer.sin_family == AF_INET) {
        inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
    }
    fprintf(stderr, "%s: descriptor %d leads to %s\n", host, fd, text);
}

/* The answer of a call that has to fail. */
static int failure(const char *host, uint16_t to, uint32_t timeout_ms)
{
    int fd = 77;
    int error = connie_connect(host, to, timeout_ms, &fd);
    char message[512];
    if (error == CONNIE_OK) {
        show_peer(host, fd);
    }
    EXPECT(error != CONNIE_OK);
    EXPECT(fd == -1);
    EXPECT(connie_last_error(message, sizeof message) > 0);
    EXPECT(strchr(message, '\n') == NULL);
    return error;
}

static int failure_of(const char *const *addresses, size_t count)
{
    int fd = 77;
    int error = connie_connect_addresses(addresses, count, port, LONG, &fd);
    EXPECT(error != CONNIE_OK);
    EXPECT(fd == -1);
    return error;
}

static int connected(const char *host, uint32_t timeout_ms)
{
    int fd = -1;
    EXPECT(connie_connect(host, port, timeout_ms, &fd) == CONNIE_OK);
    EXPECT(fd >= 0);
    EXPECT(connie_last_error(NULL, 0) == 0);
    return fd;
}

static void arguments(void)
{
    char long_name[1000];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    EXPECT(failure(NULL, port, LONG) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure("", port, LONG) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure("live.test", 0, LONG) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure("caf\xe9.test", port, LONG) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure("a b", port, LONG) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure("line\nbreak", port, LONG) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure("127.1", port, LONG) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure("fe80::1%nowhere", port, LONG) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure(long_name, port, LONG) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_connect("live.test", port, LONG, NULL) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_connect(NULL, 0, 0, NULL) == CONNIE_INVALID_ARGUMENT);

    const char *name[] = {"10.9.0.2", "live.test"};
    const char *null[] = {"10.9.0.2", NULL};
    const char *zone[] = {"fe80::1%nowhere"};
    EXPECT(failure_of(NULL, 0) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure_of(NULL, 3) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure_of(name, 0) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure_of(name, 2) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure_of(null, 2) == CONNIE_INVALID_ARGUMENT);
    EXPECT(failure_of(zone, 1) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_connect_addresses(name, 1, port, LONG, NULL) == CONNIE_INVALID_ARGUMENT);
}

static void networks(void)
{
    int64_t start;
    EXPECT(failure("no-such.test", port, LONG) == CONNIE_NAME_NOT_FOUND);
    EXPECT(failure("host.invalid", port, LONG) == CONNIE_NAME_NOT_FOUND);
    EXPECT(failure("refused.test", port, LONG) == CONNIE_REFUSED);
    EXPECT(failure("far.test", port, LONG) == CONNIE_UNREACHABLE);
    EXPECT(failure("198.51.100.1", port, LONG) == CONNIE_UNREACHABLE);
    EXPECT(failure("mixed.test", port, LONG) == CONNIE_REFUSED);
    start = milliseconds();
    EXPECT(failure("dead.test", port, 200) == CONNIE_TIMED_OUT);
    EXPECT(milliseconds() - start >= 199);
    EXPECT(failure("dead.test", port, 1) == CONNIE_TIMED_OUT);
}

static void messages(void)
{
    char whole[512], part[16];
    size_t length, again;
    EXPECT(failure("refused.test", port, LONG) == CONNIE_REFUSED);
    length = connie_last_error(whole, sizeof whole);
    EXPECT(length == strlen(whole));
    EXPECT(strstr(whole, "refused.test port ") != NULL);
    EXPECT(strstr(whole, "10.9.0.3:") != NULL);
    memset(part, 'x', sizeof part);
    again = connie_last_error(part, sizeof part);
    EXPECT(again == length);
    EXPECT(strlen(part) == sizeof part - 1);
    EXPECT(strncmp(whole, part, sizeof part - 1) == 0);
    memset(part, 'x', sizeof part);
    EXPECT(connie_last_error(part, 1) == length);
    EXPECT(part[0] == '\0' && part[1] == 'x');
    EXPECT(connie_last_error(part, 0) == length);
    EXPECT(part[0] == '\0');
    EXPECT(connie_last_error(NULL, 0) == length);
    EXPECT(connie_last_error(NULL, 5) == length);
    /* The same length as the capacity is one octet too many. */
    EXPECT(connie_last_error(whole, length) == length);
    EXPECT(strlen(whole) == length - 1);
    EXPECT(failure("mixed.test", port, LONG) == CONNIE_REFUSED);
    EXPECT(connie_last_error_at(0, whole, sizeof whole) + connie_last_error_at(1, NULL, 0)
           == CONNIE_REFUSED + CONNIE_UNREACHABLE);
    EXPECT(strstr(whole, "10.9.0.") == whole && strchr(whole, ' ') != NULL);
    EXPECT(connie_last_error_at(2, whole, sizeof whole) == CONNIE_OK);
    EXPECT(failure("dead.test", port, 100) == CONNIE_TIMED_OUT);
    EXPECT(connie_last_error_at(0, part, 4) == CONNIE_TIMED_OUT);
    EXPECT(strcmp(part, "10.") == 0);
    close(connected("live.test", LONG));
    EXPECT(connie_last_error_at(0, part, sizeof part) == CONNIE_OK);
    EXPECT(connie_last_error(whole, sizeof whole) == 0);
    EXPECT(whole[0] == '\0');
}

static void words(void)
{
    const char *unknown = connie_strerror(12345);
    for (int error = CONNIE_OK; error >= CONNIE_DENIED; error--) {
        EXPECT(strcmp(connie_strerror(error), unknown) != 0);
        for (int other = CONNIE_OK; other > error; other--) {
            EXPECT(strcmp(connie_strerror(error), connie_strerror(other)) != 0);
        }
    }
    EXPECT(strcmp(connie_strerror(CONNIE_DENIED - 1), unknown) == 0);
    EXPECT(strcmp(connie_strerror(1), unknown) == 0);
    EXPECT(strcmp(connie_strerror(-2147483647 - 1), unknown) == 0);
}

static void sockets(void)
{
    int fd = connected("many.test", LONG);
    int value = 0;
    socklen_t size = sizeof value;
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    EXPECT((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    EXPECT((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    EXPECT(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size) == 0 && value != 0);
    EXPECT(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size) == 0 && value == 0);
    EXPECT(getpeername(fd, (struct sockaddr *)&peer, &length) == 0);
    EXPECT(ntohl(peer.sin_addr.s_addr) == 0x0a090002 && ntohs(peer.sin_port) == port);
    close(fd);
    /* No limit of time. */
    close(connected("many.test", 0));
    close(connected("live.test", 4294967295u));

    const char *addresses[200];
    for (size_t index = 0; index < 200; index++) {
        addresses[index] = index == 3 ? "10.9.0.2" : "10.9.0.1";
    }
    EXPECT(connie_connect_addresses(addresses, 200, port, LONG, &fd) == CONNIE_OK);
    EXPECT(getpeername(fd, (struct sockaddr *)&peer, &length) == 0);
    EXPECT(ntohl(peer.sin_addr.s_addr) == 0x0a090002);
    close(fd);
}

static void setters(void)
{
    struct connie_options *options = connie_options_new();
    int fd = 77, value = 1;
    socklen_t size = sizeof value;
    EXPECT(options != NULL);
    EXPECT(connie_options_set_max_in_flight(options, 0) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_last_error(NULL, 0) > 0);
    EXPECT(connie_options_set_max_in_flight(options, 2) == CONNIE_OK);
    EXPECT(connie_last_error(NULL, 0) == 0);
    EXPECT(connie_options_set_max_in_flight(NULL, 2) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_options_set_patience(options, 9) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_options_set_patience(options, 10) == CONNIE_OK);
    EXPECT(connie_options_set_family(options, 5) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_options_set_pacing(options, "fast") == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_options_set_pacing(options, NULL) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_options_set_pacing(options, "staggered") == CONNIE_OK);
    EXPECT(connie_options_set_source(options, "eth0") == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_options_set_interface(options, "caf\xe9") == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_options_set_local_ports(options, 2, 1) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_options_set_keepalive(options, 60, 0, 3) == CONNIE_OK);
    EXPECT(connie_options_set_buffers(options, 16384, 0) == CONNIE_OK);
    EXPECT(connie_options_set_nodelay(options, 0) == CONNIE_OK);
    EXPECT(connie_options_set_interface(options, NULL) == CONNIE_OK);
    EXPECT(connie_connect_with(options, "many.test", port, LONG, &fd) == CONNIE_OK);
    EXPECT(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size) == 0 && value == 0);
    EXPECT(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size) == 0 && value == 60);
    EXPECT(getsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &value, &size) == 0 && value == 3);
    EXPECT(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size) == 0 && value != 0);
    close(fd);

    struct sockaddr_in here;
    socklen_t length = sizeof here;
    EXPECT(connie_options_set_local_ports(options, 31000, 31099) == CONNIE_OK);
    EXPECT(connie_connect_with(options, "live.test", port, LONG, &fd) == CONNIE_OK);
    EXPECT(getsockname(fd, (struct sockaddr *)&here, &length) == 0);
    EXPECT(ntohs(here.sin_port) >= 31000 && ntohs(here.sin_port) <= 31099);
    close(fd);
    EXPECT(connie_options_set_local_ports(options, 0, 0) == CONNIE_OK);
    /* The other family is left out, and so nothing is left. */
    EXPECT(connie_options_set_family(options, 6) == CONNIE_OK);
    EXPECT(connie_connect_with(options, "live.test", port, LONG, &fd) != CONNIE_OK);
    EXPECT(fd == -1);
    connie_options_free(options);
    connie_options_free(NULL);
}

/* Writes to the descriptor after a while. */
static void *cancel(void *argument)
{
    struct timespec while_ = {0, 100000000};
    nanosleep(&while_, NULL);
    EXPECT(write(*(int *)argument, "x", 1) == 1);
    return NULL;
}

static void cancels(void)
{
    struct connie_options *options = connie_options_new();
    const char *dead[] = {"10.9.0.1"};
    int ends[2], fd = 77;
    pthread_t thread;
    char octet;
    int64_t start;
    EXPECT(connie_options_set_cancel_fd(options, -2) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_options_set_cancel_fd(options, 999) == CONNIE_INVALID_ARGUMENT);
    EXPECT(pipe(ends) == 0);
    EXPECT(connie_options_set_cancel_fd(options, ends[0]) == CONNIE_OK);
    EXPECT(connie_connect_with(options, "many.test", port, LONG, &fd) == CONNIE_OK);
    close(fd);
    start = milliseconds();
    EXPECT(pthread_create(&thread, NULL, cancel, &ends[1]) == 0);
    EXPECT(connie_connect_addresses_with(options, dead, 1, port, LONG, &fd) == CONNIE_CANCELED);
    EXPECT(fd == -1);
    EXPECT(milliseconds() - start >= 99 && milliseconds() - start < LONG / 4);
    EXPECT(pthread_join(thread, NULL) == 0);
    /* Nothing was read: it stays canceled, for names and addresses alike. */
    EXPECT(connie_connect_with(options, "live.test", port, LONG, &fd) == CONNIE_CANCELED);
    EXPECT(read(ends[0], &octet, 1) == 1);
    EXPECT(connie_connect_with(options, "live.test", port, LONG, &fd) == CONNIE_OK);
    close(fd);
    /* The library has a duplicate. The other end that is closed cancels, too. */
    close(ends[0]);
    close(ends[1]);
    EXPECT(connie_connect_with(options, "live.test", port, LONG, &fd) == CONNIE_CANCELED);
    EXPECT(connie_options_set_cancel_fd(options, -1) == CONNIE_OK);
    EXPECT(connie_connect_with(options, "live.test", port, LONG, &fd) == CONNIE_OK);
    close(fd);
    connie_options_free(options);
}

static void version(void)
{
    char header[64];
    snprintf(header, sizeof header, "%d.%d.%d", CONNIE_VERSION_MAJOR, CONNIE_VERSION_MINOR, CONNIE_VERSION_PATCH);
    EXPECT(strcmp(header, connie_version()) == 0);
}

static void without_descriptors(void)
{
    struct rlimit limit, none;
    int error;
    EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    none.rlim_cur = 3;
    EXPECT(setrlimit(RLIMIT_NOFILE, &none) == 0);
    error = failure("10.9.0.2", port, LONG);
    EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    EXPECT(error == CONNIE_OUT_OF_DESCRIPTORS);
}

static void *many(void *argument)
{
    (void)argument;
    for (int round = 0; round < rounds; round++) {
        char message[256];
        EXPECT(failure("refused.test", port, LONG) == CONNIE_REFUSED);
        close(connected("many.test", LONG));
        EXPECT(failure("far.test", port, LONG) == CONNIE_UNREACHABLE);
        connie_last_error(message, sizeof message);
        /* Nobody else's. */
        EXPECT(strstr(message, "far.test") != NULL);
    }
    return NULL;
}

static void threads(void)
{
    pthread_t threads[THREADS];
    pthread_attr_t small;
    EXPECT(pthread_attr_init(&small) == 0);
    EXPECT(pthread_attr_setstacksize(&small, STACK) == 0);
    for (int index = 0; index < THREADS; index++) {
        EXPECT(pthread_create(&threads[index], &small, many, NULL) == 0);
    }
    EXPECT(pthread_attr_destroy(&small) == 0);
    for (int index = 0; index < THREADS; index++) {
        EXPECT(pthread_join(threads[index], NULL) == 0);
    }
}

static volatile sig_atomic_t rung;

static void ring(int signal)
{
    (void)signal;
    rung = rung + 1;
}

/* A call goes on through signals, and does not end early by them. */
static void signals(void)
{
    struct sigaction action;
    struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
    int64_t start = milliseconds();
    memset(&action, 0, sizeof action);
    action.sa_handler = ring;
    EXPECT(sigaction(SIGALRM, &action, NULL) == 0);
    EXPECT(setitimer(ITIMER_REAL, &often, NULL) == 0);
    EXPECT(failure("dead.test", port, 300) == CONNIE_TIMED_OUT);
    EXPECT(milliseconds() - start >= 299);
    close(connected("many.test", LONG));
    EXPECT(setitimer(ITIMER_REAL, &never, NULL) == 0);
    EXPECT(rung > 0);
}

/* A memory, what it is told, and its file. */
static void memories(void)
{
    struct connie_memory *memory = connie_memory_new(), *part, *other = memory;
    struct connie_options *options = connie_options_new();
    char path[64], message[512];
    int fd = -1;
    size_t known;
    snprintf(path, sizeof path, "/tmp/connie-memory-%d", (int)getpid());
    EXPECT(connie_memory_count(memory) == 0);
    EXPECT(connie_options_set_memory(options, memory) == CONNIE_OK);
    EXPECT(connie_options_set_incumbent(options, 1) == CONNIE_OK);
    EXPECT(connie_connect_with(options, "many.test", port, LONG, &fd) == CONNIE_OK);
    close(fd);
    known = connie_memory_count(memory);
    EXPECT(known >= 1);
    struct connie_visit *visit = connie_last_visit();
    EXPECT(visit != NULL);
    connie_visit_report(visit, CONNIE_VERDICT_STALLED);
    connie_visit_report(visit, 4);
    connie_visit_report(visit, CONNIE_VERDICT_GOOD);
    /* A failure is no visit to tell of, nor is a call without a memory. */
    EXPECT(connie_connect_with(options, "refused.test", port, LONG, &fd) == CONNIE_REFUSED);
    EXPECT(connie_last_visit() == NULL);
    close(connected("live.test", LONG));
    EXPECT(connie_last_visit() == NULL);
    /* In a file, and back. */
    known = connie_memory_count(memory);
    EXPECT(connie_memory_save(memory, path) == CONNIE_OK);
    EXPECT(connie_memory_load(path, &other) == CONNIE_OK);
    EXPECT(connie_memory_count(other) == known);
    connie_memory_free(other);
    FILE *file = fopen(path, "w");
    EXPECT(file != NULL && fputs("no memory", file) >= 0 && fclose(file) == 0);
    other = memory;
    EXPECT(connie_memory_load(path, &other) == CONNIE_OTHER);
    EXPECT(other == NULL);
    EXPECT(connie_last_error(message, sizeof message) > 0 && strstr(message, path) != NULL);
    EXPECT(unlink(path) == 0);
    EXPECT(connie_memory_load(path, &other) == CONNIE_OK);
    EXPECT(other != NULL && connie_memory_count(other) == 0);
    connie_memory_free(other);
    EXPECT(connie_memory_save(memory, "/no/such/folder/memory") == CONNIE_OTHER);
    EXPECT(connie_last_error(message, sizeof message) > 0 && strstr(message, "/no/such/folder/memory") != NULL);
    /* What cannot be meant. */
    EXPECT(connie_memory_save(NULL, path) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_memory_save(memory, NULL) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_memory_load(path, NULL) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_memory_load(NULL, &other) == CONNIE_INVALID_ARGUMENT && other == NULL);
    EXPECT(connie_options_set_memory(NULL, memory) == CONNIE_INVALID_ARGUMENT);
    EXPECT(connie_memory_partition(NULL, 1) == NULL);
    EXPECT(connie_memory_count(NULL) == 0);
    connie_memory_forget(NULL);
    connie_memory_free(NULL);
    connie_visit_report(NULL, CONNIE_VERDICT_GOOD);
    connie_visit_free(NULL);
    /* Parts share what is forgotten; options keep a memory that was freed. */
    part = connie_memory_partition(memory, 7);
    EXPECT(connie_memory_count(part) == known);
    connie_memory_free(memory);
    EXPECT(connie_connect_with(options, "live.test", port, LONG, &fd) == CONNIE_OK);
    close(fd);
    connie_memory_forget(part);
    EXPECT(connie_memory_count(part) == 0);
    EXPECT(connie_options_set_memory(options, NULL) == CONNIE_OK);
    connie_options_free(options);
    connie_memory_free(part);
    connie_visit_report(visit, CONNIE_VERDICT_GOOD);
    connie_visit_free(visit);
}

int main(int argc, char **argv)
{
    EXPECT(argc == 2 || argc == 3);
    port = (uint16_t)atoi(argv[1]);
    if (argc == 3) {
        rounds = atoi(argv[2]);
    }
    int before = open_descriptors();
    EXPECT(connie_last_error(NULL, 0) == 0);
    arguments();
    networks();
    messages();
    words();
    sockets();
    setters();
    cancels();
    memories();
    version();
    without_descriptors();
    threads();
    signals();
    EXPECT(open_descriptors() == before);
    puts("passed");
    return 0;
}
