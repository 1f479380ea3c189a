/* One side of a connection: a non-blocking socket, with TLS on it or without.
 *
 * Sockets are watched edge-triggered: the events only set the flags below, and a flag is cleared
 * only when the kernel (or TLS) said that it would block. Whether bytes move by splice or through
 * user space is this module's and relay's business; the state machine above does not know. */
#ifndef DIND_PROXY_PROXY_STREAM_H
#define DIND_PROXY_PROXY_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter/slice.h"
#include "tls/tls.h"

struct stream {
    int fd;    /* -1: none */
    char *why; /* how the peer broke TLS, for the log; owned; NULL: it did not */
    struct tls_session *tls;
    bool is_tcp;
    bool readable;
    bool writable;
    bool hung_up;     /* the kernel says both directions are over, or the socket has an error */
    bool peer_ended;  /* the kernel says that the peer ended its direction: read until that comes */
    bool read_ended;  /* it has come */
    bool write_ended; /* we ended ours */
    bool broken;      /* a write met an error, which the kernel tells only once */
    bool read_wants_write; /* TLS has to write before it can read on */
    bool write_wants_read;
    bool user_timeout_lifted; /* see stream_sweep_user_timeout */
};

enum stream_status {
    STREAM_OK,
    STREAM_WAIT,      /* would block: the flag is cleared, an event will follow */
    STREAM_EOF,       /* the peer ended its direction properly */
    STREAM_TRUNCATED, /* TLS only: it ended without close_notify */
    STREAM_ERROR,     /* stream_error_text says why */
};

/* Takes over a connected (or connecting) non-blocking socket. */
void stream_open(struct stream *stream, int fd, bool is_tcp);

/* Keepalive and no Nagle delay for a TCP socket, so that dead peers are noticed without any timer
 * of ours (tcp(7)). `user_timeout` in milliseconds is TCP_USER_TIMEOUT, 0 leaves the kernel's. */
void stream_tune_tcp(int fd, unsigned user_timeout);

/* TCP_USER_TIMEOUT also ends a connection whose peer is alive but does not read (zero window).
 * Bytes that wait unsent mean that the peer, or the path, stalls: lifts the limit then, and sets it
 * again once they are gone. To be called now and then. */
void stream_sweep_user_timeout(struct stream *stream, unsigned user_timeout);

/* Closes the socket; with `polite`, TLS says close_notify first if that does not block. */
void stream_close(struct stream *stream, bool polite);

/* Sets the flags from epoll's events. */
void stream_events(struct stream *stream, uint32_t events);

/* Drives the TLS handshake: OK (at once without TLS), WAIT or ERROR. */
enum stream_status stream_handshake(struct stream *stream);

/* On STREAM_OK `*got` is at least 1. */
enum stream_status stream_read(struct stream *stream, void *buffer, size_t size, size_t *got);

/* OK, WAIT or ERROR; on OK `*put` is at least 1. After WAIT the same bytes must come first again.
 */
enum stream_status stream_write(struct stream *stream, const void *buffer, size_t size,
                                size_t *put);

/* The same for two pieces, the second of which may be empty; may take of the first alone. */
enum stream_status stream_write_two(struct stream *stream, struct slice first, struct slice second,
                                    size_t *put);

/* Ends our direction once everything written is on its way: OK (also when done before), WAIT or
 * ERROR. */
enum stream_status stream_end_write(struct stream *stream);

/* Bytes written that the peer's kernel has not taken yet (TCP), so that closing could lose them. */
size_t stream_unsent(const struct stream *stream);

/* Whether payload can be spliced from, or to, the socket: plain ones, and those whose TLS is the
 * kernel's. */
bool stream_can_splice_from(const struct stream *stream);
bool stream_can_splice_to(const struct stream *stream);

/* Looks at the next bytes without taking them; only where stream_can_splice_from. */
enum stream_status stream_peek(struct stream *stream, void *buffer, size_t size, size_t *got);

/* Moves up to `size` bytes into or out of a pipe without copying. stream_splice_in with a pipe that
 * holds bytes may say WAIT because the pipe is full: `pipe_empty` false leaves the readable flag.
 */
enum stream_status stream_splice_in(struct stream *stream, int pipe_end, size_t size,
                                    bool pipe_empty, size_t *got);
enum stream_status stream_splice_out(struct stream *stream, int pipe_end, size_t size, size_t *put);

/* Why the last call on this thread that returned STREAM_ERROR did; valid until the next one. */
const char *stream_error_text(void);

#endif
