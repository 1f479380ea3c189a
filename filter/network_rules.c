#include "filter/network_rules.h"

#include <cjson/cJSON.h>

#include "filter/policy.h"
#include "filter/quote.h"
#include "filter/split.h"
#include "filter/sysctls.h"

static const char no_host_network[] =
    "the host's network is not allowed; drop --network host and publish ports instead";

struct body_finding network_judge_mode(const struct field_context *context,
                                       const struct field *field, const cJSON *value) {
    struct slice host = SLICE("host");
    if (!slice_equal(fields_text(value), host) || field_opens(context, field, host))
        return finding_allow();
    return field_deny_word(context, field, host, no_host_network);
}

/* "net.ipv4.conf.IFNAME.forwarding=1,…": all must stay in the container's network namespace. */
static bool endpoint_sysctls_are_harmless(struct slice list) {
    struct splitter splitter = split_start(list, ',');
    struct slice entry;
    while (split_next(&splitter, &entry)) {
        struct splitter sides = split_start(entry, '=');
        struct slice name;
        (void)split_next(&sides, &name);
        if (sides.ended || !sysctl_is_network(name))
            return false;
    }
    return true;
}

/* FIELD_TEXTS: what the network's driver is told about one endpoint (moby,
 * daemon/libnetwork/netlabel/labels.go). Most labels there are internal to the engine. */
static struct body_finding judge_endpoint_options(const struct field_context *context,
                                                  const struct field *field, const cJSON *value) {
    for (const cJSON *option = value->child; option != NULL; option = option->next) {
        struct slice key = slice_from_string(option->string);
        if (slice_equal(key, SLICE("com.docker.network.endpoint.ifname")))
            continue;
        if (slice_equal(key, SLICE("com.docker.network.endpoint.sysctls")) &&
            endpoint_sysctls_are_harmless(fields_text(option)))
            continue;
        return finding_deny(field->rule,
                            arena_printf(context->arena,
                                         "the endpoint option %s is not allowed with this value; "
                                         "drop it from DriverOpts",
                                         quote(context->arena, key)));
    }
    return finding_allow();
}

/* FIELD_TEXTS: options of the bridge driver (moby, daemon/libnetwork/drivers/bridge/labels.go).
 * Not here: bridge.name, which takes over a bridge that exists on the host and with it the engine's
 * own layer 2; default_bridge; trusted_host_interfaces; host_ipv4 and host_ipv6, which choose the
 * source address of what leaves the host. */
static struct body_finding judge_bridge_options(const struct field_context *context,
                                                const struct field *field, const cJSON *value) {
    static const struct slice allowed[] = {
        SLICE("com.docker.network.advertise_addr_ms"),
        SLICE("com.docker.network.advertise_addr_nmsgs"),
        SLICE("com.docker.network.bridge.enable_icc"),
        SLICE("com.docker.network.bridge.enable_ip_masquerade"),
        SLICE("com.docker.network.bridge.gateway_mode_ipv4"),
        SLICE("com.docker.network.bridge.gateway_mode_ipv6"),
        SLICE("com.docker.network.bridge.host_binding_ipv4"),
        SLICE("com.docker.network.bridge.inhibit_ipv4"),
        SLICE("com.docker.network.container_iface_prefix"),
        SLICE("com.docker.network.driver.mtu"),
        SLICE("com.docker.network.enable_ipv4"),
        SLICE("com.docker.network.enable_ipv6"),
    };
    for (const cJSON *option = value->child; option != NULL; option = option->next) {
        struct slice key = slice_from_string(option->string);
        bool known = false;
        for (size_t i = 0; i < FIELD_COUNT(allowed) && !known; i++)
            known = slice_equal(key, allowed[i]);
        if (!known)
            return finding_deny(field->rule,
                                arena_printf(context->arena,
                                             "the network option %s is not allowed; drop it",
                                             quote(context->arena, key)));
    }
    return finding_allow();
}

/* FIELD_OBJECT: a network's name from another; the CLI of old sends an empty one. */
static struct body_finding judge_config_from(const struct field_context *context,
                                             const struct field *field, const cJSON *value) {
    (void)context;
    if (fields_member_string(value, SLICE("Network")).len == 0)
        return finding_allow();
    return finding_deny(field->rule, field->reason);
}

/* FIELD_MAP: the keys are names of networks. */
static struct body_finding judge_endpoints(const struct field_context *context,
                                           const struct field *field, const cJSON *value) {
    struct slice host = SLICE("host");
    for (const cJSON *network = value->child; network != NULL; network = network->next)
        if (strcmp(network->string, "host") == 0 && !field_opens(context, field, host))
            return field_deny_word(context, field, host, no_host_network);
    return finding_allow();
}

static const char *const bridge_only[] = {"", "bridge", NULL};
static const char *const local_only[] = {"", "local", NULL};
static const char *const default_only[] = {"", "default", NULL};

static const struct field ipam_pool_fields[] = {
    FIELD("Subnet", FIELD_STRING),
    FIELD("IPRange", FIELD_STRING),
    FIELD("Gateway", FIELD_STRING),
    FIELD("AuxiliaryAddresses", FIELD_MAP),
};
static const struct field_table ipam_pool_table = {
    .name = "IPAM.Config",
    .fields = ipam_pool_fields,
    .count = FIELD_COUNT(ipam_pool_fields),
    .unknown_rule = "network.unknown-field",
};

static const struct field ipam_fields[] = {
    FIELD_WORDS("Driver", default_only, "network.ipam-driver",
                "use the default address management"),
    FIELD("Options", FIELD_MAP),
    FIELD_MEMBERS("Config", FIELD_LIST, ipam_pool_table),
};
static const struct field_table ipam_table = {
    .name = "IPAM",
    .fields = ipam_fields,
    .count = FIELD_COUNT(ipam_fields),
    .unknown_rule = "network.unknown-field",
};

static const struct field network_create_fields[] = {
    FIELD("Name", FIELD_STRING),
    FIELD("CheckDuplicate", FIELD_BOOL),
    FIELD_WORDS("Driver", bridge_only, "network.driver",
                "use the bridge driver: others reach the engine's own network"),
    FIELD_WORDS("Scope", local_only, "network.scope", "use the local scope"),
    FIELD("EnableIPv4", FIELD_BOOL),
    FIELD("EnableIPv6", FIELD_BOOL),
    FIELD_MEMBERS("IPAM", FIELD_OBJECT, ipam_table),
    FIELD("Internal", FIELD_BOOL),
    FIELD("Attachable", FIELD_BOOL),
    FIELD_JUDGED("Ingress", FIELD_BOOL, field_judge_not_true, "network.ingress",
                 "ingress networks belong to swarm and are not allowed; drop --ingress"),
    FIELD_JUDGED("ConfigOnly", FIELD_BOOL, field_judge_not_true, "network.config-only",
                 "config-only networks are not allowed; drop --config-only"),
    FIELD_JUDGED("ConfigFrom", FIELD_OBJECT, judge_config_from, "network.config-from",
                 "networks made from a config-only network are not allowed; drop --config-from"),
    FIELD_JUDGED("Options", FIELD_TEXTS, judge_bridge_options, "network.options", NULL),
    FIELD("Labels", FIELD_MAP),
};
const struct field_table network_create_table = {
    .name = "the network",
    .fields = network_create_fields,
    .count = FIELD_COUNT(network_create_fields),
    .unknown_rule = "network.unknown-field",
};

/* EndpointSettings (moby, api/types/network/endpoint.go). */
static const struct field endpoint_fields[] = {
    FIELD("IPAMConfig", FIELD_OBJECT),
    FIELD("Links", FIELD_ANY),
    FIELD("Aliases", FIELD_ANY),
    FIELD_JUDGED("DriverOpts", FIELD_TEXTS, judge_endpoint_options, "network.endpoint-options",
                 NULL),
    FIELD("GwPriority", FIELD_NUMBER),
    FIELD("NetworkID", FIELD_STRING),
    FIELD("EndpointID", FIELD_STRING),
    FIELD("Gateway", FIELD_STRING),
    FIELD("IPAddress", FIELD_STRING),
    FIELD("MacAddress", FIELD_STRING),
    FIELD("IPPrefixLen", FIELD_NUMBER),
    FIELD("IPv6Gateway", FIELD_STRING),
    FIELD("GlobalIPv6Address", FIELD_STRING),
    FIELD("GlobalIPv6PrefixLen", FIELD_NUMBER),
    FIELD("DNSNames", FIELD_ANY),
};
static const struct field_table endpoint_table = {
    .name = "the endpoint",
    .fields = endpoint_fields,
    .count = FIELD_COUNT(endpoint_fields),
    .unknown_rule = "network.unknown-field",
};

static const struct field network_connect_fields[] = {
    FIELD("Container", FIELD_STRING),
    FIELD_MEMBERS("EndpointConfig", FIELD_OBJECT, endpoint_table),
};
const struct field_table network_connect_table = {
    .name = "the connection",
    .fields = network_connect_fields,
    .count = FIELD_COUNT(network_connect_fields),
    .unknown_rule = "network.unknown-field",
};

static const struct field networking_config_fields[] = {
    {.name = FIELD_NAME("EndpointsConfig"),
     .type = FIELD_MAP,
     .members = &endpoint_table,
     .judge = judge_endpoints,
     .rule = "create.network-host",
     .key = "create.network-modes",
     .opened = offsetof(struct filter_policy, create.network_modes)},
};
const struct field_table networking_config_table = {
    .name = "NetworkingConfig",
    .fields = networking_config_fields,
    .count = FIELD_COUNT(networking_config_fields),
    .unknown_rule = "create.unknown-field",
};
