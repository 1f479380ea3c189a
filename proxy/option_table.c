#include "proxy/option_table.h"

#include <string.h>

#include "filter/near.h"
#include "proxy/log.h"
#include "proxy/option_check.h"
#include "proxy/option_value.h"
#include "proxy/sandbox.h"

static const struct option_choice presets[] = {{"blocklist", FILTER_BLOCKLIST},
                                               {"allowlist", FILTER_ALLOWLIST},
                                               {"read-only", FILTER_READ_ONLY},
                                               {"ci-runner", FILTER_CI_RUNNER},
                                               {NULL, 0}};

static const struct option_choice session_denials[] = {
    {"none", 0},
    {"secrets", FILTER_SESSION_SECRETS},
    {"ssh", FILTER_SESSION_SSH},
    {"auth", FILTER_SESSION_AUTH},
    {"secrets+ssh", FILTER_SESSION_SECRETS | FILTER_SESSION_SSH},
    {"all", FILTER_SESSION_SECRETS | FILTER_SESSION_SSH | FILTER_SESSION_AUTH},
    {NULL, 0}};
static const struct option_choice buildkits[] = {{"inspect", FILTER_BUILDKIT_INSPECT},
                                                 {"deny", FILTER_BUILDKIT_DENY},
                                                 {"opaque", FILTER_BUILDKIT_OPAQUE},
                                                 {NULL, 0}};

static const struct option_choice kernel_modes[] = {
    {"auto", TLS_KERNEL_AUTO}, {"require", TLS_KERNEL_REQUIRE}, {"off", TLS_KERNEL_OFF}, {NULL, 0}};

static const struct option_choice sandbox_modes[] = {
    {"auto", SANDBOX_AUTO}, {"require", SANDBOX_REQUIRE}, {"off", SANDBOX_OFF}, {NULL, 0}};

static const struct option_choice log_formats[] = {{"key-value", CONFIG_LOG_KEY_VALUE},
                                                   {"json", CONFIG_LOG_JSON},
                                                   {"key=value", CONFIG_LOG_KEY_VALUE},
                                                   {"logfmt", CONFIG_LOG_KEY_VALUE},
                                                   {NULL, 0}};

static const struct option_choice log_levels[] = {{"debug", LOG_DEBUG},
                                                  {"info", LOG_INFO},
                                                  {"warning", LOG_WARNING},
                                                  {"error", LOG_ERROR},
                                                  {NULL, 0}};

static const struct option_choice modes[] = {
    {"enforce", CONFIG_ENFORCE}, {"audit", CONFIG_AUDIT}, {"learn", CONFIG_LEARN}, {NULL, 0}};

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, KIB = 1 << 10, MIB = 1 << 20 };

#define FIELD(member) offsetof(struct config, member)

const struct option option_table[] = {
    {.heading = "Listening",
     .flag = "--listen",
     .environment = "DIND_PROXY_LISTEN",
     .argument = "URL",
     .kind = &option_kind_listen,
     .field = FIELD(listeners),
     .fallback = "unix:///run/dind-proxy/docker.sock",
     .help =
         "Where clients connect: unix:///path or tcp://host:port. Repeatable. Parameters "
         "follow as in unix:///path?mode=0660&owner=USER&group=GROUP (names or numbers; mode "
         "0660 unless given) and tcp://host?tls=off. fd://NAME is the socket that systemd passes "
         "under that name, fd:// all that it passes. TLS is on for tcp and fd once --tls-cert, "
         "--tls-key or --tls-client-ca is given, and off for unix; tls=on or tls=off says it "
         "for one listener. The port is 2376 with TLS, else 2375, unless given."},
    {.flag = "--tls-cert",
     .environment = "DIND_PROXY_TLS_CERT",
     .argument = "FILE",
     .kind = &option_kind_file,
     .field = FIELD(server_tls.certificate),
     .help = "The proxy's own certificate, then its chain (PEM)."},
    {.flag = "--tls-key",
     .environment = "DIND_PROXY_TLS_KEY",
     .argument = "FILE",
     .kind = &option_kind_file,
     .field = FIELD(server_tls.key),
     .help = "Its private key (PEM); refused while others can read it."},
    {.flag = "--tls-client-ca",
     .environment = "DIND_PROXY_TLS_CLIENT_CA",
     .argument = "FILE",
     .kind = &option_kind_file,
     .field = FIELD(server_tls.authority),
     .help = "The CA that clients' certificates must come from (PEM). Never the one that the "
             "engine trusts: with that a container could go round the proxy."},
    {.flag = "--insecure-plain-tcp",
     .environment = "DIND_PROXY_INSECURE_PLAIN_TCP",
     .kind = &option_kind_switch,
     .field = FIELD(insecure_plain_tcp),
     .fallback = "false",
     .help = "Allow tcp without TLS on addresses other than loopback: whoever reaches the port "
             "may use it."},

    {.heading = "The engine",
     .flag = "--upstream",
     .environment = "DIND_PROXY_UPSTREAM",
     .argument = "URL",
     .kind = &option_kind_upstream,
     .field = FIELD(upstream),
     .fallback = "unix:///var/run/docker.sock",
     .help = "The engine's address: unix:///path or tcp://host:port. DOCKER_HOST is used when this "
             "is not given."},
    {.flag = "--upstream-tls-ca",
     .environment = "DIND_PROXY_UPSTREAM_TLS_CA",
     .argument = "FILE",
     .kind = &option_kind_file,
     .field = FIELD(upstream_files.authority),
     .help = "The CA that the engine's certificate must come from (PEM). Turns on TLS, as each of "
             "the next two does. When none of the three is given for a tcp engine, and "
             "DOCKER_TLS_VERIFY or DOCKER_CERT_PATH is set, they are ca.pem, cert.pem and key.pem "
             "of DOCKER_CERT_PATH (else of DOCKER_CONFIG, else of ~/.docker)."},
    {.flag = "--upstream-tls-cert",
     .environment = "DIND_PROXY_UPSTREAM_TLS_CERT",
     .argument = "FILE",
     .kind = &option_kind_file,
     .field = FIELD(upstream_files.certificate),
     .help = "The certificate to show to the engine (PEM); needs --upstream-tls-key."},
    {.flag = "--upstream-tls-key",
     .environment = "DIND_PROXY_UPSTREAM_TLS_KEY",
     .argument = "FILE",
     .kind = &option_kind_file,
     .field = FIELD(upstream_files.key),
     .help = "Its private key (PEM); refused while others can read it."},
    {.flag = "--upstream-tls-name",
     .environment = "DIND_PROXY_UPSTREAM_TLS_NAME",
     .argument = "NAME",
     .kind = &option_kind_name,
     .field = FIELD(upstream_name),
     .note = "the host of --upstream",
     .help = "The host name or IP address that the engine's certificate must be valid for."},

    {.heading = "TLS on both hops",
     .flag = "--ktls",
     .environment = "DIND_PROXY_KTLS",
     .argument = "MODE",
     .kind = &option_kind_choice,
     .field = FIELD(kernel_tls),
     .fallback = "auto",
     .choices = kernel_modes,
     .help = "Kernel TLS, so that bulk data never enters user space: auto uses it where the kernel "
             "has it (modprobe tls), require does not start or serve without, off never uses it."},

    {.heading = "Policy",
     .flag = "--policy",
     .environment = "DIND_PROXY_POLICY",
     .argument = "NAME",
     .kind = &option_kind_choice,
     .field = FIELD(filter.preset),
     .fallback = "blocklist",
     .choices = presets,
     .help = "blocklist refuses what breaks out of the engine's container; allowlist lets through "
             "only what CI jobs need; read-only only what reads; ci-runner is the allowlist with "
             "exec and commit."},
    {.flag = "--policy-file",
     .environment = "DIND_PROXY_POLICY_FILE",
     .argument = "FILE",
     .kind = &option_kind_file,
     .field = FIELD(policy_file),
     .help = "A policy of your own, for all clients or by client (JSON; filter/policy.md). Read "
             "again at a reload. Takes the place of the other options here but "
             "--message-prefix."},
    {.flag = "--as",
     .environment = "DIND_PROXY_AS",
     .argument = "NAME",
     .kind = &option_kind_text,
     .field = FIELD(explain_as),
     .note = "everybody else",
     .maximum = 64,
     .help = "With explain: the client of --policy-file whose request it is."},
    {.flag = "--buildkit",
     .environment = "DIND_PROXY_BUILDKIT",
     .argument = "WHAT",
     .kind = &option_kind_choice,
     .field = FIELD(filter.buildkit),
     .fallback = "inspect",
     .choices = buildkits,
     .help =
         "inspect judges the calls in /grpc and what /session offers; deny refuses both; opaque "
         "lets them through unseen, with all that BuildKit can do."},
    {.flag = "--buildkit-session-deny",
     .environment = "DIND_PROXY_BUILDKIT_SESSION_DENY",
     .argument = "WHAT",
     .kind = &option_kind_choice,
     .field = FIELD(filter.session_deny),
     .fallback = "none",
     .choices = session_denials,
     .help = "What a build session may not offer the engine: secrets, ssh (the agent), auth "
             "(registry logins), secrets+ssh, or all of them."},
    {.flag = "--allow-bind",
     .environment = "DIND_PROXY_ALLOW_BIND",
     .argument = "PATH",
     .kind = &option_kind_bind,
     .field = FIELD(filter.allow_binds),
     .note = "none",
     .help = "Let containers bind this folder of the engine's host; '/dir/**' also opens all below "
             "it. Repeatable. Open a tree only where nobody untrusted can write: a symbolic link "
             "planted in it leads anywhere."},
    {.flag = "--allow-unknown-endpoints",
     .environment = "DIND_PROXY_ALLOW_UNKNOWN_ENDPOINTS",
     .kind = &option_kind_switch,
     .field = FIELD(filter.allow_unknown),
     .fallback = "false",
     .help = "Let through calls that change things and that this version does not know."},
    {.flag = "--api-floor",
     .environment = "DIND_PROXY_API_FLOOR",
     .argument = "VERSION",
     .kind = &option_kind_floor,
     .field = FIELD(filter.api_floor_minor),
     .fallback = "1.24",
     .minimum = 24,
     .maximum = 99,
     .help = "The lowest API version that clients may ask for."},
    {.flag = "--mode",
     .environment = "DIND_PROXY_MODE",
     .argument = "MODE",
     .kind = &option_kind_choice,
     .field = FIELD(mode),
     .fallback = "enforce",
     .choices = modes,
     .help = "enforce refuses what the policy refuses. audit lets it pass and tells it in the logs "
             "(verdict would-deny): nothing is protected then. learn does the same, and writes to "
             "--learn-file the smallest policy that what passed needs. What is malformed is "
             "refused in any mode."},
    {.flag = "--learn-file",
     .environment = "DIND_PROXY_LEARN_FILE",
     .argument = "FILE",
     .kind = &option_kind_file,
     .field = FIELD(learn_file),
     .help = "Where --mode learn writes, for --policy-file of a later run. It is written anew, "
             "also where it is there already."},
    {.flag = "--message-prefix",
     .environment = "DIND_PROXY_MESSAGE_PREFIX",
     .argument = "TEXT",
     .kind = &option_kind_text,
     .field = FIELD(message_prefix),
     .fallback = "blocked by jailoc proxy",
     .maximum = 200,
     .help = "What the message of a refusal begins with."},

    {.heading = "Limits",
     .flag = "--workers",
     .environment = "DIND_PROXY_WORKERS",
     .argument = "N",
     .kind = &option_kind_workers,
     .field = FIELD(workers),
     .fallback = "auto",
     .note = "the processors it may run on",
     .minimum = 1,
     .maximum = 1024,
     .help = "Worker threads."},
    {.flag = "--max-connections",
     .environment = "DIND_PROXY_MAX_CONNECTIONS",
     .argument = "N",
     .kind = &option_kind_count,
     .field = FIELD(max_connections),
     .fallback = "1024",
     .minimum = 1,
     .maximum = 1000000,
     .help = "Clients at a time; more wait to be accepted."},
    {.flag = "--max-header-bytes",
     .environment = "DIND_PROXY_MAX_HEADER_BYTES",
     .argument = "SIZE",
     .kind = &option_kind_size,
     .field = FIELD(max_header_bytes),
     .fallback = "64k",
     .minimum = 4 * KIB,
     .maximum = MIB,
     .help = "The longest head of a request, else 431; sizes take a suffix k or m."},
    {.flag = "--max-judged-body",
     .environment = "DIND_PROXY_MAX_JUDGED_BODY",
     .argument = "SIZE",
     .kind = &option_kind_size,
     .field = FIELD(max_judged_body),
     .fallback = "1m",
     .minimum = 4 * KIB,
     .maximum = 64 * MIB,
     .help = "The longest body that the policy must read, else 413. Build contexts and other "
             "streams have no limit."},

    {.heading = "Times (with a unit: ms, s, m or h)",
     .flag = "--handshake-timeout",
     .environment = "DIND_PROXY_HANDSHAKE_TIMEOUT",
     .argument = "TIME",
     .kind = &option_kind_duration,
     .field = FIELD(handshake_timeout),
     .fallback = "10s",
     .minimum = 1,
     .maximum = HOUR,
     .help = "For a client's TLS handshake."},
    {.flag = "--head-timeout",
     .environment = "DIND_PROXY_HEAD_TIMEOUT",
     .argument = "TIME",
     .kind = &option_kind_duration,
     .field = FIELD(head_timeout),
     .fallback = "30s",
     .minimum = 1,
     .maximum = HOUR,
     .help = "For a request's head once begun, and for a body that the policy must read."},
    {.flag = "--idle-timeout",
     .environment = "DIND_PROXY_IDLE_TIMEOUT",
     .argument = "TIME",
     .kind = &option_kind_duration,
     .field = FIELD(idle_timeout),
     .fallback = "15m",
     .minimum = 1,
     .maximum = 24 * HOUR,
     .help = "Between the requests of one connection. No timer cuts a stream that has begun."},
    {.flag = "--connect-timeout",
     .environment = "DIND_PROXY_CONNECT_TIMEOUT",
     .argument = "TIME",
     .kind = &option_kind_duration,
     .field = FIELD(connect_timeout),
     .fallback = "10s",
     .minimum = 1,
     .maximum = HOUR,
     .help = "To connect to the engine, its TLS handshake included."},
    {.flag = "--drain-timeout",
     .environment = "DIND_PROXY_DRAIN_TIMEOUT",
     .argument = "TIME",
     .kind = &option_kind_duration,
     .field = FIELD(drain_timeout),
     .fallback = "10s",
     .minimum = 0,
     .maximum = 24 * HOUR,
     .help = "How long running streams may go on after SIGTERM."},
    {.flag = "--tcp-user-timeout",
     .environment = "DIND_PROXY_TCP_USER_TIMEOUT",
     .argument = "TIME",
     .kind = &option_kind_duration,
     .field = FIELD(tcp_user_timeout),
     .fallback = "2m",
     .minimum = 0,
     .maximum = 24 * HOUR,
     .help = "How long sent bytes may stay unacknowledged before the peer counts as gone "
             "(TCP_USER_TIMEOUT); 0 leaves it to the kernel."},

    {.heading = "Confinement",
     .flag = "--sandbox",
     .environment = "DIND_PROXY_SANDBOX",
     .argument = "MODE",
     .kind = &option_kind_choice,
     .field = FIELD(sandbox),
     .fallback = "auto",
     .choices = sandbox_modes,
     .help = "What the running proxy gives up for good once it has started: capabilities, core "
             "dumps, files and ports (Landlock) and system calls (seccomp) that it does not need. "
             "auto takes what the kernel has, require does not start without all of it, off "
             "leaves everything."},

    {.heading = "Logging",
     .flag = "--log-format",
     .environment = "DIND_PROXY_LOG_FORMAT",
     .argument = "FORMAT",
     .kind = &option_kind_choice,
     .field = FIELD(log_format),
     .fallback = "key-value",
     .choices = log_formats,
     .help = "key-value or json, one line a request on standard error."},
    {.flag = "--log-level",
     .environment = "DIND_PROXY_LOG_LEVEL",
     .argument = "LEVEL",
     .kind = &option_kind_choice,
     .field = FIELD(log_level),
     .fallback = "info",
     .choices = log_levels,
     .help = "The least that is logged: debug, info, warning (refusals) or error."},

    {.flag = "--audit-log",
     .environment = "DIND_PROXY_AUDIT_LOG",
     .argument = "WHERE",
     .kind = &option_kind_file,
     .field = FIELD(audit_log),
     .note = "none",
     .help =
         "Write an audit log, JSON lines (proxy/audit.md): a file, to which is appended and "
         "which is opened anew at a reload, fd:N for a descriptor that was passed on, stderr or "
         "stdout."},

    {.heading = "Metrics",
     .flag = "--metrics",
     .environment = "DIND_PROXY_METRICS",
     .argument = "URL",
     .kind = &option_kind_metrics,
     .field = FIELD(metrics),
     .note = "none",
     .help = "Serve GET /metrics for Prometheus, by plain HTTP, at unix:///path (with mode, owner "
             "and group as for --listen) or tcp://127.0.0.1:PORT. The command status asks there."},
    {.flag = "--metrics-beyond-loopback",
     .environment = "DIND_PROXY_METRICS_BEYOND_LOOPBACK",
     .kind = &option_kind_switch,
     .field = FIELD(metrics_beyond_loopback),
     .fallback = "false",
     .help = "Allow --metrics on an address other than loopback: whoever reaches the port may "
             "read them."},

    {.heading = "Health check",
     .flag = "--health-cert",
     .environment = "DIND_PROXY_HEALTH_CERT",
     .argument = "FILE",
     .kind = &option_kind_file,
     .field = FIELD(health_certificate),
     .help = "A client certificate with which --healthcheck can ask through a TLS listener (PEM)."},
    {.flag = "--health-key",
     .environment = "DIND_PROXY_HEALTH_KEY",
     .argument = "FILE",
     .kind = &option_kind_file,
     .field = FIELD(health_key),
     .help = "Its private key (PEM)."},
    {.flag = "--health-ca",
     .environment = "DIND_PROXY_HEALTH_CA",
     .argument = "FILE",
     .kind = &option_kind_file,
     .field = FIELD(health_authority),
     .note = "--tls-client-ca",
     .help = "The CA that the proxy's own certificate must come from then (PEM). The name in it is "
             "not checked."},
    {.flag = "--health-timeout",
     .environment = "DIND_PROXY_HEALTH_TIMEOUT",
     .argument = "TIME",
     .kind = &option_kind_duration,
     .field = FIELD(health_timeout),
     .fallback = "5s",
     .minimum = 1,
     .maximum = HOUR,
     .help = "For the whole health check."},
};

const size_t option_count = sizeof option_table / sizeof *option_table;

const struct option_set option_set_proxy = {
    .options = option_table,
    .count = sizeof option_table / sizeof *option_table,
    .check = option_check,
};

_Static_assert(sizeof option_table / sizeof *option_table <= OPTIONS_LIMIT,
               "struct options has a place for each");

const struct option_command option_commands[] = {
    {"explain", "METHOD TARGET [BODY-FILE]", COMMAND_EXPLAIN, 2, 3,
     "Print what the policy says of a request and why, without any network. The body (- is "
     "standard input) counts as application/json.",
     NULL},
    {"certs", "[OPTION]...", COMMAND_CERTS, 0, 0,
     "Make and renew the certificates of both hops. Has options of its own: certs --help.",
     &option_set_certs},
    {"doctor", "[OPTION]...", COMMAND_DOCTOR, 0, 0,
     "Inside of a client's container: look for ways round the proxy. Has options of its own: "
     "doctor "
     "--help.",
     &option_set_doctor},
    {"import-env", "[OPTION]... [ENV-FILE]", COMMAND_IMPORT_ENV, 0, 1,
     "Print the policy file that equals the environment switches of other socket proxies "
     "(CONTAINERS, POST, ...). Has options of its own: import-env --help.",
     &option_set_import_env},
    {"status", NULL, COMMAND_STATUS, 0, 0,
     "Ask the proxy that runs with these options for its metrics, at --metrics, and print them for "
     "people.",
     NULL},
    {"endpoints", NULL, COMMAND_ENDPOINTS, 0, 0,
     "Print what every preset makes of every call of the engine's API, and the keys of a policy "
     "file that change it, as a table in Markdown.",
     NULL},
    {"--check-config", NULL, COMMAND_CHECK_CONFIG, 0, 0,
     "Check everything, files and certificates too, print the options in effect, and end.", NULL},
    {"--healthcheck", NULL, COMMAND_HEALTHCHECK, 0, 0,
     "Ask the proxy that runs with these options for GET /_ping, and end. Takes the first "
     "unix listener, else the first plain tcp one, else one with TLS. Over TLS without "
     "--health-cert it counts as healthy that the proxy begins a TLS handshake.",
     NULL},
    {"--version", NULL, COMMAND_VERSION, 0, 0, "Print the versions of it and its libraries.", NULL},
    {"--help", NULL, COMMAND_HELP, 0, 0, "Print this.", NULL},
};

const size_t option_command_count = sizeof option_commands / sizeof *option_commands;

const char *option_suggest(const struct option_set *set, const char *text) {
    struct near near = near_start(text + strspn(text, "-"));
    for (size_t i = 0; i < set->count; i++)
        near_offer_as(&near, set->options[i].flag, set->options[i].flag + 2);
    for (size_t i = 0; i < option_command_count; i++) {
        const char *name = option_commands[i].name;
        near_offer_as(&near, name, name + strspn(name, "-"));
    }
    return near.best;
}
