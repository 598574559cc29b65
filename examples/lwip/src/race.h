/* The race for C without an operating system: no sockets, no clock, no allocation. See docs/from/lwip.md. */
#ifndef RACE_H
#define RACE_H

#include <stddef.h>
#include <stdint.h>

/* Attempts in flight at most, and how many addresses are taken. */
#define RACE_SOCKETS 4
#define RACE_ADDRESSES 16

/* The size of a race, in words of eight octets. */
#define RACE_WORDS 176

/* What to do next. After the first two, call race_poll again; after the others, stop for now. */
enum race_step {
    RACE_START,  /* connect slot `slot` to `address`, without blocking */
    RACE_CANCEL, /* abort slot `slot`: nothing is to be reported of it any more */
    RACE_WAIT,   /* poll again in `wait_ms`, or after the next report */
    RACE_WON,    /* slot `slot` is the connection */
    RACE_LOST    /* no address could be reached in time */
};

struct race_action {
    uint32_t step; /* enum race_step */
    uint32_t slot; /* 0 to RACE_SOCKETS - 1 */
    uint32_t wait_ms;
    uint8_t address[4]; /* IPv4 */
};

/* Its memory is the caller's, and stays where it is. */
struct race {
    uint64_t opaque[RACE_WORDS];
};

/* `now_ms` may wrap around, as lwIP's sys_now does. A wait is a minute at most. */

/* Begins a race to these addresses, best first; it is lost after `deadline_ms`. Those beyond RACE_ADDRESSES are
   left out. `addresses` is not NULL. */
void race_begin(struct race *race, const uint8_t (*addresses)[4], size_t count, uint16_t port, uint32_t deadline_ms, uint32_t now_ms);

/* Says what to do next, in `action`. */
void race_poll(struct race *race, uint32_t now_ms, struct race_action *action);

/* Reports that slot `slot` is connected. Poll afterwards. */
void race_connected(struct race *race, uint32_t slot, uint32_t now_ms);

/* Reports that slot `slot` has failed; `refused` is 0 where the peer did not refuse it. Poll afterwards. */
void race_failed(struct race *race, uint32_t slot, int refused, uint32_t now_ms);

#endif
