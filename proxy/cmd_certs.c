#include <stdio.h>
#include <string.h>

#include "proxy/certs_run.h"
#include "proxy/command.h"

enum { LOCK_SECONDS = 30, AUTHORITIES = 2, LOCKS = AUTHORITIES + 1 };

struct locks {
    struct cert_folder folders[LOCKS];
    size_t count;
};

static void release(struct locks *locks) {
    for (size_t i = 0; i < locks->count; i++)
        cert_folder_close(&locks->folders[i]);
}

static void free_authorities(struct certs_authority (*authorities)[AUTHORITIES]) {
    for (size_t i = 0; i < AUTHORITIES; i++)
        certs_authority_free(&(*authorities)[i]);
}

static int lock(const char *path, mode_t mode, struct locks *locks, struct error *error) {
    struct cert_folder *folder = &locks->folders[locks->count];
    if (cert_folder_open(path, mode, folder, error) != 0)
        return -1;
    locks->count++;
    return cert_folder_lock(folder, LOCK_SECONDS, error);
}

/* Everybody takes them in this order. The folder above may be another one in each container; these
 * are what two runs must have in common to disturb each other. */
static int take_locks(const struct certs_plan *plan, struct locks *locks, struct error *error) {
    for (size_t i = 0; i < AUTHORITIES; i++)
        if (plan->items[i].wanted && lock(plan->items[i].folder, 0700, locks, error) != 0)
            return -1;
    return lock(plan->proxy_folder, 0755, locks, error);
}

static int check_separate(const struct certs_plan *plan,
                          const struct certs_authority authorities[AUTHORITIES],
                          struct error *error) {
    const struct certs_authority *agent = &authorities[CERTS_AGENT_AUTHORITY];
    const struct certs_authority *dind = &authorities[CERTS_DIND_AUTHORITY];
    if (agent->certificate.data == NULL || dind->certificate.data == NULL ||
        memcmp(agent->point, dind->point, sizeof agent->point) != 0)
        return 0;
    return error_set(error, "%s and %s are the same CA, which the layout split exists to prevent",
                     plan->items[CERTS_AGENT_AUTHORITY].folder,
                     plan->items[CERTS_DIND_AUTHORITY].folder);
}

/* Taking the agent's certificate away does not take back the copies that it may have made. */
static void warn_of_shared_past(const struct certs_run *run, const struct certs_item *agent,
                                const struct certs_item *dind_authority) {
    __attribute__((cleanup(cert_folder_close))) struct cert_folder folder = {.fd = -1};
    __attribute__((cleanup(cert_file_wipe))) struct cert_file file = {0};
    struct error ignored;
    struct tls_issued facts;
    if (run->settings->layout != CERTS_SPLIT || run->settings->renewal == CERTS_RENEW_ALL ||
        cert_folder_open(agent->folder, 0, &folder, &ignored) != 0 ||
        cert_file_read(&folder, "cert.pem", false, &file, &ignored) != 0 || file.data == NULL ||
        tls_issued_read(file.data, file.len, &facts) != 0 ||
        strcmp(facts.issuer_name, dind_authority->common_name) != 0)
        return;
    printf("warning: the agent has held a certificate that the engine trusts; --renew all makes it "
           "worthless\n");
}

static int run_plan(struct certs_run *run, const struct certs_plan *plan, struct error *error) {
    __attribute__((cleanup(free_authorities))) struct certs_authority authorities[AUTHORITIES] = {
        0};
    for (size_t i = 0; i < AUTHORITIES; i++)
        if (plan->items[i].wanted &&
            certs_authority_keep(run, &plan->items[i], &authorities[i], error) != 0)
            return -1;
    if (check_separate(plan, authorities, error) != 0)
        return -1;
    warn_of_shared_past(run, &plan->items[CERTS_AGENT], &plan->items[CERTS_DIND_AUTHORITY]);
    for (size_t i = AUTHORITIES; i < CERTS_PLACES; i++) {
        const struct certs_item *item = &plan->items[i];
        if (!item->wanted)
            continue;
        int result = item->source[0] != '\0'
                         ? certs_import(run, item, error)
                         : certs_leaf_keep(run, item, &authorities[item->issuer], error);
        if (result != 0)
            return -1;
    }
    return 0;
}

int command_certs(const struct options *options) {
    const struct certs_settings *settings = &options->config.certs;
    struct certs_run run = {.settings = settings, .now = time(NULL)};
    __attribute__((cleanup(release))) struct locks locks = {0};
    struct certs_plan plan;
    struct error error = {""};
    if (certs_plan_make(settings, &plan, &error) != 0)
        return command_fail(EXIT_STATUS_USAGE, &error);
    if ((!settings->check && take_locks(&plan, &locks, &error) != 0) ||
        run_plan(&run, &plan, &error) != 0)
        return command_fail(EXIT_STATUS_FAILED, &error);
    if (run.changes == 0)
        printf("nothing to do\n");
    else if (settings->check)
        printf("%u to do\n", run.changes);
    else
        printf("%u changed; reload or restart what uses them\n", run.changes);
    return settings->check && run.changes > 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}
