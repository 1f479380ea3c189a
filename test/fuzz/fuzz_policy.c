/* libFuzzer entry over policy files: any text is read as one, and where it is one, requests are
 * judged by it for several clients. Beyond memory safety it checks that errors say where they are,
 * that no policy opens what none may, nor anything whose key it does not have, and that what a
 * refusal offers as its remedy is a key with a value that JSON takes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "filter/json.h"
#include "filter/policy_keys.h"
#include "filter/rules.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

/* A request, and what a policy has to say to let it through; NULL: none may. */
static const struct sample {
    const char *method;
    const char *target;
    const char *body;
    const char *word;
} samples[] = {
    {"GET", "/v1.41/containers/json", NULL, ""},
    {"HEAD", "/_ping", NULL, ""},
    {"POST", "/v1.41/containers/create", "{\"Image\":\"team/app:1\",\"HostConfig\":{\"Memory\":1}}",
     ""},
    {"POST", "/v1.41/containers/create", "{\"HostConfig\":{\"Privileged\":true}}", "privileged"},
    {"POST", "/v1.41/containers/create", "{\"HostConfig\":{\"CapAdd\":[\"SYS_ADMIN\"]}}",
     "capabilities"},
    {"POST", "/v1.41/containers/create", "{\"HostConfig\":{\"Binds\":[\"/srv/a:/a:ro\"]}}",
     "binds"},
    {"POST", "/v1.41/containers/create", "{\"HostConfig\":{\"Binds\":[\"/etc:/a:ro\"]}}", NULL},
    {"POST", "/v1.41/containers/create", "{\"HostConfig\":{\"Binds\":[\"/srv/../:/a\"]}}", NULL},
    {"POST", "/v1.41/containers/create",
     "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/srv/docker.sock\"}]}}", NULL},
    {"POST", "/v1.41/containers/create",
     "{\"HostConfig\":{\"Mounts\":[{\"Type\":\"volume\",\"VolumeOptions\":{\"DriverConfig\":"
     "{\"Options\":{\"o\":\"bind\",\"device\":\"/\"}}}}]}}",
     NULL},
    {"POST", "/v1.41/containers/create",
     "{\"HostConfig\":{\"Devices\":[{\"PathOnHost\":\"/dev/fuse\"}]}}", "devices"},
    {"POST", "/v1.41/containers/create",
     "{\"HostConfig\":{\"NetworkMode\":\"host\",\"PidMode\":\"host\",\"Runtime\":\"x\","
     "\"CgroupParent\":\"/a/../b\"}}",
     NULL},
    {"POST", "/v1.41/containers/create", "{\"HostConfig\":{\"Sysctls\":{\"kernel.x\":\"1\"}}}",
     "sysctls"},
    {"POST", "/v1.41/containers/create", "{\"HostConfig\":{\"Memory\":1},\"hostconfig\":{}}", NULL},
    {"POST", "/v1.41/containers/a/exec", "{\"Cmd\":[\"sh\",\"-c\",\"id\"],\"Privileged\":true}",
     "exec"},
    {"POST", "/v1.41/containers/a/exec", "{\"Cmd\":\"sh\"}", NULL},
    {"POST", "/v1.41/containers/a/update", "{\"Memory\":-1}", "endpoints"},
    {"POST", "/v1.41/images/create?fromImage=team/app&tag=1", NULL, ""},
    {"POST", "/v1.41/images/create?fromSrc=http://a", NULL, NULL},
    {"POST", "/v1.41/images/r.example:5000/a/push?tag=1", NULL, ""},
    {"POST", "/v1.41/build?networkmode=host", NULL, "network-host"},
    {"POST", "/v1.41/swarm/init", NULL, "endpoints"},
    {"POST", "/v1.41/volumes/create", "{\"DriverOpts\":{\"o\":\"bind\",\"device\":\"/\"}}", NULL},
    {"POST", "/v1.41/no/such", NULL, "unknown-endpoints"},
    {"GET", "/v1.41/containers/../info", NULL, NULL},
};

static void check_remedy(struct filter_remedy remedy, struct arena *arena) {
    if (remedy.key == NULL)
        return;
    require(policy_key_find(slice_from_string(remedy.key)) != NULL);
    const char *object = arena_printf(arena, "{\"a\":%.*s}", SLICE_ARGS(remedy.value));
    struct json_error error;
    require(object != NULL && json_check_object(slice_from_string(object), &error));
}

static void judge(const struct filter_client *client, const struct sample *sample,
                  struct slice text) {
    const struct filter_header headers[] = {{SLICE("Content-Type"), SLICE("application/json")}};
    const struct filter_request request = {
        .method = slice_from_string(sample->method),
        .target = slice_from_string(sample->target),
        .headers = headers,
        .header_count = COUNT(headers),
        .may_have_body = sample->body != NULL,
    };
    struct arena arena = {0};
    struct filter_verdict verdict = filter_judge_head(client->policy, &request, &arena);
    if (verdict.decision == FILTER_NEED_BODY) {
        require(sample->body != NULL);
        verdict =
            filter_judge_body(client->policy, &request, slice_from_string(sample->body), &arena);
    }
    require(verdict.decision != FILTER_NEED_BODY && verdict.rule != NULL);
    require((verdict.reason == NULL) == (verdict.decision == FILTER_ALLOW));
    check_remedy(verdict.remedy, &arena);
    if (verdict.decision == FILTER_ALLOW) {
        require(client->policy != NULL && sample->word != NULL);
        /* With an escape in it a key may look otherwise. */
        require(text.len > 0 &&
                (sample->word[0] == '\0' || memchr(text.data, '\\', text.len) != NULL ||
                 memmem(text.data, text.len, sample->word, strlen(sample->word)) != NULL));
    }
    arena_reset(&arena);
}

static void check_error(const char *error) {
    unsigned line;
    unsigned column;
    int used = 0;
    require(sscanf(error, "fuzz.json:%u:%u: %n", &line, &column, &used) == 2 && used > 0);
    require(line > 0 && column > 0 && error[used] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct slice names[] = {SLICE("a.example"), SLICE("team-a")};
    static const struct filter_identity identities[] = {
        {.common_name = SLICE("team-a"), .alt_names = names, .alt_name_count = COUNT(names)},
        {.has_peer = true, .uid = 1000, .gid = 1000, .listener = SLICE("unix:///run/a.sock")},
        {.has_peer = false},
    };
    struct slice text = slice_of((const char *)data, size);
    char error[1024] = "";
    struct filter_rules *rules = filter_rules_parse(text, "fuzz.json", error, sizeof error);
    if (rules == NULL) {
        check_error(error);
        return 0;
    }
    for (size_t i = 0; i < COUNT(identities); i++) {
        const struct filter_client *client = filter_rules_select(rules, &identities[i]);
        require(client != NULL && client == filter_rules_find(rules, client->name));
        for (size_t j = 0; j < COUNT(samples); j++)
            judge(client, &samples[j], text);
    }
    filter_rules_free(rules);
    return 0;
}
