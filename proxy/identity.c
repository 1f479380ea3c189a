#include "proxy/identity.h"

#include <sys/socket.h>

#include "filter/ownership.h"
#include "proxy/conn.h"
#include "tls/tls.h"

/* Who opened the other end; only a unix socket tells. */
static void add_peer(const struct conn *conn, struct filter_identity *identity) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (conn->listener->address.kind == ADDRESS_TCP ||
        getsockopt(conn->client.fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
        peer.uid == (uid_t)-1)
        return;
    identity->has_peer = true;
    identity->uid = peer.uid;
    identity->gid = peer.gid;
}

enum { LISTENER_SIZE = 512 };

/* The slices point into the connection and into `listener`. */
static struct filter_identity identity_of(const struct conn *conn, char *listener) {
    struct filter_identity identity = {0};
    const char *url = address_format(&conn->listener->address, listener, LISTENER_SIZE);
    identity.listener = slice_from_string(url);
    const char *name = conn->client.tls != NULL ? tls_peer_name(conn->client.tls) : NULL;
    if (name != NULL)
        identity.common_name = slice_from_string(name);
    add_peer(conn, &identity);
    return identity;
}

const struct filter_client *identity_client(const struct conn *conn,
                                            const struct filter_rules *rules) {
    struct filter_identity identity = {0};
    char listener[LISTENER_SIZE];
    if (filter_rules_tell_apart(rules))
        identity = identity_of(conn, listener);
    return filter_rules_select(rules, &identity);
}

struct slice identity_owner(const struct conn *conn, const struct filter_client *client,
                            struct arena *arena) {
    char listener[LISTENER_SIZE];
    struct filter_identity identity = identity_of(conn, listener);
    return ownership_of(client, &identity, arena);
}
