/* What a policy says of builds (struct filter_build), whichever way they are asked for: by the
 * query of /build, by a call in /grpc, by JSON inside of either. */
#ifndef DIND_PROXY_FILTER_BUILD_RULES_H
#define DIND_PROXY_FILTER_BUILD_RULES_H

#include <stdbool.h>

#include "filter/body_rules.h"
#include "filter/message.h"
#include "filter/policy.h"

enum build_cache { BUILD_CACHE_IMPORT, BUILD_CACHE_EXPORT };

/* The policy with all that its "build" switches can open: what a switch would let pass, passes with
 * it. Borrows from `policy`. */
struct filter_policy build_all_open(const struct filter_policy *policy);

/* Frontend images of the client's own: code that reads the Dockerfile in the engine's place. */
bool build_allows_frontends(const struct filter_policy *policy);

/* Whether what a context or a source names needs nothing that the engine would fetch by itself but
 * images: "docker-image://…", "local://…", an upload of the client's own session. */
bool build_source_is_near(struct slice identifier);
/* The same for the value of a context: empty, or the client's own upload. */
bool build_context_is_near(struct slice value);

/* An exporter by its type, and one of its attributes. */
struct body_finding build_judge_output(const struct message_context *context, struct slice type);
struct body_finding build_judge_output_option(const struct message_context *context,
                                              struct slice key, struct slice value);

/* A cache by its type. */
struct body_finding build_judge_cache(const struct message_context *context, enum build_cache use,
                                      struct slice type);

/* JSON texts, as Go's encoding/json would read them. What is malformed is a bad request. */

/* [{"Type":…,"Attrs":{…}}…]: caches to import (BuildKit, frontend attribute "cache-imports"). */
struct body_finding build_judge_cache_list(const struct message_context *context,
                                           struct slice text);
/* The same with exporters (Docker API ImageBuild, "outputs"). */
struct body_finding build_judge_output_list(const struct message_context *context,
                                            struct slice text);
/* {"NAME":"value"…} (Docker API ImageBuild, "buildargs"). */
struct body_finding build_judge_arguments(const struct message_context *context, struct slice text);

#endif
