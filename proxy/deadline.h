/* Deadlines of a worker's connections: constant work whatever their number.
 *
 * Every deadline of one class lasts equally long, so a list in the order of arming is in the order
 * of expiry. There is no class for established streams: nothing here may ever cut one. */
#ifndef DIND_PROXY_PROXY_DEADLINE_H
#define DIND_PROXY_PROXY_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

enum deadline_class {
    DEADLINE_HANDSHAKE, /* the client's TLS handshake */
    DEADLINE_HEAD,      /* a request head once begun; a judged body */
    DEADLINE_IDLE,      /* between requests */
    DEADLINE_CONNECT,   /* the connection to the engine, its TLS handshake included */
    DEADLINE_HOLD,      /* a refusal that its client is not ready for */
    DEADLINE_LINGER,    /* after our last byte, until the client has closed */
    DEADLINE_CLASSES,
};

/* Embedded in what it belongs to; zero-initialised is not armed. Times in milliseconds. */
struct deadline {
    struct deadline *prev;
    struct deadline *next;
    uint64_t at;
    enum deadline_class class;
    bool armed;
};

struct deadline_queue {
    struct {
        struct deadline *first;
        struct deadline *last;
        uint64_t duration;
    } classes[DEADLINE_CLASSES];
};

/* Arms it to expire the class's duration after `now`; one already armed is moved. */
void deadline_arm(struct deadline_queue *queue, struct deadline *deadline,
                  enum deadline_class class, uint64_t now);
void deadline_cancel(struct deadline_queue *queue, struct deadline *deadline);

/* Takes one that has expired by `now` off the queue; NULL when there is none. */
struct deadline *deadline_expired(struct deadline_queue *queue, uint64_t now);

/* Milliseconds until the next one expires, at most `limit`. */
int deadline_wait(const struct deadline_queue *queue, uint64_t now, int limit);

/* The monotonic clock in milliseconds. */
uint64_t deadline_now(void);

#endif
