/* What both programs share: lwIP on a TAP device of Linux, and a page over a connection. */
#ifndef PAGE_H
#define PAGE_H

/* For SSIZE_MAX, without which lwIP has an ssize_t of its own. */
#define _GNU_SOURCE
#include <limits.h>

#include <lwip/netif.h>
#include <lwip/sys.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <lwip/timeouts.h>
#include <netif/tapif.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT 8080

static struct netif interface;

static void lose(const char *why)
{
    fprintf(stderr, "%s\n", why);
    exit(1);
}

/* Prints what comes, and ends the program at the end of it. */
static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *got, err_t error)
{
    (void)arg;
    (void)error;
    if (got == NULL) {
        exit(fflush(stdout) == 0 ? 0 : 1);
    }
    for (struct pbuf *part = got; part != NULL; part = part->next) {
        fwrite(part->payload, 1, part->len, stdout);
    }
    tcp_recved(pcb, got->tot_len);
    pbuf_free(got);
    return ERR_OK;
}

/* Asks for the page over a connection. */
static void ask(struct tcp_pcb *pcb)
{
    static const char REQUEST[] = "GET / HTTP/1.0\r\nHost: name.test\r\n\r\n";
    tcp_recv(pcb, on_received);
    if (tcp_write(pcb, REQUEST, sizeof REQUEST - 1, 0) != ERR_OK || tcp_output(pcb) != ERR_OK) {
        lose("the request could not be sent");
    }
}

static int host_argc;
static char **host_argv;

/* What the program does, once lwIP runs: in lwIP's thread, as all calls of the raw API. */
static void run(void);

static void on_started(void *arg)
{
    (void)arg;
    ip4_addr_t address, mask, gateway;
    IP4_ADDR(&address, 192, 0, 2, 2);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    IP4_ADDR(&gateway, 192, 0, 2, 1);
    if (netif_add(&interface, &address, &mask, &gateway, NULL, tapif_init, tcpip_input) == NULL) {
        lose("no interface");
    }
    netif_set_default(&interface);
    netif_set_up(&interface);
    run();
}

/* PROGRAM ADDRESS..., of one host, best first. PRECONFIGURED_TAPIF names the device. */
int main(int argc, char **argv)
{
    host_argc = argc - 1;
    host_argv = argv + 1;
    if (host_argc < 1) {
        lose("give one address or more");
    }
    tcpip_init(on_started, NULL);
    for (;;) {
        pause();
    }
}

#endif
