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

/* What an identity's slices need beside the connection. */
struct identity_room {
    char listener[LISTENER_SIZE];
    struct slice alt_names[TLS_ALT_NAMES];
};

static void add_alt_names(const struct conn *conn, struct filter_identity *identity,
                          struct slice *slices) {
    size_t size = 0;
    const char *names = tls_peer_alt_names(conn->client.tls, &size);
    identity->alt_names = slices;
    for (size_t at = 0; at < size && identity->alt_name_count < TLS_ALT_NAMES;) {
        struct slice name = slice_from_string(names + at);
        slices[identity->alt_name_count++] = name;
        at += name.len + 1;
    }
}

static struct filter_identity identity_of(const struct conn *conn, struct identity_room *room) {
    struct filter_identity identity = {0};
    const char *url =
        address_format(&conn->listener->address, room->listener, sizeof room->listener);
    identity.listener = slice_from_string(url);
    if (conn->client.tls != NULL) {
        identity.common_name = slice_from_string(tls_peer_name(conn->client.tls));
        add_alt_names(conn, &identity, room->alt_names);
    }
    add_peer(conn, &identity);
    return identity;
}

const struct filter_client *identity_client(const struct conn *conn,
                                            const struct filter_rules *rules) {
    struct filter_identity identity = {0};
    struct identity_room room;
    if (filter_rules_tell_apart(rules))
        identity = identity_of(conn, &room);
    return filter_rules_select(rules, &identity);
}

struct slice identity_owner(const struct conn *conn, const struct filter_client *client,
                            struct arena *arena) {
    struct identity_room room;
    struct filter_identity identity = identity_of(conn, &room);
    return ownership_of(client, &identity, arena);
}
