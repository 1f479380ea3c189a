/* By what a policy file tells clients apart. */
#ifndef DIND_PROXY_FILTER_CLIENT_MATCH_H
#define DIND_PROXY_FILTER_CLIENT_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "filter/policy_print.h"
#include "filter/policy_read.h"
#include "filter/rules.h"

/* Conditions; those not given hold for everybody. Patterns as filter/glob.h has them. */
struct client_match {
    const char *common_name; /* NULL: not given, as the next two */
    const char *alt_name;    /* one of the names at least */
    const char *listener;
    bool has_uid;
    bool has_gid;
    uint32_t uid;
    uint32_t gid;
};

/* Reads the "match" of a client. Without any condition it is an error. False with the error
 * written. */
bool client_match_read(const struct policy_reader *reader, const cJSON *object,
                       struct client_match *match);

/* Writes it as an object. */
void client_match_print(struct policy_printer *printer, const struct client_match *match);

/* Whether every condition holds. What is not known of the client fulfils none. */
bool client_match_holds(const struct client_match *match, const struct filter_identity *identity);

#endif
