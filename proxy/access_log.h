/* The one line that each request leaves in the log. */
#ifndef DIND_PROXY_PROXY_ACCESS_LOG_H
#define DIND_PROXY_PROXY_ACCESS_LOG_H

#include "proxy/conn.h"

/* Writes the line of the connection's current request, if one has begun. Refusals are warnings. Of
 * the target's query only values of parameters known to be harmless are shown; headers never are.
 */
void access_log_request(struct conn *conn);

/* For every log that tells of connections: who the client is, and what it asks for, if that is
 * known, with nothing in it that could be a secret. */
void access_log_client(struct log_record *record, const struct conn *conn);
void access_log_target(struct log_record *record, struct conn *conn);

/* What the verdict came to: "allow", "deny", "would-deny" (let through by the mode), "bad-request",
 * or "none" where there is none. */
const char *access_log_verdict(const struct conn_request *request);

#endif
