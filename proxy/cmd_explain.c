#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/policy_keys.h"
#include "proxy/cleanup.h"
#include "proxy/command.h"
#include "proxy/explain_grpc.h"
#include "proxy/policy_file.h"

struct body {
    char *data; /* NULL: none was given */
    size_t length;
};

static void free_body(struct body *body) {
    free(body->data);
}

static void free_rules(struct filter_rules **rules) {
    filter_rules_free(*rules);
}

/* All of the file, up to `limit` bytes, which is called `what`. */
static int read_body(const char *path, size_t limit, const char *what, struct body *body,
                     struct error *error) {
    bool standard = strcmp(path, "-") == 0;
    __attribute__((cleanup(cleanup_file))) FILE *file = standard ? stdin : fopen(path, "rbe");
    if (file == NULL)
        return error_set(error, "%s: %s", path, strerror(errno));
    /* One more byte than may be, so that too long can be told from just long enough. */
    body->data = malloc(limit + 1);
    if (body->data == NULL)
        return error_set(error, "out of memory");
    body->length = fread(body->data, 1, limit + 1, file);
    if (ferror(file))
        return error_set(error, "%s: %s", path, strerror(errno));
    if (body->length > limit)
        return error_set(error, "%s: longer than %s; it would be refused unread", path, what);
    return 0;
}

/* One line "key: value". The wire's bytes can come back in a reason; the filter made it printable.
 */
static void print_verdict(const struct filter_verdict *verdict) {
    static const char *const words[] = {[FILTER_ALLOW] = "allow",
                                        [FILTER_NEED_BODY] = "need-body",
                                        [FILTER_DENY] = "deny",
                                        [FILTER_BAD_REQUEST] = "bad-request"};
    printf("verdict: %s\n", words[verdict->decision]);
    printf("rule: %s\n", verdict->rule);
    printf("endpoint: %s\n", verdict->endpoint != NULL ? verdict->endpoint : "(not listed)");
    printf("class: %s\n", verdict->endpoint_class);
    if (verdict->reason != NULL)
        printf("reason: %s\n", verdict->reason);
    const struct filter_remedy *remedy = &verdict->remedy;
    if (remedy->key != NULL)
        printf("to allow it: %s %s %.*s\n", remedy->key,
               policy_key_is_list(remedy->key) ? "+=" : "=", SLICE_ARGS(remedy->value));
}

static struct filter_verdict judge_request(const struct options *options,
                                           const struct filter_policy *policy,
                                           const struct body *body, struct arena *arena) {
    char length[24];
    (void)snprintf(length, sizeof length, "%zu", body->length);
    const struct filter_header headers[] = {
        {SLICE("Host"), SLICE("docker")},
        {SLICE("Content-Length"), slice_from_string(length)},
        {SLICE("Content-Type"), SLICE("application/json")},
    };
    bool with_body = body->data != NULL;
    const struct filter_request request = {
        .method = slice_from_string(options->arguments[0]),
        .target = slice_from_string(options->arguments[1]),
        .headers = headers,
        .header_count = with_body ? sizeof headers / sizeof *headers : 1,
        .may_have_body = body->length > 0,
    };

    struct filter_verdict verdict = filter_judge_head(policy, &request, arena);
    if (verdict.decision == FILTER_NEED_BODY)
        verdict = filter_judge_body(policy, &request, slice_of(body->data, body->length), arena);
    return verdict;
}

/* No method of HTTP that the engine has. */
static bool is_grpc(const struct options *options) {
    return strcmp(options->arguments[0], "GRPC") == 0;
}

static int judge(const struct options *options, const struct filter_policy *policy,
                 const struct body *body) {
    struct arena arena = {0};
    struct filter_verdict verdict = is_grpc(options)
                                        ? explain_grpc(policy, options->arguments[1],
                                                       slice_of(body->data, body->length), &arena)
                                        : judge_request(options, policy, body, &arena);
    print_verdict(&verdict);
    enum filter_decision decision = verdict.decision;
    arena_reset(&arena);
    switch (decision) {
    case FILTER_ALLOW:
        return EXIT_STATUS_OK;
    case FILTER_BAD_REQUEST:
        return EXIT_STATUS_USAGE;
    case FILTER_DENY:
    case FILTER_NEED_BODY:
        break;
    }
    return EXIT_STATUS_FAILED;
}

int command_explain(const struct options *options) {
    struct error error = {""};
    __attribute__((cleanup(free_body))) struct body body = {0};
    __attribute__((cleanup(free_rules))) struct filter_rules *rules =
        policy_file_load(&options->config, &error);
    if (rules == NULL)
        return command_fail(EXIT_STATUS_USAGE, &error);
    size_t limit = is_grpc(options) ? EXPLAIN_GRPC_MAX : options->config.max_judged_body;
    const char *what = is_grpc(options) ? "a message that can be judged" : "--max-judged-body";
    if (options->argument_count > 2 &&
        read_body(options->arguments[2], limit, what, &body, &error) != 0)
        return command_fail(EXIT_STATUS_USAGE, &error);
    const struct filter_client *client = filter_rules_find(rules, options->config.explain_as);
    if (client == NULL) {
        (void)error_set(&error, "%s %s: the policy file has no such client",
                        options_name(options, offsetof(struct config, explain_as)),
                        options->config.explain_as);
        return command_fail(EXIT_STATUS_USAGE, &error);
    }
    return judge(options, client->policy, &body);
}
