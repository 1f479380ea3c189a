/* The judge inside /grpc: an HTTP/2 connection between a client and the engine, call by call.
 *
 * Pure but for memory: bytes in, bytes out. Calls that pass go on as they came, under their own
 * stream numbers; what they say is not looked at again. A call whose message is judged reaches the
 * engine as a head at once, since stream numbers must come in order, and as a message when that is
 * whole and approved; until then the engine has nothing to act on. A refused call is answered here,
 * and every other one goes on.
 *
 * Flow control. What is held of a message is credited to the client at once, so that a message
 * larger than the engine's window can be gathered; when it goes to the engine, as the engine's
 * windows allow, the engine's later credit for it is kept back. */
#ifndef DIND_PROXY_PROXY_H2_INSPECT_H
#define DIND_PROXY_PROXY_H2_INSPECT_H

#include <stdbool.h>
#include <stddef.h>

#include "filter/filter.h"
#include "filter/grpc.h"
#include "filter/slice.h"
#include "proxy/buffer.h"

enum {
    H2_MAX_STREAMS = 512,          /* followed at a time; the engine's own limit is below */
    H2_MAX_HELD = 8 * 1024 * 1024, /* bytes of messages held for judgement, a connection */
};

struct h2_inspect;

/* A call was judged: for the logs. What `call` points to lives until this returns. */
typedef void h2_report(void *context, const struct grpc_call *call,
                       const struct grpc_verdict *verdict);

struct h2_settings {
    const struct filter_policy *policy;
    bool permissive; /* calls that the policy refuses pass, and are reported as refused */
    const char *message_prefix; /* of refusals, without ": " */
    struct buffer_pool *pool;
    h2_report *report;
    void *context;
};

/* NULL when memory is out. Free with h2_inspect_free (NULL is nothing to free). */
struct h2_inspect *h2_inspect_new(const struct h2_settings *settings);
void h2_inspect_free(struct h2_inspect *inspect);

/* What goes out next. To be sent from the front with buffer_consume; then h2_inspect_run. */
struct buffer *h2_to_engine(struct h2_inspect *inspect);
struct buffer *h2_to_client(struct h2_inspect *inspect);

/* Whether more of a side may be fed now: false while what came before it still waits to go out. */
bool h2_wants_client(const struct h2_inspect *inspect);
bool h2_wants_engine(const struct h2_inspect *inspect);

/* Bytes from the client (at most BUFFER_SIZE) or from the engine. */
void h2_feed_client(struct h2_inspect *inspect, struct slice bytes);
void h2_feed_engine(struct h2_inspect *inspect, struct slice bytes);

/* Goes on with what was fed before, after room was made. */
void h2_inspect_run(struct h2_inspect *inspect);

/* Something of the client's is still on its way to the engine, apart from h2_to_engine. */
bool h2_pending(const struct h2_inspect *inspect);

/* Bytes held for judgement or for the engine's window, and how many there may be (at most
 * H2_MAX_HELD): calls that would need more are refused. */
size_t h2_held(const struct h2_inspect *inspect);
void h2_limit_held(struct h2_inspect *inspect, size_t limit);
/* The memory that they take: many small messages take far more than their bytes. */
size_t h2_memory(const struct h2_inspect *inspect);

/* Calls whose message is awaited. h2_expire refuses those that were there at the last h2_expire. */
size_t h2_waiting(const struct h2_inspect *inspect);
void h2_expire(struct h2_inspect *inspect);

/* Why the connection must end: it broke HTTP/2, or a bound. Static; NULL: it goes on. */
const char *h2_fault(const struct h2_inspect *inspect);

#endif
