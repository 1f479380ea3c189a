/* The command status: what a running proxy's metrics say, for people. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "proxy/cleanup.h"
#include "proxy/command.h"
#include "proxy/health_probe.h"

#define PREFIX "dind_proxy_"

enum { MAX_ANSWER = 1 << 20 };

/* Blocking from here on, but not for longer than `timeout` milliseconds a call. */
static int set_patience(int fd, unsigned timeout, struct error *error) {
    const struct timeval patience = {.tv_sec = timeout / 1000,
                                     .tv_usec = (suseconds_t)(timeout % 1000) * 1000};
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0)
        return 0;
    return error_set(error, "%s", strerror(errno));
}

/* Asks, and returns the body with a NUL behind it; NULL with `error`. */
static char *ask(int fd, struct error *error) {
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: dind-proxy\r\n\r\n";
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1) {
        (void)error_set(error, "cannot ask: %s", strerror(errno));
        return NULL;
    }
    __attribute__((cleanup(cleanup_text))) char *answer = malloc(MAX_ANSWER + 1);
    size_t length = 0;
    ssize_t got = 0;
    if (answer == NULL) {
        (void)error_set(error, "out of memory");
        return NULL;
    }
    while (length < MAX_ANSWER && (got = recv(fd, answer + length, MAX_ANSWER - length, 0)) > 0)
        length += (size_t)got;
    answer[length] = '\0';
    if (got < 0) {
        (void)error_set(error, "no answer: %s", strerror(errno));
        return NULL;
    }
    const char *body = strstr(answer, "\r\n\r\n");
    if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0 || body == NULL ||
        strstr(body, "\n# TYPE " PREFIX "build_info ") == NULL) {
        (void)error_set(error, "what answers there is no dind-proxy's metrics");
        return NULL;
    }
    char *text = strdup(body + 4);
    if (text == NULL)
        (void)error_set(error, "out of memory");
    return text;
}

/* The value of a sample as it stands in the text, such as `pipes_in_use` or
 * `open_streams{kind="stream"}`; false if it is not there. */
static bool find(const char *text, const char *name, double *value) {
    size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, "\n" PREFIX)) != NULL;) {
        at += strlen("\n" PREFIX);
        if (strncmp(at, name, length) == 0 && at[length] == ' ') {
            *value = strtod(at + length + 1, NULL);
            return true;
        }
    }
    return false;
}

static double value(const char *text, const char *name) {
    double number = 0;
    (void)find(text, name, &number);
    return number;
}

static void print_duration(const char *label, double seconds) {
    long long left = (long long)(seconds < 0 ? -seconds : seconds);
    if (left >= 86400)
        printf("%s%lld d %lld h", label, left / 86400, left % 86400 / 3600);
    else if (left >= 3600)
        printf("%s%lld h %lld min", label, left / 3600, left % 3600 / 60);
    else
        printf("%s%lld min %lld s", label, left / 60, left % 60);
}

static void print_bytes(const char *label, double bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        bytes /= 1024;
    printf("%s%.*f %s", label, unit == 0 ? 0 : 1, bytes, units[unit]);
}

static void print_certificate(const char *text, const char *name, const char *label) {
    double left;
    if (!find(text, name, &left))
        return;
    printf("certificate    %s: ", label);
    print_duration(left < 0 ? "ended " : "ends in ", left);
    printf("%s\n", left < 0 ? " ago" : "");
}

struct verdicts {
    char subject[96], verdict[32], rule[64];
    uint64_t count;
};

/* Takes the next line of a metric that counts verdicts; NULL when there is none. */
static const char *next_line(const char *at, const char *metric, struct verdicts *line) {
    size_t length = strlen(metric);
    while ((at = strstr(at, "\n" PREFIX)) != NULL) {
        int end = 0;
        at += strlen("\n" PREFIX);
        if (strncmp(at, metric, length) != 0 ||
            sscanf(at + length, "{%*[a-z]=\"%95[^\"]\",verdict=\"%31[^\"]\",rule=\"%63[^\"]\"} %n",
                   line->subject, line->verdict, line->rule, &end) != 3 ||
            end == 0)
            continue;
        line->count = strtoull(at + length + end, NULL, 10);
        return at;
    }
    return NULL;
}

static void print_verdicts(const char *text, const char *metric, const char *label) {
    static const char *const verdicts[] = {"allow", "deny",       "bad-request",
                                           "none",  "would-deny", "other"};
    enum { USUAL = 3 };
    struct verdicts line;
    printf("%-14s", label);
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        uint64_t total = 0;
        for (const char *at = text; (at = next_line(at, metric, &line)) != NULL;)
            total += strcmp(line.verdict, verdicts[i]) == 0 ? line.count : 0;
        if (total > 0 || i < USUAL)
            printf(" %s %" PRIu64, verdicts[i], total);
    }
    printf("\n");
    for (const char *at = text; (at = next_line(at, metric, &line)) != NULL;)
        if (strcmp(line.verdict, "allow") != 0 && line.count > 0)
            printf("  %-12s %s (%s): %" PRIu64 "\n", line.verdict, line.rule, line.subject,
                   line.count);
}

/* The bound under which at least 95 of 100 answers began, if any did. */
static void print_latency(const char *text) {
    static const char head[] = "\n" PREFIX "answer_seconds_bucket{le=\"";
    double all = value(text, "answer_seconds_count");
    if (all <= 0)
        return;
    for (const char *at = text; (at = strstr(at, head)) != NULL;) {
        at += sizeof head - 1;
        const char *end = strstr(at, "\"} ");
        if (end == NULL || strtod(end + 3, NULL) < 0.95 * all)
            continue;
        printf("answers        95%% begin within %.*s s\n", (int)(end - at), at);
        return;
    }
}

static void print_version(const char *text) {
    static const char head[] = "\n" PREFIX "build_info{version=\"";
    const char *at = strstr(text, head);
    size_t length = at != NULL ? strcspn(at + sizeof head - 1, "\"") : 0;
    printf("dind-proxy     %.*s", (int)length, length > 0 ? at + sizeof head - 1 : "");
    print_duration(", up ", (double)time(NULL) - value(text, "start_time_seconds"));
    printf("; reloads %.0f, failed %.0f\n", value(text, "reloads_total{result=\"ok\"}"),
           value(text, "reloads_total{result=\"failed\"}"));
}

static void print_status(const char *text) {
    double up;
    print_version(text);
    printf("engine         %s; connections made %.0f, failed %.0f\n",
           !find(text, "engine_up", &up) ? "not tried yet"
           : up > 0                      ? "up"
                                         : "down",
           value(text, "engine_connections_total{result=\"ok\"}"),
           value(text, "engine_connections_total{result=\"failed\"}"));
    printf("clients        %.0f connected\n", value(text, "client_connections"));
    printf("open           requests %.0f, streams %.0f, tunnels %.0f; pipes %.0f\n",
           value(text, "open_streams{kind=\"request\"}"),
           value(text, "open_streams{kind=\"stream\"}"),
           value(text, "open_streams{kind=\"tunnel\"}"), value(text, "pipes_in_use"));
    print_verdicts(text, "requests_total", "requests");
    print_verdicts(text, "grpc_calls_total", "calls in /grpc");
    print_latency(text);
    print_bytes("bytes          spliced ", value(text, "relayed_bytes_total{path=\"splice\"}"));
    print_bytes(", by kernel TLS ", value(text, "relayed_bytes_total{path=\"kernel_tls\"}"));
    print_bytes(", copied ", value(text, "relayed_bytes_total{path=\"user\"}"));
    printf("\nTLS handshakes clients %.0f, failed %.0f; engine %.0f, failed %.0f; kernel TLS %s\n",
           value(text, "tls_handshakes_total{hop=\"clients\",result=\"ok\"}"),
           value(text, "tls_handshakes_total{hop=\"clients\",result=\"failed\"}"),
           value(text, "tls_handshakes_total{hop=\"engine\",result=\"ok\"}"),
           value(text, "tls_handshakes_total{hop=\"engine\",result=\"failed\"}"),
           value(text, "kernel_tls") > 0 ? "on" : "off");
    print_certificate(text, "certificate_expiry_seconds{hop=\"clients\"}", "for clients");
    print_certificate(text, "certificate_expiry_seconds{hop=\"engine\"}", "for the engine");
}

int command_status(const struct options *options) {
    const struct config *config = &options->config;
    struct health_probe probe = {.fd = -1};
    struct error reason = {""}, error = {""};
    char url[512];
    __attribute__((cleanup(cleanup_text))) char *text = NULL;
    if (health_probe_dial(&probe, &config->metrics, config->health_timeout, &reason) == 0 &&
        set_patience(probe.fd, config->health_timeout, &reason) == 0)
        text = ask(probe.fd, &reason);
    health_probe_close(&probe);
    if (text != NULL) {
        print_status(text);
        return EXIT_STATUS_OK;
    }
    (void)error_set(&error, "%s: %s", address_format(&config->metrics.address, url, sizeof url),
                    reason.text);
    return command_fail(EXIT_STATUS_FAILED, &error);
}
