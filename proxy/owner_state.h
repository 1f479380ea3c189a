/* What owner_check.c and owner_ask.c share; nobody else includes this. */
#ifndef DIND_PROXY_PROXY_OWNER_STATE_H
#define DIND_PROXY_PROXY_OWNER_STATE_H

#include "filter/ownership.h"
#include "proxy/conn.h"

enum owner_phase {
    OWNER_NEXT,    /* the next object, if there is one */
    OWNER_CONNECT, /* an engine connection is coming up */
    OWNER_SEND,    /* the question goes up */
    OWNER_READ,    /* the answer comes down */
};

/* In the request's arena. */
struct owner_check {
    struct ownership_plan plan;
    size_t next; /* of the plan's objects */
    enum owner_phase phase;
    struct slice question;
    size_t sent; /* bytes of it */
    bool retried;
    struct http_response response;
    size_t head_len; /* of the answer, 0 until it has come */
    size_t body_len; /* of its body, as far as it has been looked at */
    size_t body;     /* as of conn_act */
    bool whole;
};

/* conn_charge with all that is held: the body in all its copies, and `answer` bytes of the
 * engine's.
 */
bool owner_charge(struct conn *conn, size_t answer);

/* One step of asking; NEXT with check->phase OWNER_NEXT: the answer was that it is the client's
 * own.
 */
enum progress owner_ask(struct conn *conn);

/* Answers that plan->refs[next] does not exist; `foreign`: it does, and only the log tells. */
enum progress owner_missing(struct conn *conn, bool foreign);

#endif
