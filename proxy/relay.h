/* One direction of a connection: bytes from one stream to another, as far as their framing lets
 * them.
 *
 * What is forwarded is what was read, byte for byte. At most one buffer or one pipe of it is under
 * way at a time, so a reader that stalls stops the writer. Plain sockets are spliced once a stream
 * turns out to be bulky; small messages are copied, which is cheaper for them. */
#ifndef DIND_PROXY_PROXY_RELAY_H
#define DIND_PROXY_PROXY_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter/slice.h"
#include "proxy/buffer.h"
#include "proxy/counters.h"
#include "proxy/framing.h"
#include "proxy/pipe_pool.h"
#include "proxy/stream.h"

/* What all relays of one worker share. */
struct relay_pools {
    struct buffer_pool buffers;
    struct pipe_pool pipes;
    struct counters *counters; /* the worker's; NULL: nobody counts */
};

struct relay {
    struct stream *from;
    struct stream *to;
    struct buffer *in;      /* what was read of `from` and not yet forwarded */
    struct slice first;     /* goes out before all else; memory that outlives the relay */
    size_t approved;        /* bytes at the front of `in` that may go */
    struct framing framing; /* of the message after those */
    struct pipe *pipe;
    bool failed;    /* reading failed with bytes still in the pipe */
    bool bulky;     /* splice rather than copy */
    uint64_t total; /* bytes given to `to` so far */
};

enum relay_status {
    RELAY_WAIT,        /* blocked on a stream's readiness */
    RELAY_AGAIN,       /* its share of time is used up; more is ready */
    RELAY_DONE,        /* the message has ended and all of it is out */
    RELAY_TRUNCATED,   /* `from` ended before the message did; what came of it is out */
    RELAY_READ_ERROR,  /* `from` failed: stream_error_text */
    RELAY_WRITE_ERROR, /* `to` failed */
    RELAY_MALFORMED,   /* the message's framing is broken; nothing after the fault was forwarded */
};

/* Moves what can be moved. */
enum relay_status relay_run(struct relay *relay, struct relay_pools *pools);

/* Gives back what the relay holds. Bytes under way are lost. */
void relay_release(struct relay *relay, struct relay_pools *pools);

#endif
