/* --mode learn: requests that passed are learned from (filter/learn.h), and what was learned is
 * written to a file.
 *
 * Workers only look at the policy learned so far, and hand over what that refuses. Learning and
 * writing are a thread's of its own. */
#ifndef DIND_PROXY_PROXY_LEARNER_H
#define DIND_PROXY_PROXY_LEARNER_H

#include <stdbool.h>

#include "filter/filter.h"
#include "filter/grpc.h"
#include "proxy/error.h"

struct learner;

/* Writes a policy that lets nothing pass to `file`, and starts the thread. NULL with `error`. */
struct learner *learner_start(const char *file, struct error *error);

/* Learns what was handed over before, writes the file and frees it; when no other thread uses it
 * any more. NULL is allowed. */
void learner_stop(struct learner *learner);

/* Any thread: this request passes. `dangerous`: only because of the mode. Copies what it needs.
 * Where too much waits to be learned it is left out, and the log says so. */
void learner_offer(struct learner *learner, const struct filter_request *request, struct slice body,
                   bool dangerous);

/* The same for a call inside /grpc. */
void learner_offer_call(struct learner *learner, const struct grpc_call *call, bool dangerous);

#endif
