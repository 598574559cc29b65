/*
 * What happens to the process of a program that connects: process forks|signals|stopped PORT. Prints "passed", or ends with what is amiss.
 *
 * The hosts are those of support.rs and process.rs.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <connie.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* More than anything here takes on a busy machine. */
#define LONG 20000

static uint16_t port;
static atomic_int is_over;

#define EXPECT(condition) ((condition) ? (void)0 : amiss(__LINE__, #condition))

static void amiss(int line, const char *what)
{
    char message[4096];
    connie_last_error(message, sizeof message);
    fprintf(stderr, "process.c:%d: %s; last error: %s\n", line, what, message);
    _exit(1);
}

static int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_for(int64_t ms)
{
    struct timespec left = { ms / 1000, ms % 1000 * 1000000 };
    while (nanosleep(&left, &left) != 0) {
    }
}

static int try(const char *host, uint32_t timeout_ms)
{
    int fd;
    int result = connie_connect(host, port, timeout_ms, &fd);
    if (result == CONNIE_OK) {
        close(fd);
    }
    return result;
}

/* Forks: a child connects while the parent's threads look names up, race and stand in line. */

#define THREADS 24
#define CHILDREN 200

static void *busy(void *argument)
{
    char host[64];
    int number = (int)(intptr_t)argument;
    for (int round = 0; !is_over; round++) {
        switch ((number + round) % 3) {
        case 0:
            EXPECT(try("many.test", LONG) == CONNIE_OK);
            break;
        case 1:
            /* No name server says anything to that. */
            snprintf(host, sizeof host, "silent%d.test", round % 4);
            try(host, 20);
            break;
        default:
            try("dead.test", 20);
        }
    }
    return NULL;
}

/* Ends with 0 where it connected, 2 where it ran out of time. */
static void child(int number)
{
    /* It is the child's own; a child that hangs ends by it. */
    alarm(30);
    int64_t start = milliseconds();
    if (number % 3 == 2) {
        EXPECT(try("silent.test", 100) == CONNIE_TIMED_OUT);
        int64_t took = milliseconds() - start;
        EXPECT(took >= 100 && took < 10000);
        _exit(2);
    }
    int result = try("many.test", 3000);
    EXPECT(milliseconds() - start < 13000);
    /* The C library of the child may wait for a lock that a thread of the parent held. */
    EXPECT(result == CONNIE_OK || result == CONNIE_TIMED_OUT);
    _exit(result == CONNIE_OK ? 0 : 2);
}

static void forks(void)
{
    pthread_t threads[THREADS];
    /* Few enough that races of the parent stand in line for a socket. */
    struct rlimit few = { 200, 200 };
    EXPECT(setrlimit(RLIMIT_NOFILE, &few) == 0);
    for (intptr_t index = 0; index < THREADS; index++) {
        EXPECT(pthread_create(&threads[index], NULL, busy, (void *)index) == 0);
    }
    pause_for(50);
    int connected = 0, late = 0;
    int64_t began = milliseconds(), longest = 0;
    for (int number = 0; number < CHILDREN; number++) {
        pid_t pid = fork();
        EXPECT(pid >= 0);
        if (pid == 0) {
            child(number);
        }
        int64_t start = milliseconds();
        int status;
        EXPECT(waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 2)) {
            fprintf(stderr, "child %d ended with status %x\n", number, (unsigned)status);
            EXPECT(!"a child that ends in its time");
        }
        if (milliseconds() - start > longest) {
            longest = milliseconds() - start;
        }
        if (number % 3 != 2) {
            connected += WEXITSTATUS(status) == 0;
            late += WEXITSTATUS(status) == 2;
        }
    }
    is_over = 1;
    for (int index = 0; index < THREADS; index++) {
        EXPECT(pthread_join(threads[index], NULL) == 0);
    }
    fprintf(stderr, "%d children connected, %d ran out of time; %lld ms in all, %lld ms the longest\n", connected, late,
            (long long)(milliseconds() - began), (long long)longest);
    /* Some for the lock of the C library, or on a busy machine. Where children are held up by what their parent had, most are late. */
    EXPECT(late * 2 <= connected);
}

/* Signals: two thousand a second, with a handler that restarts no call. */

static atomic_long caught;

static void handler(int signal)
{
    (void)signal;
    caught++;
}

static void storm(long microseconds)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    /* Without SA_RESTART. */
    action.sa_handler = handler;
    EXPECT(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval timer = { { 0, microseconds }, { 0, microseconds } };
    EXPECT(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void signals(void)
{
    /* The storm comes to the threads that connect: there is but one. */
    storm(500);
    int64_t start = milliseconds();
    int rounds = 0;
    /* On a busy machine signals of the timer merge: it goes on until there were many, for half a minute at the most. */
    while (milliseconds() - start < 2000 || ((caught <= 1000 || rounds <= 4) && milliseconds() - start < 30000)) {
        EXPECT(try("many.test", LONG) == CONNIE_OK);
        EXPECT(try("refused.test", LONG) == CONNIE_REFUSED);
        rounds++;
    }
    /* A time-out is neither early nor put off by each signal. */
    for (int round = 0; round < 3; round++) {
        start = milliseconds();
        EXPECT(try("dead.test", 300) == CONNIE_TIMED_OUT);
        int64_t took = milliseconds() - start;
        EXPECT(took >= 300 && took < 10000);
    }
    storm(0);
    fprintf(stderr, "%ld signals, %d rounds\n", caught, rounds);
    EXPECT(caught > 1000 && rounds > 4);
}

/* Stopped in the middle of a race, for longer than the parent says. */

static void stopped(void)
{
    char what;
    /* The first line: stop. It comes while the race waits for its first answer. */
    printf("racing\n");
    fflush(stdout);
    int64_t start = milliseconds();
    int result = try("slow.test", 1000);
    int64_t took = milliseconds() - start;
    printf("%s after %lld ms\n", connie_strerror(result), (long long)took);
    fflush(stdout);
    /* And one of which nothing answers. */
    start = milliseconds();
    EXPECT(read(0, &what, 1) == 1);
    printf("racing\n");
    fflush(stdout);
    start = milliseconds();
    result = try("dead.test", 1000);
    printf("%s after %lld ms\n", connie_strerror(result), (long long)(milliseconds() - start));
    fflush(stdout);
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: process forks|signals|stopped PORT\n");
        return 2;
    }
    port = (uint16_t)atoi(arguments[2]);
    if (strcmp(arguments[1], "forks") == 0) {
        forks();
    } else if (strcmp(arguments[1], "signals") == 0) {
        signals();
    } else if (strcmp(arguments[1], "stopped") == 0) {
        stopped();
    } else {
        return 2;
    }
    printf("passed\n");
    return 0;
}
