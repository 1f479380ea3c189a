/* What connections write to the audit log (proxy/audit.md). */
#ifndef DIND_PROXY_PROXY_AUDIT_LINES_H
#define DIND_PROXY_PROXY_AUDIT_LINES_H

#include "filter/grpc.h"
#include "proxy/conn.h"

/* The line of the connection's current request, once: when its answer begins, or at its end if it
 * got none. */
void audit_request(struct conn *conn);

/* The line of the end of a stream, if the current request had become one. */
void audit_session_end(struct conn *conn);

/* A call inside of /grpc; `verdict` as the access log names it. */
void audit_call(struct conn *conn, struct slice path, const struct grpc_verdict *verdict,
                const char *word);

#endif
