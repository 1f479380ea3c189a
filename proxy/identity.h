/* Who a client is, as far as the connection proves it. */
#ifndef DIND_PROXY_PROXY_IDENTITY_H
#define DIND_PROXY_PROXY_IDENTITY_H

#include "filter/arena.h"
#include "filter/rules.h"

struct conn;

/* The one of the rules' clients that sends on this connection; never NULL. Lives as long as the
 * rules. */
const struct filter_client *identity_client(const struct conn *conn,
                                            const struct filter_rules *rules);

/* Whom what `client` makes on this connection belongs to (filter/ownership.h); empty if it cannot
 * be told, or memory is out. In the arena. */
struct slice identity_owner(const struct conn *conn, const struct filter_client *client,
                            struct arena *arena);

#endif
