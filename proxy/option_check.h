/* What makes single options into one configuration that hangs together. */
#ifndef DIND_PROXY_PROXY_OPTION_CHECK_H
#define DIND_PROXY_PROXY_OPTION_CHECK_H

#include "proxy/option_table.h"

/* After every option has its value: fills in the upstream hop from DOCKER_*, settles which
 * listeners have TLS and on which port, and refuses what does not fit together. 0 or -1. */
int option_check(struct options *options, char *const environment[], struct error *error);

/* Gives one option a value; the error names the source and the value. 0 or -1. */
int option_apply(const struct option *option, const char *value, const char *source,
                 struct options *options, struct error *error);

/* The option that fills this field of struct config, NULL if none. */
const struct option *option_for(size_t field);

/* A variable's value; NULL when it is not set or empty. */
const char *option_environment(char *const environment[], const char *name);

#endif
