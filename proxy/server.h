/* The running proxy: starts everything, waits for a signal, ends everything. */
#ifndef DIND_PROXY_PROXY_SERVER_H
#define DIND_PROXY_PROXY_SERVER_H

#include "proxy/config.h"
#include "proxy/error.h"

/* tls_global_init must have been called. Serves until SIGTERM or SIGINT, then drains for at most
 * the configured time. 0 after that; -1 with `error` filled when it could not start. */
int server_run(const struct config *config, struct error *error);

#endif
