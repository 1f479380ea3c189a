#include "body_cases.h"

static const struct filter_policy policy = {.preset = FILTER_BLOCKLIST};
static const struct filter_policy allowlist = {.preset = FILTER_ALLOWLIST};

#define NETWORK(fields)    "{\"Name\":\"n\"," fields "}"
#define OPTION(key, value) NETWORK("\"Options\":{\"com.docker.network." key "\":\"" value "\"}")

static void networks(void **state) {
    (void)state;
    static const struct body_case cases[] = {
        {"{}", ALLOW},
        {NETWORK("\"Driver\":\"bridge\",\"Scope\":\"\",\"IPAM\":{\"Driver\":\"default\","
                 "\"Options\":{},\"Config\":[]},\"Internal\":false,\"Attachable\":false,"
                 "\"Ingress\":false,\"ConfigOnly\":false,\"ConfigFrom\":null,\"Options\":{},"
                 "\"Labels\":{},\"CheckDuplicate\":true"),
         ALLOW},
        {NETWORK("\"Driver\":\"\",\"Scope\":\"local\",\"EnableIPv6\":true,\"Internal\":true"),
         ALLOW},
        {NETWORK("\"Driver\":null,\"IPAM\":null,\"Options\":null"), ALLOW},
        {NETWORK("\"Driver\":\"host\""), DENY("network.driver")},
        {NETWORK("\"driver\":\"macvlan\""), DENY("network.driver")},
        {NETWORK("\"Driver\":\"ipvlan\""), DENY("network.driver")},
        {NETWORK("\"Driver\":\"overlay\""), DENY("network.driver")},
        {NETWORK("\"Driver\":\"null\""), DENY("network.driver")},
        {NETWORK("\"Driver\":\"Bridge\""), DENY("network.driver")},
        {NETWORK("\"Driver\":\"bridge\",\"DRIVER\":\"host\""), BAD("body.duplicate-key")},
        {NETWORK("\"Driver\":7"), BAD("body.type")},
        {NETWORK("\"Scope\":\"swarm\""), DENY("network.scope")},
        {NETWORK("\"\\u017fcope\":\"global\""), DENY("network.scope")},
        {NETWORK("\"Ingress\":true"), DENY("network.ingress")},
        {NETWORK("\"ConfigOnly\":true"), DENY("network.config-only")},
        {NETWORK("\"ConfigOnly\":\"true\""), BAD("body.type")},
        {NETWORK("\"ConfigFrom\":{\"Network\":\"x\"}"), DENY("network.config-from")},
        {NETWORK("\"ConfigFrom\":{\"networ\xE2\x84\xAA\":\"x\"}"), DENY("network.config-from")},
        {NETWORK("\"ConfigFrom\":{\"Network\":\"\"}"), ALLOW},
        {NETWORK("\"ConfigFrom\":{\"Network\":\"\",\"network\":\"x\"}"), BAD("body.duplicate-key")},
        {NETWORK("\"IPAM\":{\"Driver\":\"dhcp\"}"), DENY("network.ipam-driver")},
        {NETWORK("\"ipam\":{\"driver\":\"null\"}"), DENY("network.ipam-driver")},
        {NETWORK("\"IPAM\":{\"Driver\":\"\",\"Config\":[{\"Subnet\":\"10.1.0.0/16\","
                 "\"AuxiliaryAddresses\":{\"a\":\"10.1.0.2\",\"A\":\"10.1.0.3\"}}]}"),
         ALLOW},
        {NETWORK("\"IPAM\":{\"Config\":[null]}"), BAD("body.type")},
        {NETWORK("\"IPAM\":{\"Config\":[{\"Subnet\":\"\",\"subnet\":\"\"}]}"),
         BAD("body.duplicate-key")},
        {NETWORK("\"IPAM\":[]"), BAD("body.type")},
        {OPTION("bridge.enable_icc", "false"), ALLOW},
        {OPTION("bridge.gateway_mode_ipv6", "routed"), ALLOW},
        {OPTION("driver.mtu", "1400"), ALLOW},
        {OPTION("advertise_addr_ms", "100"), ALLOW},
        {OPTION("advertise_addr_nmsgs", "3"), ALLOW},
        {OPTION("bridge.enable_ip_masquerade", "true"), ALLOW},
        {OPTION("bridge.gateway_mode_ipv4", "nat"), ALLOW},
        {OPTION("bridge.host_binding_ipv4", "127.0.0.1"), ALLOW},
        {OPTION("bridge.inhibit_ipv4", "true"), ALLOW},
        {OPTION("container_iface_prefix", "veth"), ALLOW},
        {OPTION("enable_ipv4", "true"), ALLOW},
        {OPTION("enable_ipv6", "true"), ALLOW},
        {OPTION("bridge.name", "docker0"), DENY("network.options")},
        {OPTION("bridge.default_bridge", "true"), DENY("network.options")},
        {OPTION("bridge.trusted_host_interfaces", "eth0"), DENY("network.options")},
        {OPTION("host_ipv4", "10.0.0.1"), DENY("network.options")},
        {OPTION("Driver.mtu", "1400"), DENY("network.options")},
        {NETWORK("\"options\":{\"parent\":\"eth0\"}"), DENY("network.options")},
        {NETWORK("\"Options\":{\"com.docker.network.driver.mtu\":1400}"), BAD("body.type")},
        {NETWORK("\"New\":true"), ALLOW},
        {"", BAD("body.json")},
    };
    assert_cases(&policy, BODY_NETWORK_CREATE, cases, COUNT(cases));
}

static void connections(void **state) {
    (void)state;
    static const struct body_case cases[] = {
        {"{\"Container\":\"web1\"}", ALLOW},
        {"{\"Container\":\"web1\",\"EndpointConfig\":null}", ALLOW},
        {"{\"Container\":\"web1\",\"EndpointConfig\":{\"IPAMConfig\":{},\"Links\":null,"
         "\"Aliases\":[\"a\"],\"MacAddress\":\"\",\"DriverOpts\":null,\"GwPriority\":0}}",
         ALLOW},
        {"{\"EndpointConfig\":{\"DriverOpts\":{\"com.docker.network.endpoint.sysctls\":"
         "\"net.ipv4.conf.IFNAME.forwarding=1\"}}}",
         ALLOW},
        {"{\"endpointconfig\":{\"driveropts\":{\"com.docker.network.endpoint.sysctls\":"
         "\"vm.swappiness=1\"}}}",
         DENY("network.endpoint-options")},
        {"{\"EndpointConfig\":{\"DriverOpts\":{\"com.docker.network.endpoint.sysctls\":"
         "\"net.a=1,\"}}}",
         DENY("network.endpoint-options")},
        {"{\"EndpointConfig\":{\"DriverOpts\":{\"com.docker.network.generic\":\"x\"}}}",
         DENY("network.endpoint-options")},
        {"{\"EndpointConfig\":{\"DriverOpts\":{\"x\":\"1\",\"x\":\"2\"}}}",
         BAD("body.duplicate-key")},
        {"{\"Container\":\"a\",\"container\":\"b\"}", BAD("body.duplicate-key")},
        {"{\"EndpointConfig\":[]}", BAD("body.type")},
        {"{\"Container\":7}", BAD("body.type")},
        {"[]", BAD("body.json")},
    };
    assert_cases(&policy, BODY_NETWORK_CONNECT, cases, COUNT(cases));
}

static void allowlist_refuses_unknown_fields(void **state) {
    (void)state;
    assert_finding(&allowlist, BODY_NETWORK_CREATE, NETWORK("\"New\":true"),
                   DENY("network.unknown-field"));
    assert_finding(&allowlist, BODY_NETWORK_CREATE, NETWORK("\"New\":false"), ALLOW);
    assert_finding(&allowlist, BODY_NETWORK_CONNECT, "{\"EndpointConfig\":{\"New\":1}}",
                   DENY("network.unknown-field"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks),
        cmocka_unit_test(connections),
        cmocka_unit_test(allowlist_refuses_unknown_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
