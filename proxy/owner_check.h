/* Ownership of a request's objects (filter/ownership.h): the requests of clients that are told
 * apart, on their way from the head to the exchange with the engine.
 *
 * conn.c asks here instead of the filter, and gets the filter's verdict on the request as it is to
 * be sent. An approved one goes through CONN_OWNER, where the engine is asked whose the objects
 * are, before any of its own bytes goes up. */
#ifndef DIND_PROXY_PROXY_OWNER_CHECK_H
#define DIND_PROXY_PROXY_OWNER_CHECK_H

#include "proxy/conn.h"

/* Sets the verdict on a head that has come, of a client with ownership, and request->owner. The
 * request's head may be another one afterwards. */
void owner_judge_head(struct conn *conn);

/* The same for the body's payload, which need not outlive the call. */
void owner_judge_body(struct conn *conn, struct slice body);

/* An approved request; `body` and `whole` as conn_act has them. */
enum progress owner_check_begin(struct conn *conn, size_t body, bool whole);

/* CONN_OWNER's step. */
enum progress owner_check_run(struct conn *conn);

#endif
