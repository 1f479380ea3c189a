#include "filter/head_rules.h"

#include "filter/ascii.h"
#include "filter/build_rules.h"
#include "filter/fields.h"
#include "filter/image_name.h"
#include "filter/image_rules.h"
#include "filter/policy.h"
#include "filter/ps_arguments.h"
#include "filter/remedy.h"
#include "filter/session_rules.h"

const char head_rules_buildkit_reason[] = "BuildKit is switched off here; build with "
                                          "DOCKER_BUILDKIT=0 (the classic builder), or start the "
                                          "proxy with --buildkit inspect";

/* One judged query parameter. Parameters that no table names pass. */
struct parameter_rule {
    const char *key;
    /* Whether a value may pass. The engine takes a parameter that is there but empty for absent. */
    bool (*allows)(const struct filter_policy *policy, struct slice value);
    const char *rule;
    const char *reason;
    const char *opened_by; /* the switch of a policy that lets more pass; NULL: none does */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool allows_nothing(const struct filter_policy *policy, struct slice value) {
    (void)policy;
    (void)value;
    return false;
}

static bool allows_empty(const struct filter_policy *policy, struct slice value) {
    (void)policy;
    return value.len == 0;
}

static bool allows_body_only(const struct filter_policy *policy, struct slice value) {
    (void)policy;
    return value.len == 0 || slice_equal(value, SLICE("-"));
}

static bool allows_ps(const struct filter_policy *policy, struct slice value) {
    (void)policy;
    return ps_arguments_are_harmless(value);
}

static bool has_buildkit(const struct filter_policy *policy) {
    return policy->buildkit != FILTER_BUILDKIT_DENY;
}

static bool allows_with_buildkit(const struct filter_policy *policy, struct slice value) {
    return value.len == 0 || has_buildkit(policy);
}

/* "1" is the classic builder and the default. */
static bool allows_builder(const struct filter_policy *policy, struct slice value) {
    return slice_equal(value, SLICE("1")) || allows_with_buildkit(policy, value);
}

/* The two values that name no URL: the context comes over the BuildKit session, or in another
 * request's body. Everything else the engine fetches or clones itself. */
static bool allows_build_context(const struct filter_policy *policy, struct slice value) {
    bool from_client =
        slice_equal(value, SLICE("client-session")) || slice_equal(value, SLICE("upload-request"));
    return value.len == 0 || policy->build.remote_contexts || (from_client && has_buildkit(policy));
}

static bool is_name_character(char c, bool first) {
    return ascii_is_alphanumeric(c) || (!first && (c == '_' || c == '.' || c == '-'));
}

/* A network of its own: default, bridge, none or one made by a client. Docker's network names have
 * no colon, so no form of "container:" passes. The engine compares "host" exactly; in other cases
 * it would be an ordinary name, but one that nobody needs. */
static bool allows_build_network(const struct filter_policy *policy, struct slice value) {
    if (policy->build.network_host && slice_equal(value, SLICE("host")))
        return true;
    for (size_t i = 0; i < value.len; i++)
        if (!is_name_character(value.data[i], i == 0))
            return false;
    return !slice_equal_ignoring_case(value, SLICE("host"));
}

/* The next three: JSON, which both builders read. What it may not hold and what cannot be read is
 * refused alike. */
static bool allows_json(const struct filter_policy *policy, struct slice value,
                        struct body_finding (*judge)(const struct message_context *context,
                                                     struct slice text)) {
    struct arena arena = {0};
    const struct message_context context = {.policy = policy, .arena = &arena};
    bool passes = value.len == 0 || judge(&context, value).decision == FILTER_ALLOW;
    arena_reset(&arena);
    return passes;
}

static bool allows_outputs(const struct filter_policy *policy, struct slice value) {
    return allows_json(policy, value, build_judge_output_list);
}

/* A list of images, of the engine's own or in a registry. */
static bool allows_cache(const struct filter_policy *policy, struct slice value) {
    return value.len == 0 || slice_equal(value, SLICE("[]")) || slice_equal(value, SLICE("null")) ||
           !policy->build.deny_cache_imports;
}

static bool allows_arguments(const struct filter_policy *policy, struct slice value) {
    return build_allows_frontends(policy) || allows_json(policy, value, build_judge_arguments);
}

static const struct parameter_rule build_parameters[] = {
    /* First, since a BuildKit client also names a remote context, which is not what to change. */
    {"version", allows_builder, "build.buildkit", head_rules_buildkit_reason, NULL},
    {"session", allows_with_buildkit, "build.buildkit", head_rules_buildkit_reason, NULL},
    {"outputs", allows_with_buildkit, "build.buildkit", head_rules_buildkit_reason, NULL},
    {"networkmode", allows_build_network, "build.networkmode",
     "a build may not use the network of the host or of another container; leave --network out, or "
     "give it default, none or the name of a network",
     "build.network-host"},
    {"cgroupparent", allows_empty, "build.cgroupparent",
     "a build may not choose its parent cgroup; leave --cgroup-parent out", NULL},
    {"securityopt", allows_nothing, "build.securityopt",
     "a build may not change its security options; leave --security-opt out", NULL},
    {"remote", allows_build_context, "build.remote",
     "the engine may not fetch a build context itself; clone or download it and build from the "
     "local folder",
     "build.remote-contexts"},
    {"outputs", allows_outputs, "build.outputs",
     "the build's output is of a type that is not allowed here, or not known; leave --output out",
     "build.outputs"},
    {"cachefrom", allows_cache, "build.cachefrom",
     "a build may not import a cache; leave --cache-from out", "build.cache-imports"},
    {"buildargs", allows_arguments, "build.frontend-source",
     "a frontend image of one's own is not allowed; leave the build argument BUILDKIT_SYNTAX out",
     "build.frontends"},
};

static const struct parameter_rule image_create_parameters[] = {
    /* Read only where fromImage is empty, yet judged always: which of the two wins is the engine's
     * affair. */
    {"fromSrc", allows_body_only, "image.import-url",
     "the engine may not fetch an image from a URL; download it and import it from standard input "
     "(docker import -)",
     NULL},
    {"fromImage", NULL, NULL, NULL, NULL},
};

static const struct parameter_rule top_parameters[] = {
    {"ps_args", allows_ps, "container.ps-arguments",
     "with these arguments ps could show processes of others; use none, aux, or -o with a list of "
     "columns that begins with pid",
     NULL},
};

static const struct parameter_rule start_parameters[] = {
    {"checkpoint", allows_empty, "start.checkpoint",
     "starting from a checkpoint is not allowed; start the container without --checkpoint", NULL},
    {"checkpoint-dir", allows_empty, "start.checkpoint",
     "a checkpoint directory is a folder of the engine's host; start the container without "
     "--checkpoint-dir",
     NULL},
};

static struct head_finding allow(void) {
    return (struct head_finding){.decision = FILTER_ALLOW};
}

static struct head_finding finding(enum filter_decision decision, const char *rule,
                                   const char *reason) {
    return (struct head_finding){.decision = decision, .rule = rule, .reason = reason};
}

static struct head_finding from_body(struct body_finding found) {
    if (found.decision == FILTER_ALLOW)
        return allow();
    return (struct head_finding){.decision = found.decision,
                                 .rule = found.rule,
                                 .reason = found.reason,
                                 .remedy = found.remedy};
}

static struct head_finding refuse(const struct filter_policy *policy,
                                  const struct parameter_rule *rule, struct slice value) {
    const struct filter_policy open = build_all_open(policy);
    struct head_finding found = finding(FILTER_DENY, rule->rule, rule->reason);
    if (rule->opened_by != NULL && rule->allows(&open, value))
        found.remedy = remedy_switch(rule->opened_by);
    return found;
}

/* A refusal is told before an ambiguity, since it says what to change. */
static struct head_finding judge_parameters(const struct head_context *context,
                                            const struct parameter_rule *rules, size_t count) {
    bool ambiguous = false;
    for (size_t i = 0; i < count; i++) {
        struct slice key = slice_from_string(rules[i].key);
        ambiguous = ambiguous || query_count(context->query, key) > 1;
        if (!rules[i].allows)
            continue;
        for (size_t j = 0; j < context->query->count; j++) {
            const struct query_pair *pair = &context->query->pairs[j];
            if (slice_equal(pair->key, key) && !rules[i].allows(context->policy, pair->value))
                return refuse(context->policy, &rules[i], pair->value);
        }
    }
    if (ambiguous)
        return finding(FILTER_BAD_REQUEST, "request.query",
                       "a query parameter that is judged comes twice; send it once");
    return allow();
}

/* Unlike the others this one may be given many times: the engine reads all its values. */
static bool adds_hosts(const struct query *query) {
    for (size_t i = 0; i < query->count; i++)
        if (slice_equal(query->pairs[i].key, SLICE("extrahosts")) && query->pairs[i].value.len > 0)
            return true;
    return false;
}

struct head_finding head_rule_build(const struct head_context *context) {
    struct head_finding found =
        judge_parameters(context, build_parameters, COUNT(build_parameters));
    if (found.decision != FILTER_ALLOW || !context->policy->build.deny_add_hosts ||
        !adds_hosts(context->query))
        return found;
    return from_body(finding_deny_switch(
        "build.extrahosts", "a build may not be given names of hosts; leave --add-host out",
        "build.add-hosts"));
}

/* Which image goes in or out, by the policy's patterns. The tag counts only where it does. */
static struct head_finding judge_image(const struct head_context *context,
                                       const struct image_use *use, struct slice name) {
    if (use->patterns->given && query_count(context->query, SLICE("tag")) > 1)
        return finding(FILTER_BAD_REQUEST, "request.query",
                       "the query parameter tag comes twice; send it once");
    return from_body(image_rules_judge(use, name, context->arena));
}

struct head_finding head_rule_image_create(const struct head_context *context) {
    struct head_finding found =
        judge_parameters(context, image_create_parameters, COUNT(image_create_parameters));
    if (found.decision != FILTER_ALLOW)
        return found;
    struct slice image = query_first(context->query, SLICE("fromImage"));
    const struct image_use use = {
        .patterns = &context->policy->images.pull,
        .key = "images.pull",
        .rule = "image.pull",
        .deed = "pulling",
        .tag = query_first(context->query, SLICE("tag")),
    };
    if (image.len > 0)
        return judge_image(context, &use, image);
    /* With neither, the engine would go for the URL "http://". */
    if (query_first(context->query, SLICE("fromSrc")).len == 0)
        return finding(
            FILTER_BAD_REQUEST, "request.query",
            "name the image to pull in fromImage, or set fromSrc to '-' and send it as the body");
    /* Nobody can say what is in it, it may take any name, and it shares its route with pulling. */
    if (use.patterns->given && !image_name_any(use.patterns))
        return finding(FILTER_DENY, "image.import",
                       "importing is not allowed where only some images may come in; pull one that "
                       "the policy names");
    return found;
}

struct head_finding head_rule_image_push(const struct head_context *context) {
    const struct image_use use = {
        .patterns = &context->policy->images.push,
        .key = "images.push",
        .rule = "image.push",
        .deed = "pushing",
        .tag = query_first(context->query, SLICE("tag")),
    };
    return judge_image(context, &use, context->name);
}

struct head_finding head_rule_container_top(const struct head_context *context) {
    return judge_parameters(context, top_parameters, COUNT(top_parameters));
}

struct head_finding head_rule_container_start(const struct head_context *context) {
    return judge_parameters(context, start_parameters, COUNT(start_parameters));
}

struct head_finding head_rule_network_connect(const struct head_context *context) {
    /* The engine refuses it as well; its network's id, which a filter cannot know, does not share
     * the namespace. */
    if (slice_equal_ignoring_case(context->name, SLICE("host")))
        return finding(FILTER_DENY, "network.connect-host",
                       "a container may not join the host's network; connect it to a network of "
                       "its own (docker network create)");
    return allow();
}

struct head_finding head_rule_session(const struct head_context *context) {
    return from_body(session_rules_judge(context->policy, context->request->headers,
                                         context->request->header_count));
}
