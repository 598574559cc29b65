/* A page over lwIP's raw API, as docs/from/lwip.md has it before connie. */
#include "page.h"

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
    (void)arg;
    (void)error;
    ask(pcb);
    return ERR_OK;
}

static void on_error(void *arg, err_t error)
{
    (void)arg;
    lose(error == ERR_RST ? "refused" : "not connected");
}

static void run(void)
{
    ip_addr_t address;
    if (!ipaddr_aton(host_argv[0], &address)) {
        lose("no address");
    }
    struct tcp_pcb *pcb = tcp_new();
    if (pcb == NULL) {
        lose("no room for a connection");
    }
    tcp_err(pcb, on_error);
    if (tcp_connect(pcb, &address, PORT, on_connected) != ERR_OK) {
        lose("not connected");
    }
}
