#include "proxy/relay.h"

#include <errno.h>
#include <unistd.h>

enum {
    /* One connection's turn: enough to fill the pipes, little enough that others get theirs. */
    TURN_BYTES = 1024 * 1024,
    TURN_STEPS = 256,
    /* Chunk size lines are looked at in pieces of this many bytes. */
    PEEK_SIZE = 64,
    /* A chunk shorter than this is not worth a pipe, one as long as that is. Those in between go
     * the way of the one before them. */
    SMALL_BYTES = BUFFER_SIZE / 4,
    BULKY_BYTES = BUFFER_SIZE / 2,
};

enum step {
    STEP_MOVED,   /* something moved: go on */
    STEP_NOTHING, /* nothing to do here: try the next kind of step */
    STEP_WAIT,
    STEP_EOF,
    STEP_READ_ERROR,
    STEP_WRITE_ERROR,
};

static enum step step_from_write(enum stream_status status) {
    return status == STREAM_OK ? STEP_MOVED : status == STREAM_WAIT ? STEP_WAIT : STEP_WRITE_ERROR;
}

static enum step step_from_read(enum stream_status status, const struct relay *relay) {
    switch (status) {
    case STREAM_OK:
        return STEP_MOVED;
    case STREAM_WAIT:
        return STEP_WAIT;
    case STREAM_EOF:
        return STEP_EOF;
    case STREAM_TRUNCATED:
        /* Where the framing tells the end, it is the framing that finds the message cut. Where only
         * the stream's end does, an unannounced one may be an attacker's (RFC 8446 section 6.1). */
        return relay->framing.kind == FRAMING_UNTIL_CLOSE ? STEP_READ_ERROR : STEP_EOF;
    case STREAM_ERROR:
        break;
    }
    return STEP_READ_ERROR;
}

static void count_bytes(const struct relay_pools *pools, enum counter_path path, size_t bytes) {
    if (pools->counters != NULL)
        counter_add(&pools->counters->bytes[path], bytes);
}

/* Sends what user space holds and may send: a head and what follows it together, since each write
 * wakes the reader. */
static enum step write_out(struct relay *relay, struct relay_pools *pools) {
    struct slice held = slice_first(buffer_slice(relay->in), relay->approved);
    struct slice first = relay->first.len > 0 ? relay->first : held;
    struct slice second = relay->first.len > 0 ? held : slice_of(NULL, 0);
    size_t put = 0;
    if (first.len == 0)
        return STEP_NOTHING;
    if (!relay->to->writable)
        return STEP_WAIT;
    enum step step = step_from_write(stream_write_two(relay->to, first, second, &put));
    if (step != STEP_MOVED)
        return step;
    size_t of_first = put < relay->first.len ? put : relay->first.len;
    relay->total += put;
    count_bytes(pools, COUNTER_USER, put);
    relay->first = slice_from(relay->first, of_first);
    relay->approved -= put - of_first;
    if (put > of_first)
        buffer_consume(relay->in, &pools->buffers, put - of_first);
    return step;
}

/* Sends what the pipe holds. */
static enum step splice_out(struct relay *relay, struct relay_pools *pools) {
    if (relay->pipe == NULL || relay->pipe->filled == 0)
        return STEP_NOTHING;
    if (!relay->to->writable)
        return STEP_WAIT;
    size_t put = 0;
    enum step step = step_from_write(
        stream_splice_out(relay->to, relay->pipe->read_end, relay->pipe->filled, &put));
    if (step == STEP_MOVED) {
        bool plain = relay->from->tls == NULL && relay->to->tls == NULL;
        relay->pipe->filled -= put;
        relay->total += put;
        count_bytes(pools, plain ? COUNTER_SPLICED : COUNTER_KERNEL_TLS, put);
        if (relay->pipe->filled == 0 && !relay->from->readable)
            relay_release(relay, pools);
    }
    return step;
}

/* Whether to splice what comes next. A message that tells its length is taken at its word, however
 * slowly it comes. Of one that ends with the stream only the flow tells: `full` says that the last
 * read filled its buffer. */
static void weigh(struct relay *relay, bool full) {
    if (relay->framing.kind == FRAMING_UNTIL_CLOSE)
        relay->bulky = full;
    else if (framing_blind(&relay->framing) >= BULKY_BYTES)
        relay->bulky = true;
}

/* Takes bytes that have been looked at, and copied, off the socket. */
static enum step discard(struct stream *from, size_t count) {
    char bytes[PEEK_SIZE];
    while (count > 0) {
        size_t got = 0;
        enum stream_status status = stream_read(from, bytes, count, &got);
        if (status != STREAM_OK && (status != STREAM_WAIT || !from->readable))
            return STEP_READ_ERROR;
        count -= got;
    }
    return STEP_MOVED;
}

/* Finds out how far the message goes. What is looked at goes on as it was then, a copy: the socket
 * may hold pages that are still the sender's to change (vmsplice(2)), and a byte sent out of band
 * is not in what MSG_PEEK shows but may be in what is spliced. Only payload, which is counted
 * alone, is spliced. */
static enum step take_framing(struct relay *relay, struct pipe *pipe, size_t *moved) {
    char bytes[PEEK_SIZE];
    size_t got = 0;
    enum step step = step_from_read(stream_peek(relay->from, bytes, sizeof bytes, &got), relay);
    if (step != STEP_MOVED)
        return step;
    struct framing framing = relay->framing;
    size_t used = framing_scan(&framing, bytes, got, NULL, NULL);
    /* All of it or nothing, as it is less than PIPE_BUF (pipe(7)). */
    ssize_t put = used == 0 ? 0 : write(pipe->write_end, bytes, used);
    if (put < 0 && errno == EAGAIN && pipe->filled > 0)
        return STEP_WAIT; /* for the pipe, which is full */
    if (put < 0 || (size_t)put != used)
        return STEP_READ_ERROR;
    relay->framing = framing;
    pipe->filled += used;
    *moved += used;
    /* Small chunks are cheaper copied, many at a time, than looked at one by one. */
    uint64_t blind = framing_blind(&framing);
    if (blind > 0 && blind < SMALL_BYTES)
        relay->bulky = false;
    return discard(relay->from, used);
}

/* Moves payload from the socket to the pipe. */
static enum step splice_payload(struct relay *relay, struct pipe *pipe, size_t *moved) {
    uint64_t blind = framing_blind(&relay->framing);
    size_t room = pipe->capacity - pipe->filled;
    size_t got = 0;
    enum step step = step_from_read(stream_splice_in(relay->from, pipe->write_end,
                                                     blind < room ? (size_t)blind : room,
                                                     pipe->filled == 0, &got),
                                    relay);
    framing_skip(&relay->framing, got);
    pipe->filled += got;
    *moved += got;
    return step;
}

/* Fills the pipe from the socket, as far as the message is known to go. */
static enum step splice_in(struct relay *relay, struct relay_pools *pools) {
    struct pipe *pipe = relay->pipe;
    enum step step = STEP_MOVED;
    size_t moved = 0;
    while (step == STEP_MOVED && relay->bulky && pipe->filled < pipe->capacity &&
           relay->from->readable) {
        if (framing_blind(&relay->framing) > 0)
            step = splice_payload(relay, pipe, &moved);
        else if (relay->framing.done || relay->framing.bad)
            break;
        else
            step = take_framing(relay, pipe, &moved);
    }
    /* So are small pieces that come one by one. */
    if (moved > 0 && moved < SMALL_BYTES && !relay->from->readable)
        weigh(relay, false);
    if (pipe->filled > 0) {
        /* A socket reports an error once and then looks ended: what the pipe holds goes first. */
        relay->failed = step == STEP_READ_ERROR;
        return STEP_MOVED;
    }
    relay_release(relay, pools);
    return step;
}

/* Reads into user space and finds out how much of it is the message's. */
static enum step read_in(struct relay *relay, struct relay_pools *pools) {
    bool full = false;
    if (buffer_len(relay->in) == 0) {
        size_t got = 0;
        size_t room = 0;
        if (!relay->from->readable)
            return STEP_WAIT;
        if (!buffer_reserve(relay->in, &pools->buffers, BUFFER_SIZE))
            return STEP_READ_ERROR;
        char *space = buffer_space(relay->in, &room);
        enum step step = step_from_read(stream_read(relay->from, space, room, &got), relay);
        if (step != STEP_MOVED) {
            buffer_release(relay->in, &pools->buffers);
            return step;
        }
        buffer_added(relay->in, got);
        full = got == room;
    }
    struct slice held = buffer_slice(relay->in);
    relay->approved = framing_scan(&relay->framing, held.data, held.len, NULL, NULL);
    weigh(relay, full);
    return STEP_MOVED;
}

/* Whether the next bytes are to go through a pipe, which is then there. */
static bool takes_pipe(struct relay *relay, struct relay_pools *pools) {
    weigh(relay, relay->bulky);
    if (!relay->bulky || buffer_len(relay->in) > 0 || !stream_can_splice_from(relay->from) ||
        !stream_can_splice_to(relay->to))
        return false;
    if (relay->pipe != NULL)
        return true;
    relay->pipe = pipe_pool_take(&pools->pipes);
    if (relay->pipe != NULL && pools->counters != NULL)
        counter_add(&pools->counters->pipes, 1);
    return relay->pipe != NULL;
}

static enum step take_in(struct relay *relay, struct relay_pools *pools) {
    if (relay->failed)
        return STEP_READ_ERROR;
    if (!relay->from->readable)
        return buffer_len(relay->in) > 0 ? read_in(relay, pools) : STEP_WAIT;
    if (takes_pipe(relay, pools))
        return splice_in(relay, pools);
    relay_release(relay, pools);
    return read_in(relay, pools);
}

enum relay_status relay_run(struct relay *relay, struct relay_pools *pools) {
    uint64_t start = relay->total;
    for (int steps = 0; steps < TURN_STEPS && relay->total - start < TURN_BYTES; steps++) {
        enum step step = write_out(relay, pools);
        if (step == STEP_NOTHING)
            step = splice_out(relay, pools);
        if (step == STEP_NOTHING) {
            if (relay->framing.bad)
                return RELAY_MALFORMED;
            if (relay->framing.done) {
                relay_release(relay, pools);
                return RELAY_DONE;
            }
            step = take_in(relay, pools);
        }
        switch (step) {
        case STEP_MOVED:
        case STEP_NOTHING:
            break;
        case STEP_WAIT:
            return relay->from->readable && relay->to->writable ? RELAY_AGAIN : RELAY_WAIT;
        case STEP_EOF:
            relay_release(relay, pools);
            return framing_ends_at_eof(&relay->framing) ? RELAY_DONE : RELAY_TRUNCATED;
        case STEP_READ_ERROR:
            return RELAY_READ_ERROR;
        case STEP_WRITE_ERROR:
            return RELAY_WRITE_ERROR;
        }
    }
    return RELAY_AGAIN;
}

void relay_release(struct relay *relay, struct relay_pools *pools) {
    if (relay->pipe == NULL)
        return;
    pipe_pool_give(&pools->pipes, relay->pipe);
    relay->pipe = NULL;
    if (pools->counters != NULL)
        counter_subtract(&pools->counters->pipes, 1);
}
