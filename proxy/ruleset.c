#include "proxy/ruleset.h"

#include <stdbool.h>
#include <stdlib.h>

#include "proxy/policy_file.h"

static int open_contexts(struct ruleset *set, const struct config *config, struct error *error) {
    struct tls_error reason;
    bool serves_tls = false;
    for (size_t i = 0; i < config->listener_count; i++)
        serves_tls |= config->listeners[i].tls;
    if (serves_tls) {
        set->server_tls = tls_server_context(&config->server_tls, &reason);
        if (set->server_tls == NULL)
            return error_set(error, "%s", reason.text);
    }
    if (config->upstream_tls) {
        const char *name =
            config->upstream_name != NULL ? config->upstream_name : config->upstream.host;
        set->client_tls = tls_client_context(&config->upstream_files, name, &reason);
        if (set->client_tls == NULL)
            return error_set(error, "%s", reason.text);
    }
    return 0;
}

struct ruleset *ruleset_new(const struct config *config, struct error *error) {
    struct ruleset *set = calloc(1, sizeof *set);
    if (set == NULL) {
        (void)error_set(error, "out of memory");
        return NULL;
    }
    atomic_init(&set->references, 1);
    set->rules = policy_file_load(config, error);
    if (set->rules != NULL && open_contexts(set, config, error) == 0)
        return set;
    ruleset_release(set);
    return NULL;
}

void ruleset_set_kernel_tls(struct ruleset *set, enum tls_kernel_mode mode) {
    if (set->server_tls != NULL)
        tls_context_set_kernel(set->server_tls, mode);
    if (set->client_tls != NULL)
        tls_context_set_kernel(set->client_tls, mode);
}

void ruleset_release(struct ruleset *set) {
    if (set == NULL || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) != 1)
        return;
    tls_context_free(set->server_tls);
    tls_context_free(set->client_tls);
    filter_rules_free(set->rules);
    free(set);
}

struct lease *lease_new(struct ruleset *set) {
    struct lease *lease = calloc(1, sizeof *lease);
    if (lease == NULL)
        return NULL;
    (void)atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
    lease->set = set;
    lease->uses = 1;
    return lease;
}

struct lease *lease_use(struct lease *lease) {
    lease->uses++;
    return lease;
}

void lease_end(struct lease *lease) {
    if (lease == NULL || --lease->uses > 0)
        return;
    tls_resumption_clear(&lease->resumption);
    ruleset_release(lease->set);
    free(lease);
}
