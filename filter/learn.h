/* The smallest policy that what was seen needs: it begins with nothing, and each refusal's remedy
 * (struct filter_remedy) is added to it.
 *
 * Pure but for memory; one thread at a time. */
#ifndef DIND_PROXY_FILTER_LEARN_H
#define DIND_PROXY_FILTER_LEARN_H

#include <stddef.h>

#include "filter/arena.h"
#include "filter/filter.h"
#include "filter/grpc.h"
#include "filter/rules.h"

enum {
    LEARN_MAX_ITEMS = 1024,       /* elements and values of the policy */
    LEARN_MAX_VALUE = 4096,       /* bytes of one */
    LEARN_MAX_BYTES = 256 * 1024, /* of all of them */
};

struct learn;

/* An allowlist without any call. NULL with `error`. Free with learn_free (NULL is allowed). */
struct learn *learn_new(char *error, size_t error_size);
void learn_free(struct learn *learn);

/* Something was added: the value of `key`, or an element where that is a list. */
typedef void learn_added(void *context, const char *key, struct slice value);

struct learn_result {
    size_t added;
    /* What still refuses the request, or leaves it in doubt, and which no key opens, or none that
     * there is room for; static. NULL: the learned policy lets it pass. */
    const char *rule;
    const char *reason; /* with `rule`; in the arena or static */
};

/* Adds what the request needs. `body` counts where one is judged. */
struct learn_result learn_request(struct learn *learn, const struct filter_request *request,
                                  struct slice body, struct arena *arena, learn_added *added,
                                  void *context);

/* The same for a call inside /grpc. */
struct learn_result learn_call(struct learn *learn, const struct grpc_call *call,
                               struct arena *arena, learn_added *added, void *context);

/* The text of the policy file so far, to be freed with free(3); NULL when memory is out. */
char *learn_text(const struct learn *learn, size_t *length);

/* The policy so far, as rules of the caller's own; NULL with `error`. */
struct filter_rules *learn_rules(const struct learn *learn, char *error, size_t error_size);

#endif
