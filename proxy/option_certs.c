/* The options of `dind-proxy certs`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/option_check.h"
#include "proxy/option_table.h"
#include "proxy/option_value.h"
#include "tls/issue.h"

#define FIELD(member) offsetof(struct config, certs.member)

_Static_assert(sizeof(enum certs_layout) == sizeof(int) &&
                   sizeof(enum certs_engine) == sizeof(int) &&
                   sizeof(enum certs_renewal) == sizeof(int),
               "choices are stored as int");

/* Alternative names */

static int add_name(struct certs_names *names, const char *value, struct error *error) {
    if (names->count == CERTS_MAX_NAMES)
        return error_set(error, "one too many; there is room for %d", CERTS_MAX_NAMES);
    struct tls_alt_name *name = &names->list[names->count];
    if (!tls_alt_name_read(value, name))
        return error_set(error, "must be DNS:name, IP:address, or a bare name or address");
    for (size_t i = 0; i < names->count; i++)
        if (tls_alt_name_equal(name, &names->list[i]))
            return 0;
    names->count++;
    return 0;
}

static int parse_names(const struct option *option, const char *value, struct options *options,
                       struct error *error) {
    return add_name(option_field(option, options), value, error);
}

static bool format_names(const struct option *option, const struct options *options, size_t index,
                         char *text, size_t size) {
    const struct certs_names *names = option_field_const(option, options);
    if (index >= names->count)
        return false;
    (void)tls_alt_name_format(&names->list[index], text, size);
    return true;
}

static const struct option_kind kind_names = {true, parse_names, format_names};

/* Owners, by number: a container that makes certificates knows no user names of others. */

static int parse_owner(const struct option *option, const char *value, struct options *options,
                       struct error *error) {
    struct certs_owner *owner = option_field(option, options);
    char user[16];
    uint64_t number = 0;
    size_t length = strcspn(value, ":");
    *owner = (struct certs_owner){(uid_t)-1, (gid_t)-1};
    if (*value == '\0') /* the default: as it is */
        return 0;
    if (length < sizeof user) {
        memcpy(user, value, length);
        user[length] = '\0';
        /* The highest number stands for "none" (chown(2)). */
        if (option_read_number(user, UINT32_MAX - 1, &number)) {
            owner->user = (uid_t)number;
            if (value[length] == '\0')
                return 0;
            if (option_read_number(value + length + 1, UINT32_MAX - 1, &number)) {
                owner->group = (gid_t)number;
                return 0;
            }
        }
    }
    return error_set(error, "must be UID or UID:GID, in numbers");
}

static bool format_owner(const struct option *option, const struct options *options, size_t index,
                         char *text, size_t size) {
    const struct certs_owner *owner = option_field_const(option, options);
    if (index > 0 || owner->user == (uid_t)-1)
        return false;
    if (owner->group == (gid_t)-1)
        (void)snprintf(text, size, "%u", (unsigned)owner->user);
    else
        (void)snprintf(text, size, "%u:%u", (unsigned)owner->user, (unsigned)owner->group);
    return true;
}

static const struct option_kind kind_owner = {false, parse_owner, format_owner};

static const struct option_choice layouts[] = {
    {"split", CERTS_SPLIT}, {"shared", CERTS_SHARED}, {NULL, 0}};

static const struct option_choice engines[] = {{"make", CERTS_ENGINE_MAKE},
                                               {"import", CERTS_ENGINE_IMPORT},
                                               {"none", CERTS_ENGINE_NONE},
                                               {NULL, 0}};

static const struct option_choice renewals[] = {
    {"due", CERTS_RENEW_DUE}, {"certs", CERTS_RENEW_CERTS}, {"all", CERTS_RENEW_ALL}, {NULL, 0}};

static const struct option table[] = {
    {.heading = "What to make",
     .flag = "--layout",
     .environment = "DIND_PROXY_CERTS_LAYOUT",
     .argument = "LAYOUT",
     .kind = &option_kind_choice,
     .field = FIELD(layout),
     .fallback = "split",
     .choices = layouts,
     .help = "split: the agent's certificate comes from a CA that the engine does not trust. "
             "shared: everything comes from dind's CA; a container that the agent starts can then "
             "go round the proxy with the agent's certificate."},
    {.flag = "--engine-certs",
     .environment = "DIND_PROXY_CERTS_ENGINE_CERTS",
     .argument = "WHOSE",
     .kind = &option_kind_choice,
     .field = FIELD(engine),
     .fallback = "make",
     .choices = engines,
     .help = "make: dind's CA and certificates too. import: dind makes its own; copy what the "
             "proxy needs of them. none: the proxy reaches the engine without TLS."},
    {.flag = "--proxy-san",
     .environment = "DIND_PROXY_CERTS_PROXY_SAN",
     .argument = "NAME",
     .kind = &kind_names,
     .field = FIELD(proxy_names),
     .note = "DNS:dind-proxy, DNS:localhost",
     .help = "A name by which clients reach the proxy: DNS:name, IP:address, or bare. Repeatable; "
             "takes the place of the default."},
    {.flag = "--dind-san",
     .environment = "DIND_PROXY_CERTS_DIND_SAN",
     .argument = "NAME",
     .kind = &kind_names,
     .field = FIELD(dind_names),
     .note = "as below",
     .help =
         "A name by which the engine is reached. Repeatable; takes the place of the default, which "
         "is DNS:dind, DNS:docker, DNS:localhost, IP:127.0.0.1 and IP:::1. Those in "
         "DOCKER_TLS_SAN are added."},
    {.flag = "--agent-name",
     .environment = "DIND_PROXY_CERTS_AGENT_NAME",
     .argument = "NAME",
     .kind = &option_kind_text,
     .field = FIELD(agent_name),
     .fallback = "agent",
     .maximum = TLS_ISSUE_NAME_MAX,
     .help = "The common name in the agent's certificate, which the proxy's log shows."},

    {.heading = "Where",
     .flag = "--dir",
     .environment = "DIND_PROXY_CERTS_DIR",
     .argument = "DIR",
     .kind = &option_kind_file,
     .field = FIELD(folder),
     .fallback = "/certs",
     .help = "The folder above all others. It need not be a volume itself: those below may be."},
    {.flag = "--agent-ca-dir",
     .environment = "DIND_PROXY_CERTS_AGENT_CA_DIR",
     .argument = "DIR",
     .kind = &option_kind_file,
     .field = FIELD(agent_authority_folder),
     .note = "DIR/agent-ca",
     .help = "The CA of the agent's hop, with its key. Mount it nowhere else."},
    {.flag = "--agent-dir",
     .environment = "DIND_PROXY_CERTS_AGENT_DIR",
     .argument = "DIR",
     .kind = &option_kind_file,
     .field = FIELD(agent_folder),
     .note = "DIR/agent",
     .help = "For the agent's container, as DOCKER_CERT_PATH."},
    {.flag = "--proxy-dir",
     .environment = "DIND_PROXY_CERTS_PROXY_DIR",
     .argument = "DIR",
     .kind = &option_kind_file,
     .field = FIELD(proxy_folder),
     .note = "DIR/proxy",
     .help = "For the proxy: in server/ what it shows to the agent, in client/ what it shows to "
             "the engine."},
    {.flag = "--dind-dir",
     .environment = "DIND_PROXY_CERTS_DIND_DIR",
     .argument = "DIR",
     .kind = &option_kind_file,
     .field = FIELD(dind_folder),
     .note = "DIR/dind",
     .help = "As dind's own DOCKER_TLS_CERTDIR: ca/, server/ and client/. dind's container needs "
             "server/ alone, and then makes none itself."},

    {.heading = "How long",
     .flag = "--days",
     .environment = "DIND_PROXY_CERTS_DAYS",
     .argument = "N",
     .kind = &option_kind_count,
     .field = FIELD(days),
     .fallback = "825",
     .minimum = 1,
     .maximum = CERTS_MAX_DAYS,
     .help = "The life of new certificates; never longer than their CA's."},
    {.flag = "--ca-days",
     .environment = "DIND_PROXY_CERTS_CA_DAYS",
     .argument = "N",
     .kind = &option_kind_count,
     .field = FIELD(authority_days),
     .fallback = "3650",
     .minimum = 1,
     .maximum = CERTS_MAX_DAYS,
     .help = "The life of new CA certificates."},
    {.flag = "--renew",
     .environment = "DIND_PROXY_CERTS_RENEW",
     .argument = "WHAT",
     .kind = &option_kind_choice,
     .field = FIELD(renewal),
     .fallback = "due",
     .choices = renewals,
     .help = "due: what has less than a third of its life left, with the same key. certs: all but "
             "the CAs, with new keys. all: the CAs too; what they signed before is worth nothing "
             "once the services have been restarted."},

    {.heading = "Who may read the keys (numbers: UID or UID:GID)",
     .flag = "--agent-owner",
     .environment = "DIND_PROXY_CERTS_AGENT_OWNER",
     .argument = "OWNER",
     .kind = &kind_owner,
     .field = FIELD(agent_owner),
     .fallback = "",
     .note = "as it is, else the caller",
     .help = "Owner of the files in --agent-dir."},
    {.flag = "--proxy-owner",
     .environment = "DIND_PROXY_CERTS_PROXY_OWNER",
     .argument = "OWNER",
     .kind = &kind_owner,
     .field = FIELD(proxy_owner),
     .fallback = "",
     .note = "as it is, else the caller",
     .help = "Owner of the files in --proxy-dir."},
    {.flag = "--dind-owner",
     .environment = "DIND_PROXY_CERTS_DIND_OWNER",
     .argument = "OWNER",
     .kind = &kind_owner,
     .field = FIELD(dind_owner),
     .fallback = "",
     .note = "as it is, else the caller",
     .help = "Owner of the files in server/ and client/ of --dind-dir."},

    {.heading = "Looking",
     .flag = "--check",
     .environment = "DIND_PROXY_CERTS_CHECK",
     .kind = &option_kind_switch,
     .field = FIELD(check),
     .fallback = "false",
     .help = "Write nothing; say of each file what a run would do."},
};

_Static_assert(sizeof table / sizeof *table <= OPTIONS_LIMIT,
               "struct options has a place for each");

static int add_names(struct certs_names *names, const char *const *defaults, struct error *error) {
    for (; *defaults != NULL; defaults++)
        if (add_name(names, *defaults, error) != 0)
            return -1;
    return 0;
}

/* DOCKER_TLS_SAN, as docker:dind takes it: "DNS:dind,DNS:dind-proxy". */
static int add_docker_names(struct certs_names *names, const char *list, struct error *error) {
    char *copy = strdup(list), *rest = copy, *value;
    int result = copy == NULL ? error_set(error, "out of memory") : 0;
    while (result == 0 && (value = strsep(&rest, ", ")) != NULL) {
        struct error detail = {""};
        if (*value != '\0' && add_name(names, value, &detail) != 0)
            result = error_set(error, "DOCKER_TLS_SAN=%.160s: %s", value, detail.text);
    }
    free(copy);
    return result;
}

static int check(struct options *options, char *const environment[], struct error *error) {
    static const char *const proxy_defaults[] = {"DNS:dind-proxy", "DNS:localhost", NULL};
    static const char *const dind_defaults[] = {"DNS:dind",     "DNS:docker", "DNS:localhost",
                                                "IP:127.0.0.1", "IP:::1",     NULL};
    struct certs_settings *certs = &options->config.certs;
    if (certs->layout == CERTS_SHARED && certs->engine == CERTS_ENGINE_NONE)
        return error_set(error,
                         "--layout shared shares dind's CA, and --engine-certs none says that "
                         "there is none");
    if (certs->check && certs->renewal != CERTS_RENEW_DUE)
        return error_set(error, "--check writes nothing, and --renew asks for it");
    if (certs->proxy_names.count == 0 && add_names(&certs->proxy_names, proxy_defaults, error) != 0)
        return -1;
    if (certs->dind_names.count == 0 && add_names(&certs->dind_names, dind_defaults, error) != 0)
        return -1;
    const char *list = option_environment(environment, "DOCKER_TLS_SAN");
    return list != NULL ? add_docker_names(&certs->dind_names, list, error) : 0;
}

void certs_settings_free(struct certs_settings *settings) {
    free(settings->folder);
    free(settings->agent_authority_folder);
    free(settings->agent_folder);
    free(settings->proxy_folder);
    free(settings->dind_folder);
    free(settings->agent_name);
}

const struct option_set option_set_certs = {
    .command = "certs",
    .intro =
        "Makes the certificates of both hops, renews those that are due, and leaves the rest\n"
        "alone. Keys are ECDSA P-256. Reload or restart whoever uses a changed file.\n"
        "\n"
        "  DIR/agent-ca/      cert.pem key.pem         the agent's CA (split)\n"
        "  DIR/agent/         ca.pem cert.pem key.pem  for the agent's container\n"
        "  DIR/proxy/server/  ca.pem cert.pem key.pem  --tls-client-ca, --tls-cert, --tls-key\n"
        "  DIR/proxy/client/  ca.pem cert.pem key.pem  --upstream-tls-ca, -cert, -key\n"
        "  DIR/dind/ca/       cert.pem key.pem         dind's CA (make)\n"
        "  DIR/dind/server/   ca.pem cert.pem key.pem  for dind's container\n"
        "  DIR/dind/client/   ca.pem cert.pem key.pem  for whoever administers dind\n",
    .statuses = "  0   everything is there and good\n"
                "  1   failed; with --check: something is missing, due or damaged\n"
                "  2   the command line or the environment is wrong\n",
    .options = table,
    .count = sizeof table / sizeof *table,
    .check = check,
};
