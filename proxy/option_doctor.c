/* The options of `dind-proxy doctor`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/option_check.h"
#include "proxy/option_table.h"
#include "proxy/option_value.h"

enum { PORT_PLAIN = 2375, PORT_TLS = 2376, MINUTE = 60000 };

#define FIELD(member) offsetof(struct config, doctor.member)

static int add_string(struct doctor_strings *strings, const char *value, struct error *error) {
    if (*value == '\0')
        return error_set(error, "must not be empty");
    if (strings->count == DOCTOR_MAX_NAMES)
        return error_set(error, "one too many; there is room for %d", DOCTOR_MAX_NAMES);
    char *copy = strdup(value);
    if (copy == NULL)
        return error_set(error, "out of memory");
    strings->list[strings->count++] = copy;
    return 0;
}

static int parse_strings(const struct option *option, const char *value, struct options *options,
                         struct error *error) {
    return add_string(option_field(option, options), value, error);
}

static bool format_strings(const struct option *option, const struct options *options, size_t index,
                           char *text, size_t size) {
    const struct doctor_strings *strings = option_field_const(option, options);
    if (index >= strings->count)
        return false;
    (void)snprintf(text, size, "%s", strings->list[index]);
    return true;
}

static const struct option_kind kind_strings = {true, parse_strings, format_strings};

static int parse_ports(const struct option *option, const char *value, struct options *options,
                       struct error *error) {
    struct doctor_settings *doctor = &options->config.doctor;
    uint64_t number = 0;
    (void)option;
    if (!option_read_number(value, UINT16_MAX, &number) || number == 0)
        return error_set(error, "must be a number from 1 to 65535");
    if (doctor->port_count == DOCTOR_MAX_PORTS)
        return error_set(error, "one too many; there is room for %d", DOCTOR_MAX_PORTS);
    doctor->ports[doctor->port_count++] = (uint16_t)number;
    return 0;
}

static bool format_ports(const struct option *option, const struct options *options, size_t index,
                         char *text, size_t size) {
    const struct doctor_settings *doctor = &options->config.doctor;
    (void)option;
    if (index >= doctor->port_count)
        return false;
    (void)snprintf(text, size, "%u", (unsigned)doctor->ports[index]);
    return true;
}

static const struct option_kind kind_ports = {true, parse_ports, format_ports};

static int parse_probes(const struct option *option, const char *value, struct options *options,
                        struct error *error) {
    struct doctor_settings *doctor = &options->config.doctor;
    (void)option;
    if (doctor->probe_count == DOCTOR_MAX_NAMES)
        return error_set(error, "one too many; there is room for %d", DOCTOR_MAX_NAMES);
    if (address_parse(value, PORT_TLS, &doctor->probes[doctor->probe_count], error) != 0)
        return -1;
    doctor->probe_count++;
    return 0;
}

static bool format_probes(const struct option *option, const struct options *options, size_t index,
                          char *text, size_t size) {
    const struct doctor_settings *doctor = &options->config.doctor;
    (void)option;
    if (index >= doctor->probe_count)
        return false;
    (void)address_format(&doctor->probes[index], text, size);
    return true;
}

static const struct option_kind kind_probes = {true, parse_probes, format_probes};

static int parse_proxy(const struct option *option, const char *value, struct options *options,
                       struct error *error) {
    struct doctor_settings *doctor = &options->config.doctor;
    (void)option;
    if (address_parse(value, 0, &doctor->proxy, error) != 0)
        return -1;
    doctor->has_proxy = true;
    return 0;
}

static bool format_proxy(const struct option *option, const struct options *options, size_t index,
                         char *text, size_t size) {
    const struct doctor_settings *doctor = &options->config.doctor;
    (void)option;
    if (index > 0 || !doctor->has_proxy)
        return false;
    (void)address_format(&doctor->proxy, text, size);
    return true;
}

static const struct option_kind kind_proxy = {false, parse_proxy, format_proxy};

static const struct option table[] = {
    {.heading = "What is known",
     .flag = "--proxy",
     .environment = "DIND_PROXY_DOCTOR_PROXY",
     .argument = "URL",
     .kind = &kind_proxy,
     .field = FIELD(proxy),
     .note = "DOCKER_HOST",
     .help = "The proxy: tcp://host:port or unix:///path. It must answer, and filter."},
    {.flag = "--cert-path",
     .environment = "DIND_PROXY_DOCTOR_CERT_PATH",
     .argument = "DIR",
     .kind = &kind_strings,
     .field = FIELD(certificates),
     .note = "as Docker's client",
     .help =
         "A folder with cert.pem and key.pem to try at every door. Repeatable; takes the place of "
         "the default: DOCKER_CERT_PATH, else DOCKER_CONFIG, else ~/.docker."},

    {.heading = "Where to try",
     .flag = "--engine",
     .environment = "DIND_PROXY_DOCTOR_ENGINE",
     .argument = "HOST",
     .kind = &kind_strings,
     .field = FIELD(engines),
     .note = "dind, docker",
     .help = "A name or an address of the engine. Repeatable. Gateways, this host's own addresses "
             "and its neighbours' first ones, 172.17.0.1, host.docker.internal and unix sockets "
             "are tried in any case."},
    {.flag = "--port",
     .environment = "DIND_PROXY_DOCTOR_PORT",
     .argument = "N",
     .kind = &kind_ports,
     .field = FIELD(ports),
     .note = "2375, 2376, and the proxy's",
     .help = "A port to try at each of them. Repeatable; takes the place of the default."},
    {.flag = "--probe",
     .environment = "DIND_PROXY_DOCTOR_PROBE",
     .argument = "URL",
     .kind = &kind_probes,
     .field = FIELD(probes),
     .note = "none",
     .help = "One more door: tcp://host:port or unix:///path. Repeatable."},

    {.heading = "How",
     .flag = "--timeout",
     .environment = "DIND_PROXY_DOCTOR_TIMEOUT",
     .argument = "TIME",
     .kind = &option_kind_duration,
     .field = FIELD(timeout),
     .fallback = "2s",
     .minimum = 1,
     .maximum = MINUTE,
     .help = "For each attempt at a door; all doors are tried at the same time."},
    {.flag = "--strict",
     .environment = "DIND_PROXY_DOCTOR_STRICT",
     .kind = &option_kind_switch,
     .field = FIELD(strict),
     .fallback = "false",
     .help = "Count a door as open also when it asks for a certificate that is not ours: a "
             "firewall ought to have stopped us."},
};

_Static_assert(sizeof table / sizeof *table <= OPTIONS_LIMIT,
               "struct options has a place for each");

/* As Docker's client chooses. */
static int default_certificates(struct doctor_strings *folders, char *const environment[],
                                struct error *error) {
    static const char *const variables[] = {"DOCKER_CERT_PATH", "DOCKER_CONFIG"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = option_environment(environment, variables[i]);
        if (value != NULL)
            return add_string(folders, value, error);
    }
    const char *home = option_environment(environment, "HOME");
    char path[4096];
    if (home == NULL)
        return 0;
    (void)snprintf(path, sizeof path, "%s/.docker", home);
    return add_string(folders, path, error);
}

static int default_ports(struct doctor_settings *doctor) {
    static const uint16_t usual[] = {PORT_TLS, PORT_PLAIN};
    bool proxys = doctor->proxy.kind == ADDRESS_TCP;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        doctor->ports[doctor->port_count++] = usual[i];
        proxys = proxys && doctor->proxy.port != usual[i];
    }
    if (proxys)
        doctor->ports[doctor->port_count++] = doctor->proxy.port;
    return 0;
}

static int check(struct options *options, char *const environment[], struct error *error) {
    struct doctor_settings *doctor = &options->config.doctor;
    const char *host = option_environment(environment, "DOCKER_HOST");
    if (!doctor->has_proxy) {
        struct error detail = {""};
        if (host == NULL)
            return error_set(error, "neither DOCKER_HOST nor --proxy says where the proxy is");
        if (address_parse(host, 0, &doctor->proxy, &detail) != 0)
            return error_set(error, "DOCKER_HOST=%.160s: %s", host, detail.text);
        doctor->has_proxy = true;
    }
    bool tls = option_environment(environment, "DOCKER_TLS_VERIFY") != NULL;
    if (doctor->proxy.kind == ADDRESS_TCP && doctor->proxy.port == 0)
        doctor->proxy.port = tls ? PORT_TLS : PORT_PLAIN;
    if (doctor->certificates.count == 0 &&
        default_certificates(&doctor->certificates, environment, error) != 0)
        return -1;
    if (doctor->engines.count == 0 && (add_string(&doctor->engines, "dind", error) != 0 ||
                                       add_string(&doctor->engines, "docker", error) != 0))
        return -1;
    return doctor->port_count == 0 ? default_ports(doctor) : 0;
}

static void free_strings(struct doctor_strings *strings) {
    for (size_t i = 0; i < strings->count; i++)
        free(strings->list[i]);
}

void doctor_settings_free(struct doctor_settings *settings) {
    free_strings(&settings->engines);
    free_strings(&settings->certificates);
}

const struct option_set option_set_doctor = {
    .command = "doctor",
    .intro =
        "Run inside of the agent's container: tries to reach an engine by every way that it can\n"
        "think of, with and without the agent's certificate, and names each that is open.\n"
        "\n"
        "  proxy    the filter answers\n"
        "  closed   nobody answers, or there is no such name or file\n"
        "  refuses  TLS answers, and wants another certificate than those that are here\n"
        "  other    something answers that is no engine\n"
        "  OPEN     an engine answers without the filter, or the key of a CA lies here\n"
        "\n"
        "It sees only what it tries: see proxy/doctor.md.\n",
    .statuses =
        "  0   nothing is open\n"
        "  1   something is open\n"
        "  2   could not check: the proxy does not answer or is not known, or wrong usage\n",
    .options = table,
    .count = sizeof table / sizeof *table,
    .check = check,
};
