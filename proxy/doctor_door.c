#include "proxy/doctor_door.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

enum { ANSWER = 4096 };

/* An engine decodes the escape and answers as to /_ping; the proxy refuses it as malformed,
 * whatever its policy. It changes nothing at either. */
#define REQUEST(path)                                                                              \
    "GET " path " HTTP/1.1\r\nHost: docker\r\nUser-Agent: dind-proxy-doctor\r\n"                   \
    "Connection: close\r\n\r\n"
static const char odd_request[] = REQUEST("/%5fping");
static const char plain_request[] = REQUEST("/_ping");

/* What the proxy's refusal of that ends with (proxy/reply.c, filter/head_rules.c). */
static const char proxy_mark[] = "(request.target)\"}";

/* HTTP/2's preface and an empty SETTINGS frame (RFC 9113 sections 3.4, 6.5). */
static const char http2_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";

struct answer {
    int status;     /* 0: this is no HTTP */
    bool is_engine; /* says so in its head: Api-Version, or Server: Docker/… */
    bool is_proxy;
};

/* Whether a line of the head begins so; names of fields have no case. */
static bool has_line(const char *text, const char *begin) {
    for (const char *line = strstr(text, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strncmp(line, "\r\n\r\n", 4) == 0)
            return false;
        if (strncasecmp(line + 2, begin, strlen(begin)) == 0)
            return true;
    }
    return false;
}

static struct answer read_answer(char *text, size_t len) {
    struct answer answer = {0};
    text[len] = '\0';
    if (len < sizeof "HTTP/1.1 200" - 1 || strncmp(text, "HTTP/1.", 7) != 0 || text[8] != ' ')
        return answer;
    for (size_t i = 9; i < 12; i++) {
        if (text[i] < '0' || text[i] > '9')
            return (struct answer){0};
        answer.status = answer.status * 10 + (text[i] - '0');
    }
    answer.is_engine = has_line(text, "Api-Version:") || has_line(text, "Server: Docker/");
    answer.is_proxy = answer.status == 400 && !answer.is_engine && strstr(text, proxy_mark) != NULL;
    return answer;
}

/* One way in. */
struct way {
    const struct doctor_door *door;
    const struct doctor_identity *identity; /* NULL: plain */
    unsigned timeout;
};

static enum doctor_talk_result ask(const struct way *way, const char *request,
                                   struct answer *answer, const char **reason) {
    char text[ANSWER + 1];
    size_t got = 0;
    enum doctor_talk_result result =
        doctor_talk((const struct sockaddr *)&way->door->address, way->door->length, way->identity,
                    way->timeout, request, strlen(request), text, ANSWER, &got, reason);
    *answer = read_answer(text, got);
    return result;
}

struct finding {
    enum doctor_state state;
    char detail[sizeof((struct doctor_door *)0)->detail];
    bool engine_answers;
};

__attribute__((format(printf, 3, 4))) static void
find(struct finding *finding, enum doctor_state state, const char *format, ...) {
    va_list arguments;
    finding->state = state;
    va_start(arguments, format);
    (void)vsnprintf(finding->detail, sizeof finding->detail, format, arguments);
    va_end(arguments);
}

static void find_open(const struct way *way, struct finding *finding) {
    if (way->identity != NULL && way->identity->certificate.data != NULL)
        find(finding, DOCTOR_OPEN, "an engine answers over TLS, with the certificate in %s",
             way->identity->folder);
    else if (way->identity != NULL)
        find(finding, DOCTOR_OPEN, "an engine answers over TLS, to anybody");
    else
        find(finding, DOCTOR_OPEN, "an engine answers");
}

static void judge_answer(const struct way *way, struct answer answer, struct finding *finding) {
    const char *reason = "";
    if (answer.is_engine) {
        find_open(way, finding);
        return;
    }
    struct answer second;
    enum doctor_talk_result result = ask(way, plain_request, &second, &reason);
    if (answer.is_proxy) {
        finding->engine_answers = result == DOCTOR_TALK_OK && second.status == 200;
        if (finding->engine_answers)
            find(finding, DOCTOR_PROXY, "the filter answers");
        else
            find(finding, DOCTOR_PROXY, "the filter answers, but through it no engine (%d)",
                 second.status);
    } else if (result == DOCTOR_TALK_OK && second.is_engine) {
        find_open(way, finding);
    } else if (answer.status != 0) {
        find(finding, DOCTOR_OTHER, "an HTTP server that is no engine (%d)", answer.status);
    } else {
        find(finding, DOCTOR_OTHER, "something that does not speak HTTP");
    }
}

static void go(const struct way *way, struct finding *finding) {
    const char *reason = "";
    struct answer answer;
    *finding = (struct finding){0};
    switch (ask(way, odd_request, &answer, &reason)) {
    case DOCTOR_TALK_OK:
        judge_answer(way, answer, finding);
        break;
    case DOCTOR_TALK_CLOSED:
        find(finding, DOCTOR_CLOSED, "%s", reason);
        break;
    case DOCTOR_TALK_REFUSED:
        find(finding, DOCTOR_REFUSES, "TLS wants another certificate (%s)", reason);
        break;
    case DOCTOR_TALK_NO_TLS:
        find(finding, DOCTOR_OTHER, "something that does not speak TLS");
        break;
    case DOCTOR_TALK_SILENT:
        find(finding, DOCTOR_OTHER, "something that says nothing");
        break;
    }
}

/* containerd and BuildKit give all that an engine gives, by gRPC. */
static void try_http2(const struct way *way, struct finding *finding) {
    enum { TYPE = 3, SETTINGS = 4, FRAME_HEAD = 9 };
    const char *path = ((const struct sockaddr_un *)&way->door->address)->sun_path;
    const char *reason = "";
    char text[FRAME_HEAD];
    size_t got = 0;
    if (doctor_talk((const struct sockaddr *)&way->door->address, way->door->length, NULL,
                    way->timeout, http2_preface, sizeof http2_preface, text, sizeof text, &got,
                    &reason) != DOCTOR_TALK_OK ||
        got < FRAME_HEAD || text[TYPE] != SETTINGS || text[0] != 0)
        return;
    bool known = strstr(path, "containerd") != NULL || strstr(path, "buildkit") != NULL;
    if (known)
        find(finding, DOCTOR_OPEN, "containerd or BuildKit answers");
    else
        find(finding, DOCTOR_OTHER, "something that speaks HTTP/2");
}

/* Among refusals the last one counts, for it was made with a certificate; among strange things the
 * first, which was asked in plain. */
static void take(struct doctor_door *door, const struct finding *finding) {
    if (finding->state < door->state ||
        (finding->state == door->state && door->state == DOCTOR_OTHER))
        return;
    door->state = finding->state;
    door->engine_answers = finding->engine_answers;
    memcpy(door->detail, finding->detail, sizeof door->detail);
}

void doctor_try(struct doctor_door *door, const struct doctor_identity *identities, size_t count,
                unsigned timeout) {
    static const struct doctor_identity nobody = {0};
    struct finding finding;
    struct way way = {door, NULL, timeout};
    if (door->length == 0)
        return;
    go(&way, &finding);
    take(door, &finding);
    if (door->address.ss_family == AF_UNIX) {
        if (finding.state == DOCTOR_OTHER) {
            door->state = DOCTOR_CLOSED; /* what it says by HTTP/2 is more telling */
            try_http2(&way, &finding);
            take(door, &finding);
        }
        return;
    }
    for (size_t i = 0; i <= count && door->state != DOCTOR_OPEN; i++) {
        if (finding.state == DOCTOR_CLOSED && i == 0)
            return; /* then no other way would find anybody */
        way.identity = i == 0 ? &nobody : &identities[i - 1];
        go(&way, &finding);
        take(door, &finding);
    }
}
