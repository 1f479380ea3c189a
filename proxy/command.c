#include "proxy/command.h"

#include <stdio.h>

int command_fail(enum exit_status status, const struct error *error) {
    /* What was written so far belongs before it. */
    (void)fflush(stdout);
    (void)fprintf(stderr, "dind-proxy: %s\n", error->text);
    return (int)status;
}
