#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/log.h"
#include "proxy/option_table.h"
#include "proxy/option_value.h"
#include "proxy/options.h"

enum { WORDS = 32 };

static struct options options;
static struct error error;

/* The words of one line, split at spaces; "" gives none. */
static size_t split(const char *line, char *copy, size_t size, char *words[], size_t first) {
    assert_true(strlen(line) < size);
    memcpy(copy, line, strlen(line) + 1);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(first < WORDS - 1);
        words[first++] = word;
    }
    words[first] = NULL;
    return first;
}

/* Parses a command line (without the program's name) in an environment, both split at spaces. */
static int parse(const char *line, const char *environment) {
    static char words_copy[4096], environment_copy[4096], program[] = "/usr/bin/dind-proxy";
    char *words[WORDS] = {program}, *variables[WORDS];
    size_t count = split(line, words_copy, sizeof words_copy, words, 1);
    (void)split(environment, environment_copy, sizeof environment_copy, variables, 0);
    options_free(&options);
    error.text[0] = '\0';
    return options_parse((int)count, words, variables, &options, &error);
}

static void takes(const char *line, const char *environment) {
    if (parse(line, environment) != 0)
        fail_msg("[%s] [%s]: %s", line, environment, error.text);
}

/* The error must contain `part`. */
static void refuses(const char *line, const char *environment, const char *part) {
    if (parse(line, environment) == 0)
        fail_msg("accepted: [%s] [%s]", line, environment);
    if (strstr(error.text, part) == NULL)
        fail_msg("[%s] [%s]: \"%s\" lacks \"%s\"", line, environment, error.text, part);
}

static int teardown(void **state) {
    (void)state;
    options_free(&options);
    return 0;
}

static void test_defaults(void **state) {
    const struct config *config = &options.config;
    cpu_set_t set;
    (void)state;
    takes("", "");
    assert_int_equal(options.command, COMMAND_RUN);
    assert_string_equal(options.program, "dind-proxy");
    assert_int_equal(config->listener_count, 1);
    assert_string_equal(config->listeners[0].address.path, "/run/dind-proxy/docker.sock");
    assert_int_equal(config->listeners[0].mode, 0660);
    assert_true(config->listeners[0].owner == (uid_t)-1);
    assert_true(config->listeners[0].group == (gid_t)-1);
    assert_false(config->listeners[0].tls);
    assert_false(config->insecure_plain_tcp);
    assert_string_equal(config->upstream.path, "/var/run/docker.sock");
    assert_false(config->upstream_tls);
    assert_null(config->upstream_name);
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    assert_int_equal(config->workers, CPU_COUNT(&set));
    assert_int_equal(config->max_connections, 1024);
    assert_int_equal(config->max_header_bytes, 65536);
    assert_int_equal(config->max_judged_body, 1048576);
    assert_int_equal(config->handshake_timeout, 10000);
    assert_int_equal(config->head_timeout, 30000);
    assert_int_equal(config->idle_timeout, 900000);
    assert_int_equal(config->connect_timeout, 10000);
    assert_int_equal(config->drain_timeout, 10000);
    assert_int_equal(config->tcp_user_timeout, 120000);
    assert_int_equal(config->health_timeout, 5000);
    assert_int_equal(config->filter.preset, FILTER_BLOCKLIST);
    assert_int_equal(config->filter.buildkit, FILTER_BUILDKIT_INSPECT);
    assert_int_equal(config->filter.session_deny, 0);
    assert_false(config->filter.allow_unknown);
    assert_int_equal(config->filter.api_floor_minor, 24);
    assert_int_equal(config->filter.allow_bind_count, 0);
    assert_string_equal(config->message_prefix, "blocked by jailoc proxy");
    assert_int_equal(config->log_format, CONFIG_LOG_KEY_VALUE);
    assert_int_equal(config->log_level, LOG_INFO);
}

static void test_every_option(void **state) {
    const struct config *config = &options.config;
    (void)state;
    takes("--listen tcp://[::1]:7 --tls-cert=c --tls-key k --tls-client-ca a --insecure-plain-tcp "
          "--upstream tcp://dind --upstream-tls-ca ua --upstream-tls-cert uc "
          "--upstream-tls-key uk --upstream-tls-name un",
          "");
    assert_true(config->listeners[0].tls);
    assert_int_equal(config->listeners[0].address.port, 7);
    assert_string_equal(config->server_tls.certificate, "c");
    assert_string_equal(config->server_tls.key, "k");
    assert_string_equal(config->server_tls.authority, "a");
    assert_true(config->insecure_plain_tcp);
    assert_true(config->upstream_tls);
    assert_int_equal(config->upstream.port, 2376);
    assert_string_equal(config->upstream_files.authority, "ua");
    assert_string_equal(config->upstream_files.certificate, "uc");
    assert_string_equal(config->upstream_files.key, "uk");
    assert_string_equal(config->upstream_name, "un");

    takes("--policy allowlist --buildkit opaque --buildkit-session-deny secrets+ssh "
          "--allow-bind /a --allow-bind=/b,c/** "
          "--allow-unknown-endpoints --api-floor 1.40 --message-prefix=no --workers 3 "
          "--max-connections 4 --max-header-bytes 8k --max-judged-body 2M",
          "");
    assert_int_equal(config->filter.preset, FILTER_ALLOWLIST);
    assert_int_equal(config->filter.buildkit, FILTER_BUILDKIT_OPAQUE);
    assert_int_equal(config->filter.session_deny, FILTER_SESSION_SECRETS | FILTER_SESSION_SSH);
    assert_int_equal(config->filter.allow_bind_count, 2);
    assert_string_equal(config->filter.allow_binds[0], "/a");
    assert_string_equal(config->filter.allow_binds[1], "/b,c/**");
    assert_true(config->filter.allow_unknown);
    assert_int_equal(config->filter.api_floor_minor, 40);
    assert_string_equal(config->message_prefix, "no");
    assert_int_equal(config->workers, 3);
    assert_int_equal(config->max_connections, 4);
    assert_int_equal(config->max_header_bytes, 8192);
    assert_int_equal(config->max_judged_body, 2097152);

    takes("--handshake-timeout 1ms --head-timeout 2s --idle-timeout 3m --connect-timeout 1h "
          "--drain-timeout 0 --tcp-user-timeout 0s --log-format json --log-level debug "
          "--health-cert hc --health-key hk --health-ca ha --health-timeout 7s",
          "");
    assert_int_equal(config->handshake_timeout, 1);
    assert_int_equal(config->head_timeout, 2000);
    assert_int_equal(config->idle_timeout, 180000);
    assert_int_equal(config->connect_timeout, 3600000);
    assert_int_equal(config->drain_timeout, 0);
    assert_int_equal(config->tcp_user_timeout, 0);
    assert_int_equal(config->log_format, CONFIG_LOG_JSON);
    assert_int_equal(config->log_level, LOG_DEBUG);
    assert_string_equal(config->health_certificate, "hc");
    assert_string_equal(config->health_key, "hk");
    assert_string_equal(config->health_authority, "ha");
    assert_int_equal(config->health_timeout, 7000);
}

/* Row by row: a variable's name follows from the option's, and both ways in mean the same. */
static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        char name[64] = "DIND_PROXY_";
        size_t used = strlen(name);
        assert_memory_equal(option->flag, "--", 2);
        for (const char *c = option->flag + 2; *c != '\0'; c++)
            name[used++] = (char)(*c == '-' ? '_' : *c - 'a' + 'A');
        name[used] = '\0';
        assert_string_equal(option->environment, name);
        assert_true(strlen(option->help) > 0);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(option->flag, option_table[j].flag);
            assert_int_not_equal(option->field, option_table[j].field);
        }
    }
}

static void test_precedence(void **state) {
    (void)state;
    takes("", "DIND_PROXY_WORKERS=5");
    assert_int_equal(options.config.workers, 5);
    assert_string_equal(options_name(&options, offsetof(struct config, workers)),
                        "DIND_PROXY_WORKERS");
    takes("--workers 6", "DIND_PROXY_WORKERS=5");
    assert_int_equal(options.config.workers, 6);
    assert_string_equal(options_name(&options, offsetof(struct config, workers)), "--workers");
    takes("--workers 6 --workers=7", "");
    assert_int_equal(options.config.workers, 7);
    takes("", "DIND_PROXY_MAX_CONNECTIONS= DIND_PROXY_WORKERSX=9");
    assert_int_equal(options.config.max_connections, 1024);
    takes("--insecure-plain-tcp=false", "DIND_PROXY_INSECURE_PLAIN_TCP=1");
    assert_false(options.config.insecure_plain_tcp);
    takes("", "DIND_PROXY_INSECURE_PLAIN_TCP=0 DIND_PROXY_ALLOW_UNKNOWN_ENDPOINTS=yes");
    assert_false(options.config.insecure_plain_tcp);
    assert_true(options.config.filter.allow_unknown);
    refuses("", "DIND_PROXY_INSECURE_PLAIN_TCP=maybe", "DIND_PROXY_INSECURE_PLAIN_TCP=maybe: ");
}

static void test_lists(void **state) {
    (void)state;
    takes("", "DIND_PROXY_LISTEN=unix:///a,unix:///b?mode=0600, DIND_PROXY_ALLOW_BIND=/x,/y/**");
    assert_int_equal(options.config.listener_count, 2);
    assert_string_equal(options.config.listeners[1].address.path, "/b");
    assert_int_equal(options.config.listeners[1].mode, 0600);
    assert_int_equal(options.config.filter.allow_bind_count, 2);
    /* The command line replaces the list, it does not add to it. */
    takes("--listen unix:///c", "DIND_PROXY_LISTEN=unix:///a,unix:///b");
    assert_int_equal(options.config.listener_count, 1);
    assert_string_equal(options.config.listeners[0].address.path, "/c");
    refuses("", "DIND_PROXY_LISTEN=,", "names no address");
    refuses("", "DIND_PROXY_LISTEN=unix:///a,nonsense", "DIND_PROXY_LISTEN=nonsense: ");
    refuses("--listen unix:///a --listen unix:///a", "", "given twice");
}

static void test_listener_parameters(void **state) {
    const struct config_listener *listener = options.config.listeners;
    (void)state;
    takes("--listen unix:///s?mode=600&owner=root&group=root", "");
    assert_int_equal(listener->mode, 0600);
    assert_int_equal(listener->owner, 0);
    assert_int_equal(listener->group, 0);
    takes("--listen unix:///s?owner=12&group=4294967294", "");
    assert_int_equal(listener->owner, 12);
    assert_true(listener->group == 4294967294U);

    refuses("--listen unix:///s?owner=4294967295", "", "there is no user");
    refuses("--listen unix:///s?owner=no-such-user-here", "", "there is no user");
    refuses("--listen unix:///s?group=", "", "there is no group");
    refuses("--listen unix:///s?mode=888", "", "octal");
    refuses("--listen unix:///s?mode=1777", "", "0000 to 0777");
    refuses("--listen unix:///s?mode=", "", "octal");
    refuses("--listen unix:///s?mode", "", "needs a value");
    refuses("--listen unix:///s?", "", "unknown parameter");
    refuses("--listen unix:///s?tls=off&", "", "unknown parameter");
    refuses("--listen unix:///s?colour=red", "",
            "--listen unix:///s?colour=red: unknown parameter");
    refuses("--listen unix:///s?tls=maybe", "", "on or off");
    refuses("--listen tcp://127.0.0.1?mode=0600", "", "unix sockets only");
}

static void test_listener_tls(void **state) {
    static const char files[] = "--tls-cert c --tls-key k --tls-client-ca a";
    const struct config_listener *listeners = options.config.listeners;
    char line[300];
    (void)state;
    (void)snprintf(line, sizeof line,
                   "%s --listen tcp://a --listen tcp://b?tls=off --listen unix:///c "
                   "--listen unix:///d?tls=on --listen tcp://e:9?tls=on",
                   files);
    takes(line, "");
    assert_true(listeners[0].tls);
    assert_int_equal(listeners[0].address.port, 2376);
    assert_false(listeners[1].tls);
    assert_int_equal(listeners[1].address.port, 2375);
    assert_false(listeners[2].tls);
    assert_true(listeners[3].tls);
    assert_true(listeners[4].tls);
    assert_int_equal(listeners[4].address.port, 9);

    takes("--listen tcp://127.0.0.1", "");
    assert_false(listeners[0].tls);
    refuses("--listen tcp://a?tls=on", "", "--tls-cert");
    refuses("--listen tcp://a --tls-cert c --tls-key k", "", "--tls-client-ca");
    /* A forgotten certificate must not turn a listener into a plain one. */
    refuses("--listen tcp://a --tls-client-ca k", "", "--tls-cert");
    refuses("--listen tcp://a --tls-cert c --tls-client-ca k", "", "--tls-key");
}

static void test_upstream(void **state) {
    const struct config *config = &options.config;
    (void)state;
    takes("--upstream tcp://dind", "");
    assert_false(config->upstream_tls);
    assert_int_equal(config->upstream.port, 2375);
    takes("--upstream tcp://dind --upstream-tls-ca ca", "");
    assert_true(config->upstream_tls);
    refuses("--upstream tcp://dind --upstream-tls-cert c --upstream-tls-key k", "",
            "--upstream-tls-ca");
    refuses("--upstream tcp://dind --upstream-tls-ca a --upstream-tls-cert c", "",
            "--upstream-tls-key");
    refuses("--upstream tcp://dind --upstream-tls-ca a --upstream-tls-key c", "",
            "--upstream-tls-cert");
    refuses("--upstream tcp://dind --upstream-tls-name n", "", "--upstream-tls-ca");
    refuses("--upstream unix:///s --upstream-tls-ca a", "", "unix socket");
    refuses("--upstream ssh://dind", "", "--upstream ssh://dind: ");
    refuses("--upstream unix:///s --listen unix:///s", "", "are the same");
    refuses("--upstream tcp://127.0.0.1:5 --listen tcp://127.0.0.1:5", "", "are the same");
}

static void touch(const char *folder, const char *name) {
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
}

static void test_docker_variables(void **state) {
    const struct config *config = &options.config;
    char folder[] = "/tmp/test_options.XXXXXX", environment[400], path[300];
    (void)state;
    assert_non_null(mkdtemp(folder));
    touch(folder, "ca.pem");

    takes("", "DOCKER_HOST=unix:///d.sock");
    assert_string_equal(config->upstream.path, "/d.sock");
    assert_string_equal(options_name(&options, offsetof(struct config, upstream)), "DOCKER_HOST");
    takes("", "DOCKER_HOST=unix:///d.sock DIND_PROXY_UPSTREAM=unix:///p.sock");
    assert_string_equal(config->upstream.path, "/p.sock");
    takes("--upstream unix:///o.sock", "DOCKER_HOST=ssh://x DIND_PROXY_UPSTREAM=unix:///p.sock");
    assert_string_equal(config->upstream.path, "/o.sock");
    refuses("", "DOCKER_HOST=ssh://x", "DOCKER_HOST=ssh://x: ");

    /* The client's certificate is optional, as for the docker CLI; the CA is not. */
    (void)snprintf(environment, sizeof environment, "DOCKER_HOST=tcp://d DOCKER_CERT_PATH=%s",
                   folder);
    takes("", environment);
    assert_true(config->upstream_tls);
    assert_int_equal(config->upstream.port, 2376);
    (void)snprintf(path, sizeof path, "%s/ca.pem", folder);
    assert_string_equal(config->upstream_files.authority, path);
    assert_null(config->upstream_files.certificate);
    touch(folder, "cert.pem");
    refuses("", environment, "DOCKER_CERT_PATH/cert.pem needs");
    touch(folder, "key.pem");
    takes("", environment);
    (void)snprintf(path, sizeof path, "%s/key.pem", folder);
    assert_string_equal(config->upstream_files.key, path);

    (void)snprintf(environment, sizeof environment, "DOCKER_TLS_VERIFY=1 DOCKER_CONFIG=%s", folder);
    takes("--upstream tcp://d", environment);
    assert_string_equal(config->upstream_files.key, path);
    /* Files by name are not mixed with the folder's. */
    takes("--upstream tcp://d --upstream-tls-ca mine", environment);
    assert_string_equal(config->upstream_files.authority, "mine");
    assert_null(config->upstream_files.key);
    /* A unix socket has no TLS, whatever the variables are for. */
    takes("--upstream unix:///d", environment);
    assert_false(config->upstream_tls);
    takes("--upstream tcp://d", "DOCKER_TLS_VERIFY=1 HOME=/home/x");
    assert_string_equal(config->upstream_files.authority, "/home/x/.docker/ca.pem");
    refuses("--upstream tcp://d", "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH nor HOME");
    takes("--upstream tcp://d", "DOCKER_TLS_VERIFY= DOCKER_CERT_PATH=");
    assert_false(config->upstream_tls);

    /* These two commands do not talk to the engine. */
    takes("explain GET /info", "DOCKER_HOST=ssh://x");
    takes("--healthcheck", "DOCKER_HOST=ssh://x");

    static const char *const names[] = {"ca.pem", "cert.pem", "key.pem"};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void test_numbers(void **state) {
    static const struct {
        const char *text;
        uint64_t value;
        bool good;
    } durations[] = {{"0", 0, true},
                     {"10s", 10000, true},
                     {"250ms", 250, true},
                     {"15m", 900000, true},
                     {"2h", 7200000, true},
                     {"10", 0, false},
                     {"", 0, false},
                     {"s", 0, false},
                     {"1d", 0, false},
                     {"-1s", 0, false},
                     {"+1s", 0, false},
                     {" 1s", 0, false},
                     {"1.5s", 0, false},
                     {"1 s", 0, false},
                     {"1S", 0, false},
                     {"1ss", 0, false},
                     {"99999999999999999999s", 0, false},
                     {"18446744073709551615ms", UINT64_MAX, true},
                     {"18446744073709551615s", 0, false}};
    static const struct {
        const char *text;
        uint64_t value;
        bool good;
    } sizes[] = {{"65536", 65536, true}, {"64k", 65536, true}, {"64K", 65536, true},
                 {"4m", 4194304, true},  {"4g", 0, false},     {"k", 0, false},
                 {"4kb", 0, false},      {"0x10", 0, false},   {"18446744073709551615m", 0, false}};
    uint64_t value = 0;
    (void)state;
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        if (option_read_duration(durations[i].text, &value) != durations[i].good)
            fail_msg("duration %s", durations[i].text);
        if (durations[i].good)
            assert_true(value == durations[i].value);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (option_read_size(sizes[i].text, &value) != sizes[i].good)
            fail_msg("size %s", sizes[i].text);
        if (sizes[i].good)
            assert_true(value == sizes[i].value);
    }
    assert_true(option_read_number("9", 9, &value));
    assert_false(option_read_number("10", 9, &value));
    assert_false(option_read_number("5", 4, &value));
    assert_true(option_read_number("18446744073709551615", UINT64_MAX, &value));
    assert_false(option_read_number("18446744073709551616", UINT64_MAX, &value));
}

static void test_ranges(void **state) {
    static const char *const lines[] = {
        "--workers 0",           "--workers 1025",          "--max-connections 0",
        "--max-connections x",   "--max-header-bytes 4095", "--max-header-bytes 1025k",
        "--max-judged-body 65m", "--head-timeout 0",        "--head-timeout 61m",
        "--idle-timeout 30",     "--api-floor 1.23",        "--api-floor 1.100",
        "--api-floor 2.0",       "--api-floor 1.024",       "--api-floor 24",
        "--policy none",         "--buildkit allow",        "--log-level trace",
        "--log-format xml",      "--allow-bind tmp",        "--message-prefix=",
        "--upstream-tls-name=",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        refuses(lines[i], "", ": must ");
}

static void test_message_prefix(void **state) {
    static const char *const bad[] = {
        "a\tb",     "a\x7f",   "\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80",
        "\xc2\x80", "\xe2\x82"};
    char line[300];
    (void)state;
    takes("--message-prefix=gr\xc3\xbc\xc3\x9f\xe2\x82\xac\xf0\x9f\x90\xb3", "");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        (void)snprintf(line, sizeof line, "--message-prefix=%s", bad[i]);
        refuses(line, "", "--message-prefix");
    }
    (void)snprintf(line, sizeof line, "--message-prefix=%0200d", 0);
    takes(line, "");
    (void)snprintf(line, sizeof line, "--message-prefix=%0201d", 0);
    refuses(line, "", "1 to 200 bytes");
}

static void test_commands(void **state) {
    (void)state;
    takes("--check-config", "");
    assert_int_equal(options.command, COMMAND_CHECK_CONFIG);
    takes("--healthcheck", "");
    assert_int_equal(options.command, COMMAND_HEALTHCHECK);
    /* Help and version come before every mistake. */
    takes("--workers x --help --nonsense", "DIND_PROXY_WORKERS=y");
    assert_int_equal(options.command, COMMAND_HELP);
    takes("-h", "");
    assert_int_equal(options.command, COMMAND_HELP);
    takes("--version", "DIND_PROXY_WORKERS=y");
    assert_int_equal(options.command, COMMAND_VERSION);
    refuses("--check-config --healthcheck", "", "another command");

    takes("explain --workers 2 GET /info --policy allowlist", "");
    assert_int_equal(options.command, COMMAND_EXPLAIN);
    assert_int_equal(options.argument_count, 2);
    assert_string_equal(options.arguments[1], "/info");
    assert_int_equal(options.config.filter.preset, FILTER_ALLOWLIST);
    takes("explain POST /containers/create -", "");
    assert_string_equal(options.arguments[2], "-");
    takes("explain -- GET --help", "");
    assert_string_equal(options.arguments[1], "--help");
    refuses("explain GET", "", "explain needs METHOD TARGET");
    refuses("explain GET / a b", "", "unexpected argument \"b\"");
    refuses("GET /info", "", "unknown command \"GET\"");
}

static void test_mistakes(void **state) {
    (void)state;
    refuses("--lisen unix:///a", "", "unknown option \"--lisen\"; did you mean --listen?");
    refuses("--tls-certt=a", "", "did you mean --tls-cert?");
    refuses("-listen unix:///a", "", "did you mean --listen?");
    refuses("--healtcheck", "", "did you mean --healthcheck?");
    refuses("--check_config", "", "did you mean --check-config?");
    refuses("explian GET /", "", "unknown command \"explian\"; did you mean explain?");
    refuses("--xyzzy", "", "--help lists all");
    /* No abbreviations: a new option must not change what an old script means. */
    refuses("--listener unix:///a", "", "did you mean --listen?");
    refuses("--work 3", "", "unknown option");
    refuses("--listen", "", "--listen needs a value: URL");
    refuses("--listen --policy allowlist", "", "--listen needs a value: URL");
    refuses("--tls-cert=", "", "needs the name of a file");
    refuses("-x", "", "unknown option \"-x\"");
}

static void test_jailoc(void **state) {
    char jailoc[] = "/usr/local/bin/jailoc", system_word[] = "system", name[] = "dind-proxy",
         flag[] = "--workers=3";
    char *none[] = {NULL};
    char *good[] = {jailoc, system_word, name, flag, NULL};
    char *bad[] = {jailoc, flag, NULL};
    (void)state;
    options_free(&options);
    assert_int_equal(options_parse(4, good, none, &options, &error), 0);
    assert_string_equal(options.program, "jailoc system dind-proxy");
    assert_int_equal(options.config.workers, 3);
    options_free(&options);
    assert_int_equal(options_parse(2, bad, none, &options, &error), -1);
    assert_non_null(strstr(error.text, "jailoc system dind-proxy"));
    options_free(&options);
    assert_int_equal(options_parse(2, good, none, &options, &error), -1);
    options_free(&options);
    assert_int_equal(options_parse(0, none, none, &options, &error), 0);
}

/* What options_print writes, each line cut before its comment. */
static char *printed(char *lines[], size_t room, size_t *count) {
    char *text = NULL, *rest;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    options_print(&options, stream);
    assert_int_equal(fclose(stream), 0);
    *count = 0;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *end = strstr(line, " # ");
        assert_non_null(end);
        while (end[-1] == ' ')
            end--;
        *end = '\0';
        assert_true(*count < room);
        lines[(*count)++] = line;
    }
    return text;
}

/* What --check-config prints can be given back, and then means the same. */
static void test_print(void **state) {
    enum { ROOM = 64 };
    char program[] = "dind-proxy";
    char *before[ROOM + 1] = {program}, *after[ROOM], *none[] = {NULL};
    size_t before_count, after_count;
    (void)state;
    takes("--listen unix:///s?mode=0600&owner=1 --listen tcp://127.0.0.1 --allow-bind /a "
          "--idle-timeout 90s --max-header-bytes 5000 --api-floor 1.30",
          "");
    char *text = printed(before + 1, ROOM - 1, &before_count);
    assert_string_equal(before[1], "--listen=unix:///s?tls=off&mode=0600&owner=1");
    assert_string_equal(before[2], "--listen=tcp://127.0.0.1:2375?tls=off");

    options_free(&options);
    if (options_parse((int)before_count + 1, before, none, &options, &error) != 0)
        fail_msg("%s", error.text);
    char *again = printed(after, ROOM, &after_count);
    assert_int_equal(before_count, after_count);
    for (size_t i = 0; i < after_count; i++)
        assert_string_equal(before[i + 1], after[i]);
    free(text);
    free(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_defaults, teardown),
        cmocka_unit_test_teardown(test_every_option, teardown),
        cmocka_unit_test_teardown(test_table, teardown),
        cmocka_unit_test_teardown(test_precedence, teardown),
        cmocka_unit_test_teardown(test_lists, teardown),
        cmocka_unit_test_teardown(test_listener_parameters, teardown),
        cmocka_unit_test_teardown(test_listener_tls, teardown),
        cmocka_unit_test_teardown(test_upstream, teardown),
        cmocka_unit_test_teardown(test_docker_variables, teardown),
        cmocka_unit_test_teardown(test_numbers, teardown),
        cmocka_unit_test_teardown(test_ranges, teardown),
        cmocka_unit_test_teardown(test_message_prefix, teardown),
        cmocka_unit_test_teardown(test_commands, teardown),
        cmocka_unit_test_teardown(test_mistakes, teardown),
        cmocka_unit_test_teardown(test_jailoc, teardown),
        cmocka_unit_test_teardown(test_print, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
