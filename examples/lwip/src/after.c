/* A page over lwIP's raw API, as docs/from/lwip.md has it over connie's race. */
#include "page.h"
#include "race.h"

static struct race race;
static struct tcp_pcb *pcbs[RACE_SOCKETS];

static void drive(void *arg);

static uint32_t slot_of(void *arg)
{
    return (uint32_t)((struct tcp_pcb **)arg - pcbs);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
    (void)pcb;
    (void)error;
    race_connected(&race, slot_of(arg), sys_now());
    /* Not from in here, where no pcb may be aborted but this one. */
    sys_untimeout(drive, NULL);
    sys_timeout(0, drive, NULL);
    return ERR_OK;
}

/* lwIP has freed the pcb. */
static void on_error(void *arg, err_t error)
{
    *(struct tcp_pcb **)arg = NULL;
    race_failed(&race, slot_of(arg), error == ERR_RST, sys_now());
    sys_untimeout(drive, NULL);
    sys_timeout(0, drive, NULL);
}

/* The winner's error callback from then on. */
static void on_lost(void *arg, err_t error)
{
    (void)arg;
    (void)error;
    lose("the connection is lost");
}

static void start(uint32_t slot, const uint8_t octets[4])
{
    ip_addr_t address;
    IP_ADDR4(&address, octets[0], octets[1], octets[2], octets[3]);
    struct tcp_pcb *pcb = tcp_new();
    pcbs[slot] = pcb;
    if (pcb != NULL) {
        tcp_arg(pcb, &pcbs[slot]);
        tcp_err(pcb, on_error);
        if (tcp_connect(pcb, &address, PORT, on_connected) == ERR_OK) {
            return;
        }
        tcp_arg(pcb, NULL);
        tcp_err(pcb, NULL);
        tcp_abort(pcb);
        pcbs[slot] = NULL;
    }
    race_failed(&race, slot, 0, sys_now());
}

/* Gives an attempt up; nobody wants to know its error any more. */
static void cancel(uint32_t slot)
{
    if (pcbs[slot] != NULL) {
        tcp_err(pcbs[slot], NULL);
        tcp_abort(pcbs[slot]);
        pcbs[slot] = NULL;
    }
}

/* Does what the race says, until it waits. */
static void drive(void *arg)
{
    struct race_action action;
    (void)arg;
    for (;;) {
        race_poll(&race, sys_now(), &action);
        switch (action.step) {
        case RACE_START:
            start(action.slot, action.address);
            break;
        case RACE_CANCEL:
            cancel(action.slot);
            break;
        case RACE_WAIT:
            sys_timeout(action.wait_ms, drive, NULL);
            return;
        case RACE_WON:
            tcp_err(pcbs[action.slot], on_lost);
            ask(pcbs[action.slot]);
            return;
        default:
            lose("no address answers");
        }
    }
}

static void run(void)
{
    static uint8_t addresses[RACE_ADDRESSES][4];
    size_t count = 0;
    for (int at = 0; at < host_argc && count < RACE_ADDRESSES; at++) {
        ip4_addr_t address;
        if (!ip4addr_aton(host_argv[at], &address)) {
            lose("no address");
        }
        memcpy(addresses[count++], &address, 4);
    }
    race_begin(&race, (const uint8_t(*)[4])addresses, count, PORT, 10000, sys_now());
    drive(NULL);
}
