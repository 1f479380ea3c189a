/* "explain GRPC PATH [FILE]": a call inside /grpc, judged without any network. */
#ifndef DIND_PROXY_PROXY_EXPLAIN_GRPC_H
#define DIND_PROXY_PROXY_EXPLAIN_GRPC_H

#include "filter/filter.h"
#include "filter/grpc.h"

enum { EXPLAIN_GRPC_MAX = GRPC_MAX_MESSAGE + GRPC_PREFIX };

/* The verdict on a call of the method `path` with this message, which may have gRPC's prefix in
 * front: no message begins like one, as its first byte would be the tag of field 0. `data` is NULL
 * where there is no message. Where /grpc itself is refused, or nobody looks into it, that is the
 * verdict. Strings live in the arena, in `path` or statically. */
struct filter_verdict explain_grpc(const struct filter_policy *policy, const char *path,
                                   struct slice message, struct arena *arena);

#endif
