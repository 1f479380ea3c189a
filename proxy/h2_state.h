/* What the parts of the judge of HTTP/2 share: h2_client.c reads the client, h2_engine.c the
 * engine, h2_stream.c holds the streams, h2_inspect.c is the outside of it. */
#ifndef DIND_PROXY_PROXY_H2_STATE_H
#define DIND_PROXY_PROXY_H2_STATE_H

#include <stdint.h>

#include "filter/arena.h"
#include "proxy/h2.h"
#include "proxy/h2_inspect.h"
#include "proxy/hpack.h"

enum { H2_SETTING_BYTES = 6 };

enum h2_stream_state {
    H2_STREAM_PASSING, /* what it says goes on */
    H2_STREAM_HELD,    /* its message is being gathered */
    H2_STREAM_SENDING, /* approved, and not yet all sent */
    H2_STREAM_REFUSED, /* answered here; what the client still says in it is dropped */
};

struct h2_stream {
    uint32_t id; /* 0: free */
    enum h2_stream_state state;
    bool client_ended;
    bool engine_ended;
    bool answered;  /* the engine has begun to answer */
    bool aged;      /* it was held at the last h2_expire */
    int64_t window; /* bytes that the engine takes */
    uint64_t owed;  /* credit given to the client before the engine gave it */
    struct buffer message;
    struct arena arena; /* of its path and its verdict */
    struct slice path;  /* until it is final what becomes of it */
};

enum { H2_MAX_UNACKNOWLEDGED = 16 }; /* SETTINGS frames of the client; few send a second one */

/* What a SETTINGS frame of the client says of the table of its decoder. */
struct h2_table_sizes {
    uint32_t least; /* UINT32_MAX: nothing */
    uint32_t last;
};

struct h2_inspect {
    struct h2_settings settings;
    struct hpack_decoder *decoder;
    const char *fault;

    struct buffer to_engine;
    struct buffer to_client;
    struct buffer inject; /* frames of ours that wait for the end of one of the engine's */

    struct buffer client;  /* what is not yet taken of its frames */
    bool stalled;          /* its next frame has to wait */
    size_t preface;        /* bytes of it that have come */
    bool client_settings;  /* its first frame has come */
    uint32_t block_stream; /* whose header block goes on; 0: none */
    bool block_ends;       /* that block's END_STREAM */
    unsigned block_frames;
    struct buffer block;
    uint32_t last_stream;
    unsigned cancelled; /* streams that the client cut off, less those that ended well */

    char head[H2_HEAD]; /* of the engine's frame */
    size_t head_len;
    uint32_t frame_left; /* of its payload */
    struct h2_frame frame;
    bool engine_started;
    bool engine_in_block;
    struct buffer payload; /* of a frame that is taken whole */

    /* The table of the client's decoder. When it was made smaller, the next header block has to
     * begin with its new size (RFC 7541 section 4.2), be it the engine's or ours. */
    struct h2_table_sizes unacknowledged[H2_MAX_UNACKNOWLEDGED]; /* the oldest first */
    size_t unacknowledged_count;
    uint32_t table_size;
    uint32_t table_told; /* to begin our next block with; UINT32_MAX: nothing */

    int64_t window;         /* bytes that the engine takes, over all streams */
    uint64_t owed;          /* as the streams' */
    int64_t initial_window; /* of new streams */
    int64_t largest_initial_window;

    size_t held;
    size_t memory;
    size_t held_limit;
    size_t waiting; /* streams in H2_STREAM_HELD */
    size_t sending;
    struct h2_stream streams[H2_MAX_STREAMS];
};

/* Ends the connection; the first fault is the one that is told. */
void h2_fail(struct h2_inspect *inspect, const char *fault);

/* A frame to the engine. */
void h2_send_engine(struct h2_inspect *inspect, uint8_t type, uint8_t flags, uint32_t stream,
                    struct slice payload);
/* What has to stand at the beginning of a header block of ours. */
bool h2_append_table_size(struct h2_inspect *inspect, struct buffer *block);
/* A frame of ours to the client, as soon as the engine is between two of its own. */
void h2_flush_inject(struct h2_inspect *inspect);
void h2_credit_client(struct h2_inspect *inspect, uint32_t stream, uint32_t bytes);

struct h2_stream *h2_stream_find(struct h2_inspect *inspect, uint32_t id);
/* A new one; NULL, with a fault, when there are too many. */
struct h2_stream *h2_stream_add(struct h2_inspect *inspect, uint32_t id,
                                enum h2_stream_state state);
void h2_stream_drop(struct h2_inspect *inspect, struct h2_stream *stream);
/* Once it is final what becomes of it: a path may be as long as a header block. */
void h2_stream_forget_path(struct h2_stream *stream);
/* Drops it if both sides have ended it. */
void h2_stream_settle(struct h2_inspect *inspect, struct h2_stream *stream);

/* More of a held message: refuses it as soon as it cannot pass. */
void h2_stream_gather(struct h2_inspect *inspect, struct h2_stream *stream, struct slice bytes);
/* The held message is whole. */
void h2_stream_judge(struct h2_inspect *inspect, struct h2_stream *stream);
/* Sends what the engine takes of approved messages. */
void h2_stream_send(struct h2_inspect *inspect, struct h2_stream *stream);
/* Whether a call passes after a final verdict; reported if so, as refusals are by h2_stream_refuse.
 */
bool h2_stream_passes(struct h2_inspect *inspect, const struct grpc_call *call,
                      const struct grpc_verdict *verdict);
/* Refuses a stream, wherever it stands; `at_engine`: the engine knows of it. */
void h2_stream_refuse(struct h2_inspect *inspect, struct h2_stream *stream, bool at_engine,
                      const struct grpc_verdict *verdict);

/* h2_client.c: takes the client's next frame: false when there is none, or it has to wait. */
bool h2_client_frame(struct h2_inspect *inspect);
/* h2_engine.c: settings of the client, which the engine is to acknowledge. */
void h2_note_settings(struct h2_inspect *inspect, struct slice payload);
void h2_engine_bytes(struct h2_inspect *inspect, struct slice bytes);

#endif
