/* One client connection: from accept to close, request after request.
 *
 * The life of a request is the table of states in conn.c; exchange.c is the part of it that talks
 * to the engine, reply.c the part that answers in its stead. */
#ifndef DIND_PROXY_PROXY_CONN_H
#define DIND_PROXY_PROXY_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "filter/arena.h"
#include "filter/filter.h"
#include "proxy/buffer.h"
#include "proxy/config.h"
#include "proxy/deadline.h"
#include "proxy/http.h"
#include "proxy/log.h"
#include "proxy/relay.h"
#include "proxy/ruleset.h"
#include "proxy/stream.h"
#include "proxy/upstream.h"
#include "proxy/watch.h"

struct worker;
struct h2_inspect;
struct owner_check;

enum conn_state {
    CONN_HANDSHAKE, /* the client's TLS handshake */
    CONN_HEAD,      /* waiting for a request's head, or idle */
    CONN_BODY,      /* gathering a body that has to be judged */
    CONN_OWNER,     /* asking the engine whose the objects are that the request names */
    CONN_CONNECT,   /* an engine connection is coming up */
    CONN_EXCHANGE,  /* request going up, response coming down */
    CONN_TUNNEL,    /* the engine hijacked the connection */
    CONN_GRPC,      /* the same, and the calls in it are judged */
    CONN_HELD,      /* an answer of our own waits for its time */
    CONN_REPLY,     /* writing an answer of our own */
    CONN_LINGER,    /* all is said: letting the client close, so that it can read it */
    CONN_CLOSED,
};

/* What a state's step came to. */
enum progress {
    PROGRESS_NEXT,  /* the state changed, or the same state has more to do at once */
    PROGRESS_WAIT,  /* blocked: an event or a deadline wakes it */
    PROGRESS_AGAIN, /* its turn is over, but more is ready */
};

/* All that belongs to one request; wiped between two. */
struct conn_request {
    struct lease *lease;                /* what it is judged by; NULL until its head is complete */
    const struct filter_client *client; /* the one of its rules' clients; NULL as long */
    struct slice head;                  /* as judged and as sent; in the arena */
    struct http_request http;
    struct filter_verdict verdict;
    struct owner_check
        *owner; /* in the arena; NULL: nobody's objects are told apart, or all is told */
    struct http_response response;
    struct framing judged_body;
    size_t judged_len;  /* bytes of the judged body on the wire that have come */
    bool continue_sent; /* we said 100 Continue: the engine's own is dropped */
    bool have_response; /* its head was read and is valid */
    bool up_ended;      /* all of the request is with the engine */
    bool down_ended;    /* tunnel: the engine has nothing more to say */
    bool up_failed;     /* the engine does not take the rest of it */
    bool client_ended;  /* the client half-closed and the engine is to be told */
    bool retried;
    bool counted;            /* by its verdict */
    bool answered;           /* an answer has begun, and how long that took is counted */
    bool began;              /* a head has begun to arrive: there is something to log */
    unsigned interims;       /* 1xx answers so far */
    unsigned status;         /* sent to the client, for the log */
    bool for_others;         /* refused for the sake of others' objects, which no mode changes */
    bool would_deny;         /* the policy refuses it, and the mode lets it pass */
    bool audited;            /* its line is in the audit log */
    bool grpc;               /* the calls in its tunnel are judged */
    enum counter_stream was; /* what it was counted as in the end */
    uint64_t id;             /* for the audit log; 0: it has none yet */
    uint64_t started;        /* milliseconds, when the head was complete */
    uint64_t reply_bytes;
    const char *outcome; /* for the log: how it ended, static; NULL: as it should */
};

struct conn {
    struct watch watch;
    struct worker *worker;
    struct conn *prev, *next; /* the worker's list */
    struct conn *next_ready;
    bool queued;
    enum conn_state state;
    struct deadline deadline;
    struct stream client;
    struct buffer in; /* read of the client and not yet forwarded */
    size_t head_seen; /* how far `in` was searched for the end of a head */
    const struct config_listener *listener;
    char peer[64]; /* for the log: address, or the uid and pid behind a unix socket */
    struct arena arena;
    struct conn_request request;

    struct upstream *upstream;
    size_t upstream_head_seen;
    struct relay up;
    struct relay down;

    struct h2_inspect *grpc; /* CONN_GRPC: owned */

    struct slice reply; /* what is left of our own answer; in the arena or static */
    enum conn_state after_reply;
    enum counter_stream counted_as; /* among the streams that are open */
    bool in_handshake;              /* and counted as such by the worker */
    bool leaving;                   /* no further request is taken from it */
    bool retries;                   /* wants another turn after UPSTREAM_RETRY_MS */
    size_t charged;                 /* of the worker's budget for bodies to be judged, in bytes */
    unsigned refusals;              /* in a row */
    struct log_limit log_limit;
    uint64_t lingered; /* bytes read and thrown away since */
};

/* Takes over an accepted, non-blocking socket; on failure it is closed. 0 or -1. */
int conn_open(struct worker *worker, int fd, const struct config_listener *listener,
              const char *peer);

/* Runs it as far as it gets. It may be gone afterwards. */
void conn_run(struct conn *conn);

/* Its deadline has expired. */
void conn_expired(struct conn *conn);

/* The worker drains: an idle connection closes now, others after their exchange. */
void conn_drain(struct conn *conn);

/* The CA that let it in may no longer do: as conn_drain, but nothing that it has sent and that is
 * not under way yet is taken from it either. Without TLS nothing happens. */
void conn_readmit(struct conn *conn);

/* Closes it at once, whatever it does. */
void conn_abort(struct conn *conn, const char *outcome);

/* --- between conn.c, exchange.c and reply.c --- */

/* conn.c: the exchange is over; `keep`: the client's connection may serve another request. */
enum progress conn_finish(struct conn *conn, bool keep);
/* conn.c: an answer begins; counts the request and how long that took, once. */
void conn_count_answer(struct conn *conn);
/* conn.c: counts it as an open stream of that kind, instead of what it was. */
void conn_count_as(struct conn *conn, enum counter_stream kind);
/* conn.c: it holds `size` bytes now of what is to be judged. Each is bounded, but not how many
 * clients send one at a time: all those of a worker share a budget. False when that is exceeded,
 * and this is more than `small`. */
bool conn_charge(struct conn *conn, size_t size, size_t small);
/* conn.c: gives back its share of the budget: none of a body is held any longer. */
void conn_refund_body(struct conn *conn);
/* conn.c: the connection is of no more use; `outcome` for the log. */
enum progress conn_fail(struct conn *conn, const char *outcome);

/* conn.c: whether a request passes after its verdict, as the policy or as the mode has it: once for
 * each verdict. */
bool conn_passes(struct conn *conn);

/* conn.c: acts on the verdict, which is final, and on what conn_passes said of it. `body` bytes of
 * judged body are at the front of the buffer; `whole`: nothing of the request comes after them. */
enum progress conn_act(struct conn *conn, bool passes, size_t body, bool whole);

/* exchange.c: an approved request goes to the engine. `body` bytes at the front of conn->in are its
 * judged body; with `framing` the rest follows as it comes. */
enum progress exchange_begin(struct conn *conn, size_t body, struct framing framing);
enum progress exchange_connect(struct conn *conn);
/* Drives conn->upstream to readiness: NEXT when it is or when the client has been answered that it
 * cannot be, which the state tells. */
enum progress exchange_reach(struct conn *conn, bool *ready);
enum progress exchange_run(struct conn *conn);
enum progress exchange_tunnel(struct conn *conn);
/* grpc_tunnel.c: the engine has opened /grpc; its answer's head is the first `head_len` bytes in
 * the buffer. */
enum progress grpc_begin(struct conn *conn, size_t head_len);
enum progress grpc_run(struct conn *conn);
/* Refuses calls whose message has been awaited for long. */
void grpc_expired(struct conn *conn);
void grpc_end(struct conn *conn);
/* Lets go of the engine's connection, keeping it for others where `reusable`. */
void exchange_end(struct conn *conn, bool reusable);

/* reply.c: answers with {"message": …} and `status`. `rule` (may be NULL) follows the message in
 * parentheses. Without `keep` the connection closes afterwards. */
enum progress reply_refusal(struct conn *conn, unsigned status, const char *message,
                            const char *rule, bool keep);
/* The same for a fault of the engine or of ours: without the refusals' prefix. */
__attribute__((format(printf, 3, 4))) enum progress reply_fault(struct conn *conn, unsigned status,
                                                                const char *format, ...);
/* To what conn_charge has no room for. */
enum progress reply_too_many(struct conn *conn);
/* The engine's own answer 404, in its words: there is no such object. */
enum progress reply_missing(struct conn *conn, const char *message, bool keep);
/* An error that the engine answered a question of ours with. */
enum progress reply_engine_error(struct conn *conn, unsigned status, const char *message,
                                 bool keep);
/* Writes 100 Continue, then goes on in `next`. */
enum progress reply_continue(struct conn *conn, enum conn_state next);
enum progress reply_run(struct conn *conn);
/* reply_hold.c: after reply_refusal: puts the answer off for a moment where its client needs that.
 */
enum progress reply_hold(struct conn *conn);
enum progress reply_held(struct conn *conn);
/* That moment is over. */
void reply_release(struct conn *conn);

#endif
