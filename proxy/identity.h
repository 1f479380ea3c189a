/* Who a client is, as far as the connection proves it. */
#ifndef DIND_PROXY_PROXY_IDENTITY_H
#define DIND_PROXY_PROXY_IDENTITY_H

#include "filter/rules.h"

struct conn;

/* The one of the rules' clients that sends on this connection; never NULL. Lives as long as the
 * rules. */
const struct filter_client *identity_client(const struct conn *conn,
                                            const struct filter_rules *rules);

#endif
