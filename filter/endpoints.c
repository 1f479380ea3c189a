#include "filter/endpoints.h"

/* Why, for rows that share a sentence. Each says what to do instead. */
#define EXEC "exec is not allowed; run the command in a container of its own (docker run)"
#define CHECKPOINT                                                                                 \
    "checkpoints are not allowed, because they read and write folders of the engine's host; "      \
    "create the container anew instead"
#define DEBUG                                                                                      \
    "the engine's debug routes show its internals and are not allowed; ask the engine's operator"
#define GRPC "BuildKit's services are reachable through POST /grpc alone; use a client that does so"
#define PLUGIN                                                                                     \
    "managing plugins is not allowed, because they run as root on the engine's host; ask the "     \
    "engine's operator to install them"
#define SWARM                                                                                      \
    "swarm mode is not allowed; use plain containers, networks and volumes (docker run, docker "   \
    "compose)"
#define SERVICE                                                                                    \
    "services are not allowed, because their tasks pass by the checks on containers; use docker "  \
    "run or docker compose"
#define SWARM_DATA                                                                                 \
    "swarm's secrets and configs are not allowed; hand values over as environment variables or "   \
    "in a named volume"
/* Only for the allowlist: the filter does not know who made an object, so prune cannot be held to
 * the client's own. */
#define PRUNE "prune would remove what others made too; remove your own objects by name"

/* Rows with nothing more to say than the verdicts. */
#define ROW(route_, rule_, since_, class_, blocklist_, allowlist_)                                 \
    {                                                                                              \
        .route = (route_), .rule = "endpoint." rule_, .since = (since_),                           \
        .class = ENDPOINT_##class_, .blocklist = ENDPOINT_##blocklist_,                            \
        .allowlist = ENDPOINT_##allowlist_                                                         \
    }
/* Rows with more fields, given by name. */
#define ROW_WITH(route_, rule_, since_, class_, blocklist_, allowlist_, ...)                       \
    {                                                                                              \
        .route = (route_), .rule = "endpoint." rule_, .since = (since_),                           \
        .class = ENDPOINT_##class_, .blocklist = ENDPOINT_##blocklist_,                            \
        .allowlist = ENDPOINT_##allowlist_, __VA_ARGS__                                            \
    }

/* Columns: route, rule, first API version 1.N, class, verdict as blocklist, verdict as allowlist.
 *
 * HEAD rows stand before their GET rows: a HEAD request matches both, and the first names it. */
/* clang-format off */
const struct endpoint endpoints[] = {
    /* System. OPTIONS answers 200 for any path without doing anything. */
    ROW("OPTIONS /{name}", "options", 24, READ, PASS, REFUSE),
    ROW("HEAD /_ping", "ping", 40, READ, PASS, PASS),
    ROW("GET /_ping", "ping", 24, READ, PASS, PASS),
    ROW("GET /version", "version", 24, READ, PASS, PASS),
    ROW("GET /info", "info", 24, READ, PASS, PASS),
    ROW("GET /events", "events", 24, STREAM, PASS, PASS),
    ROW("GET /system/df", "system-df", 25, READ, PASS, PASS),
    /* docker login: the engine dials the registry with the client's credentials. */
    ROW("POST /auth", "auth", 24, WRITE, PASS, PASS),
    /* All below, by any method: engines before 28 route these whatever the method. */
    ROW_WITH("* /debug/{name}", "debug", 24, DANGER, REFUSE, REFUSE, .reason = DEBUG),

    /* Containers. */
    ROW("GET /containers/json", "container-list", 24, READ, PASS, PASS),
    ROW_WITH("POST /containers/create", "container-create", 24, DANGER, PASS, PASS,
             .body = BODY_CONTAINER_CREATE),
    ROW("GET /containers/{name}/json", "container-inspect", 24, READ, PASS, PASS),
    ROW_WITH("GET /containers/{name}/top", "container-top", 24, READ, PASS, PASS,
             .head = head_rule_container_top),
    ROW("GET /containers/{name}/logs", "container-logs", 24, STREAM, PASS, PASS),
    ROW("GET /containers/{name}/changes", "container-changes", 24, READ, PASS, PASS),
    ROW("GET /containers/{name}/export", "container-export", 24, STREAM, PASS, PASS),
    ROW("GET /containers/{name}/stats", "container-stats", 24, STREAM, PASS, PASS),
    ROW("HEAD /containers/{name}/archive", "container-archive-stat", 24, READ, PASS, PASS),
    ROW("GET /containers/{name}/archive", "container-archive-get", 24, STREAM, PASS, PASS),
    ROW_WITH("PUT /containers/{name}/archive", "container-archive-put", 24, DANGER, REFUSE, REFUSE,
             .reason = "copying files into a container is not allowed; put them into its image "
                       "(docker build), or send them to its standard input (docker run -i)"),
    /* Gone before 1.24, yet registered in engines up to 20.10, where it answers with an error. */
    ROW_WITH("POST /containers/{name}/copy", "container-copy", 8, READ, REFUSE, REFUSE, .until = 23,
             .reason = "the old copy endpoint is not allowed; use a newer client (docker cp)"),
    ROW("POST /containers/{name}/kill", "container-kill", 24, WRITE, PASS, PASS),
    ROW("POST /containers/{name}/pause", "container-pause", 24, WRITE, PASS, PASS),
    ROW("POST /containers/{name}/unpause", "container-unpause", 24, WRITE, PASS, PASS),
    ROW("POST /containers/{name}/restart", "container-restart", 24, WRITE, PASS, PASS),
    /* Below API 1.24 a body here replaced the container's HostConfig, privileges and all. */
    ROW_WITH("POST /containers/{name}/start", "container-start", 24, DANGER, PASS, PASS,
             .head = head_rule_container_start, .body = BODY_MUST_BE_EMPTY),
    ROW("POST /containers/{name}/stop", "container-stop", 24, WRITE, PASS, PASS),
    ROW("POST /containers/{name}/wait", "container-wait", 24, STREAM, PASS, PASS),
    ROW("POST /containers/{name}/resize", "container-resize", 24, WRITE, PASS, PASS),
    ROW("POST /containers/{name}/rename", "container-rename", 24, WRITE, PASS, PASS),
    ROW_WITH("POST /containers/{name}/update", "container-update", 24, DANGER, REFUSE, REFUSE,
             .body = BODY_CONTAINER_UPDATE,
             .reason = "changing a container's limits or restart policy is not allowed; set them "
                       "when creating it (docker run)"),
    ROW_WITH("POST /containers/{name}/attach", "container-attach", 24, HIJACK, PASS, PASS,
             .hijack = FILTER_HIJACK_RAW),
    /* Carries standard input although it is a GET: the power of attach, so its verdict too. */
    ROW_WITH("GET /containers/{name}/attach/ws", "container-attach-ws", 24, HIJACK, PASS, PASS,
             .hijack = FILTER_HIJACK_WEBSOCKET),
    ROW_WITH("POST /containers/prune", "container-prune", 25, WRITE, PASS, REFUSE, .reason = PRUNE),
    /* Falls under this one and under checkpoint deletion: the stricter verdict holds. */
    ROW("DELETE /containers/{name}", "container-remove", 24, WRITE, PASS, PASS),
    /* Makes an image; the body is an image's configuration and no container's. */
    ROW("POST /commit", "commit", 24, WRITE, PASS, REFUSE),
    ROW_WITH("GET /containers/{name}/checkpoints", "checkpoint-list", 24, DANGER, REFUSE, REFUSE,
             .reason = CHECKPOINT),
    ROW_WITH("POST /containers/{name}/checkpoints", "checkpoint-create", 24, DANGER, REFUSE, REFUSE,
             .reason = CHECKPOINT),
    ROW_WITH("DELETE /containers/{id}/checkpoints/{id}", "checkpoint-remove", 24, DANGER, REFUSE,
             REFUSE, .reason = CHECKPOINT),

    /* Exec. */
    ROW_WITH("POST /containers/{name}/exec", "exec-create", 24, DANGER, REFUSE, REFUSE,
             .body = BODY_EXEC_CREATE, .reason = EXEC),
    ROW_WITH("POST /exec/{name}/start", "exec-start", 24, HIJACK, REFUSE, REFUSE, .reason = EXEC,
             .hijack = FILTER_HIJACK_RAW, .body = BODY_EXEC_START),
    ROW_WITH("POST /exec/{name}/resize", "exec-resize", 24, WRITE, REFUSE, REFUSE, .reason = EXEC),
    ROW("GET /exec/{name}/json", "exec-inspect", 24, READ, PASS, PASS),

    /* Images. */
    ROW("GET /images/json", "image-list", 24, READ, PASS, PASS),
    ROW("GET /images/search", "image-search", 24, READ, PASS, PASS),
    ROW("GET /images/get", "image-save", 24, STREAM, PASS, PASS),
    ROW("GET /images/{name}/get", "image-save-one", 24, STREAM, PASS, PASS),
    ROW("GET /images/{name}/history", "image-history", 24, READ, PASS, PASS),
    ROW("GET /images/{name}/json", "image-inspect", 24, READ, PASS, PASS),
    ROW("GET /images/{name}/attestations", "image-attestations", 55, READ, PASS, PASS),
    ROW("POST /images/load", "image-load", 24, STREAM, PASS, PASS),
    ROW_WITH("POST /images/create", "image-create", 24, STREAM, PASS, PASS,
             .head = head_rule_image_create),
    ROW_WITH("POST /images/{name}/push", "image-push", 24, STREAM, PASS, PASS,
             .head = head_rule_image_push),
    ROW("POST /images/{name}/tag", "image-tag", 24, WRITE, PASS, PASS),
    ROW_WITH("POST /images/prune", "image-prune", 25, WRITE, PASS, REFUSE, .reason = PRUNE),
    ROW("DELETE /images/{name}", "image-remove", 24, WRITE, PASS, PASS),
    ROW("GET /distribution/{name}/json", "distribution", 30, READ, PASS, PASS),

    /* Builds. */
    ROW_WITH("POST /build", "build", 24, STREAM, PASS, PASS, .head = head_rule_build),
    ROW_WITH("POST /build/prune", "build-prune", 31, WRITE, PASS, REFUSE, .reason = PRUNE),
    ROW("POST /build/cancel", "build-cancel", 39, WRITE, PASS, PASS),
    ROW_WITH("POST /session", "session", 31, HIJACK, BUILDKIT, BUILDKIT,
             .hijack = FILTER_HIJACK_H2C, .head = head_rule_session),
    ROW_WITH("POST /grpc", "grpc", 39, HIJACK, BUILDKIT, BUILDKIT,
             .hijack = FILTER_HIJACK_GRPC),
    /* Served from engine 29.2 (API 1.53) over HTTP/2 only, which this proxy does not speak. */
    ROW_WITH("POST /moby.buildkit.v1.Control/{name}", "buildkit-grpc", 53, DANGER, REFUSE, REFUSE,
             .reason = GRPC),

    /* Networks. The second row is the one route that ends in a slash. */
    ROW("GET /networks", "network-list", 24, READ, PASS, PASS),
    ROW("GET /networks/", "network-list", 24, READ, PASS, PASS),
    ROW("GET /networks/{name}", "network-inspect", 24, READ, PASS, PASS),
    ROW_WITH("POST /networks/create", "network-create", 24, DANGER, PASS, PASS,
             .body = BODY_NETWORK_CREATE),
    ROW_WITH("POST /networks/{name}/connect", "network-connect", 24, WRITE, PASS, PASS,
             .head = head_rule_network_connect, .body = BODY_NETWORK_CONNECT),
    ROW("POST /networks/{name}/disconnect", "network-disconnect", 24, WRITE, PASS, PASS),
    ROW_WITH("POST /networks/prune", "network-prune", 25, WRITE, PASS, REFUSE, .reason = PRUNE),
    ROW("DELETE /networks/{name}", "network-remove", 24, WRITE, PASS, PASS),

    /* Volumes. */
    ROW("GET /volumes", "volume-list", 24, READ, PASS, PASS),
    ROW("GET /volumes/{name}", "volume-inspect", 24, READ, PASS, PASS),
    ROW_WITH("POST /volumes/create", "volume-create", 24, DANGER, PASS, PASS,
             .body = BODY_VOLUME_CREATE),
    ROW_WITH("PUT /volumes/{name}", "volume-update", 42, DANGER, REFUSE, REFUSE,
             .reason = "changing a cluster volume is not allowed; create a local volume instead "
                       "(docker volume create)"),
    ROW_WITH("POST /volumes/prune", "volume-prune", 25, WRITE, PASS, REFUSE, .reason = PRUNE),
    ROW("DELETE /volumes/{name}", "volume-remove", 24, WRITE, PASS, PASS),

    /* Plugins run as root with the mounts, devices and capabilities of their manifest. */
    ROW("GET /plugins", "plugin-list", 24, READ, PASS, PASS),
    ROW("GET /plugins/{name}/json", "plugin-inspect", 24, READ, PASS, REFUSE),
    /* The engine fetches a manifest that the client names. */
    ROW_WITH("GET /plugins/privileges", "plugin-privileges", 24, READ, REFUSE, REFUSE,
             .reason = PLUGIN),
    ROW_WITH("POST /plugins/pull", "plugin-pull", 24, DANGER, REFUSE, REFUSE, .reason = PLUGIN),
    ROW_WITH("POST /plugins/create", "plugin-create", 24, DANGER, REFUSE, REFUSE, .reason = PLUGIN),
    ROW_WITH("POST /plugins/{name}/enable", "plugin-enable", 24, DANGER, REFUSE, REFUSE,
             .reason = PLUGIN),
    ROW_WITH("POST /plugins/{name}/disable", "plugin-disable", 24, DANGER, REFUSE, REFUSE,
             .reason = PLUGIN),
    ROW_WITH("POST /plugins/{name}/push", "plugin-push", 24, DANGER, REFUSE, REFUSE,
             .reason = PLUGIN),
    ROW_WITH("POST /plugins/{name}/set", "plugin-set", 24, DANGER, REFUSE, REFUSE,
             .reason = PLUGIN),
    ROW_WITH("POST /plugins/{name}/upgrade", "plugin-upgrade", 26, DANGER, REFUSE, REFUSE,
             .reason = PLUGIN),
    ROW_WITH("DELETE /plugins/{name}", "plugin-remove", 24, DANGER, REFUSE, REFUSE,
             .reason = PLUGIN),

    /* Swarm: joining hands the node to a foreign manager. Reads answer 503 outside a swarm. */
    ROW("GET /swarm", "swarm-inspect", 24, READ, PASS, REFUSE),
    ROW_WITH("GET /swarm/unlockkey", "swarm-unlock-key", 24, DANGER, REFUSE, REFUSE,
             .reason = "the swarm's unlock key is a secret; ask the engine's operator"),
    ROW_WITH("POST /swarm/init", "swarm-init", 24, DANGER, REFUSE, REFUSE, .reason = SWARM),
    ROW_WITH("POST /swarm/join", "swarm-join", 24, DANGER, REFUSE, REFUSE, .reason = SWARM),
    ROW_WITH("POST /swarm/leave", "swarm-leave", 24, DANGER, REFUSE, REFUSE, .reason = SWARM),
    ROW_WITH("POST /swarm/update", "swarm-update", 24, DANGER, REFUSE, REFUSE, .reason = SWARM),
    ROW_WITH("POST /swarm/unlock", "swarm-unlock", 24, DANGER, REFUSE, REFUSE, .reason = SWARM),
    ROW("GET /nodes", "node-list", 24, READ, PASS, REFUSE),
    ROW("GET /nodes/{id}", "node-inspect", 24, READ, PASS, REFUSE),
    ROW_WITH("POST /nodes/{id}/update", "node-update", 24, DANGER, REFUSE, REFUSE, .reason = SWARM),
    ROW_WITH("DELETE /nodes/{id}", "node-remove", 24, DANGER, REFUSE, REFUSE, .reason = SWARM),
    ROW("GET /tasks", "task-list", 24, READ, PASS, REFUSE),
    ROW("GET /tasks/{id}", "task-inspect", 24, READ, PASS, REFUSE),
    ROW("GET /tasks/{id}/logs", "task-logs", 29, STREAM, PASS, REFUSE),

    /* Services: their tasks take mounts, capabilities and host networks past container create. */
    ROW("GET /services", "service-list", 24, READ, PASS, REFUSE),
    ROW("GET /services/{id}", "service-inspect", 24, READ, PASS, REFUSE),
    ROW("GET /services/{id}/logs", "service-logs", 25, STREAM, PASS, REFUSE),
    ROW_WITH("POST /services/create", "service-create", 24, DANGER, REFUSE, REFUSE,
             .reason = SERVICE),
    ROW_WITH("POST /services/{id}/update", "service-update", 24, DANGER, REFUSE, REFUSE,
             .reason = SERVICE),
    ROW_WITH("DELETE /services/{id}", "service-remove", 24, DANGER, REFUSE, REFUSE,
             .reason = SERVICE),

    /* Secrets and configs. */
    ROW("GET /secrets", "secret-list", 25, READ, PASS, REFUSE),
    ROW("GET /secrets/{id}", "secret-inspect", 25, READ, PASS, REFUSE),
    ROW_WITH("POST /secrets/create", "secret-create", 25, DANGER, REFUSE, REFUSE,
             .reason = SWARM_DATA),
    ROW_WITH("POST /secrets/{id}/update", "secret-update", 25, DANGER, REFUSE, REFUSE,
             .reason = SWARM_DATA),
    ROW_WITH("DELETE /secrets/{id}", "secret-remove", 25, DANGER, REFUSE, REFUSE,
             .reason = SWARM_DATA),
    ROW("GET /configs", "config-list", 30, READ, PASS, REFUSE),
    ROW("GET /configs/{id}", "config-inspect", 30, READ, PASS, REFUSE),
    ROW_WITH("POST /configs/create", "config-create", 30, DANGER, REFUSE, REFUSE,
             .reason = SWARM_DATA),
    ROW_WITH("POST /configs/{id}/update", "config-update", 30, DANGER, REFUSE, REFUSE,
             .reason = SWARM_DATA),
    ROW_WITH("DELETE /configs/{id}", "config-remove", 30, DANGER, REFUSE, REFUSE,
             .reason = SWARM_DATA),
};
/* clang-format on */

const size_t endpoint_count = sizeof(endpoints) / sizeof(endpoints[0]);

const char *endpoint_class_name(enum endpoint_class class) {
    switch (class) {
    case ENDPOINT_READ:
        return "read";
    case ENDPOINT_WRITE:
        return "write";
    case ENDPOINT_STREAM:
        return "stream";
    case ENDPOINT_HIJACK:
        return "hijack";
    case ENDPOINT_DANGER:
        return "danger";
    case ENDPOINT_UNKNOWN:
        break;
    }
    return "unknown";
}
