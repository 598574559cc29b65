/*
 * Fetches a page over the address that answers first: fetch HOST PORT PATH [ADDRESS]...
 *
 * With addresses the host is not looked up. How to build it: Makefile.
 */
#define _POSIX_C_SOURCE 200809L

#include <connie.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Ten seconds to connect, the lookup included. */
#define CONNECT_MS 10000

static int send_all(int fd, const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        /* MSG_NOSIGNAL: a server that has gone is an error, not the end of this program. */
        ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);
        if (sent >= 0) {
            text += sent;
            left -= (size_t)sent;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

/* Copies all that comes to standard output. */
static int copy(int fd)
{
    char buffer[4096];
    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got == 0) {
            return fflush(stdout);
        }
        if (got > 0 ? fwrite(buffer, 1, (size_t)got, stdout) < (size_t)got : errno != EINTR) {
            return -1;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: fetch HOST PORT PATH [ADDRESS]...\n");
        return 2;
    }
    const char *host = argv[1], *path = argv[3];
    char *end;
    unsigned long port = strtoul(argv[2], &end, 10);
    if (port == 0 || port > 65535 || *end != '\0') {
        fprintf(stderr, "fetch: %s is no port: give one from 1 to 65535\n", argv[2]);
        return 2;
    }

    int fd;
    int error;
    if (argc == 4) {
        error = connie_connect(host, (uint16_t)port, CONNECT_MS, &fd);
    } else {
        const char *const *addresses = (const char *const *)(argv + 4);
        error = connie_connect_addresses(addresses, (size_t)(argc - 4), (uint16_t)port, CONNECT_MS, &fd);
    }
    if (error != CONNIE_OK) {
        char message[1024];
        connie_last_error(message, sizeof message);
        fprintf(stderr, "fetch: %s: %s\n", connie_strerror(error), message);
        return 1;
    }

    char request[2048];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s:%lu\r\n\r\n", path, host, port);
    if (length < 0 || (size_t)length >= sizeof request) {
        fprintf(stderr, "fetch: the path is too long\n");
        close(fd);
        return 2;
    }
    if (send_all(fd, request) != 0 || copy(fd) != 0) {
        perror("fetch");
        close(fd);
        return 1;
    }
    close(fd);
    return 0;
}
