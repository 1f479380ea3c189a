#include "filter/limit_rules.h"

#include <inttypes.h>

#include <cjson/cJSON.h>

#include "filter/policy.h"
#include "filter/remedy.h"

enum { BILLION = 1000000000, DEFAULT_PERIOD = 100000 /* microseconds: cpu.cfs_period_us */ };

/* How one kind of limit is told. */
struct limit_words {
    const char *rule;
    const char *what;
    const char *option;
    const char *required_key;
    const char *max_key;
};

static const struct limit_words memory_words = {"create.limit-memory", "memory", "--memory",
                                                "limits.memory.required", "limits.memory.max"};
static const struct limit_words pids_words = {"create.limit-pids", "processes", "--pids-limit",
                                              "limits.pids.required", "limits.pids.max"};
static const struct limit_words cpus_words = {"create.limit-cpus", "processors", "--cpus",
                                              "limits.cpus.required", "limits.cpus.max"};

static bool is_set(const struct filter_limit *limit) {
    return limit->required || limit->max > 0;
}

/* A number, 0 where it is absent. False where it is something else. */
static bool read_number(const cJSON *object, struct slice name, double *number) {
    const cJSON *value = fields_member(object, name);
    *number = 0;
    if (value == NULL)
        return true;
    if (!cJSON_IsNumber(value))
        return false;
    *number = value->valuedouble;
    return true;
}

static struct body_finding fail_type(const struct field_context *context, const char *name) {
    return finding_bad_request("body.type",
                               arena_printf(context->arena, "%s must be a number", name));
}

/* No limit at all. */
static struct body_finding deny_unlimited(const struct field_context *context,
                                          const struct filter_limit *limit,
                                          const struct limit_words *words) {
    struct body_finding finding =
        finding_deny(words->rule, arena_printf(context->arena,
                                               "a container without a limit of %s is not "
                                               "allowed; give it %s",
                                               words->what, words->option));
    /* A maximum has none beyond it that would let this through. */
    if (limit->max == 0)
        finding.remedy = remedy_json(words->required_key, "false");
    return finding;
}

/* `amount` is in the limit's unit, or 0 or less for none. */
static struct body_finding judge_amount(const struct field_context *context,
                                        const struct filter_limit *limit,
                                        const struct limit_words *words, double amount) {
    if (!is_set(limit))
        return finding_allow();
    if (!(amount > 0))
        return deny_unlimited(context, limit, words);
    if (limit->max == 0 || amount <= (double)limit->max)
        return finding_allow();
    struct body_finding finding = finding_deny(
        words->rule,
        arena_printf(context->arena, "more %s than the policy allows a container; lower %s",
                     words->what, words->option));
    const double most = 9007199254740992.0; /* 2^53 */
    if (amount < most)
        finding.remedy = remedy_json(
            words->max_key, words == &cpus_words
                                ? arena_printf(context->arena, "%.12g", amount / BILLION)
                                : arena_printf(context->arena, "%" PRIu64, (uint64_t)amount));
    return finding;
}

/* With a maximum, swap is bound as well: to what the engine gives by default, twice the memory. */
static struct body_finding judge_swap(const struct filter_limit *limit, double swap) {
    if (limit->max == 0 || (swap >= 0 && swap <= 2 * (double)limit->max))
        return finding_allow();
    return finding_deny(memory_words.rule, "more memory and swap than the policy allows a "
                                           "container; lower --memory-swap or drop it");
}

/* `absent`: a limit that is not given stays as it was. */
static struct body_finding judge_memory(const struct field_context *context, const cJSON *object,
                                        bool absent) {
    const struct filter_limit *limit = &context->policy->limits.memory;
    double memory;
    double swap;
    if (!is_set(limit))
        return finding_allow();
    if (!read_number(object, SLICE("Memory"), &memory))
        return fail_type(context, "Memory");
    if (!read_number(object, SLICE("MemorySwap"), &swap))
        return fail_type(context, "MemorySwap");
    bool given = memory < 0 || memory > 0;
    struct body_finding finding =
        absent && !given ? finding_allow() : judge_amount(context, limit, &memory_words, memory);
    return finding.decision == FILTER_ALLOW ? judge_swap(limit, swap) : finding;
}

/* Here 0 is no limit, even in an update; only what is not there stays as it was. */
static struct body_finding judge_pids(const struct field_context *context, const cJSON *object,
                                      bool absent) {
    const struct filter_limit *limit = &context->policy->limits.pids;
    double pids;
    if (!is_set(limit))
        return finding_allow();
    if (!read_number(object, SLICE("PidsLimit"), &pids))
        return fail_type(context, "PidsLimit");
    if (absent && fields_member(object, SLICE("PidsLimit")) == NULL)
        return finding_allow();
    return judge_amount(context, limit, &pids_words, pids);
}

/* Real-time priority takes a process out of its quota (sched(7)). The engine makes the name of a
 * limit with strings.ToUpper, which makes an I of a dotless i as well (moby, daemon/oci_linux.go);
 * and of two names it takes one. */
static bool has_realtime(const cJSON *object) {
    const cJSON *limits = fields_member(object, SLICE("Ulimits"));
    const cJSON *first = limits != NULL ? limits->child : NULL;
    for (const cJSON *limit = first; limit != NULL; limit = limit->next) {
        for (const cJSON *member = limit->child; member != NULL; member = member->next) {
            struct slice name = cJSON_IsString(member) ? fields_text(member) : SLICE("");
            if (slice_equal_ignoring_case(name, SLICE("rtprio")) || !slice_is_ascii(name))
                return true;
        }
    }
    return false;
}

/* By NanoCpus, or by a quota of each period; which of the two, the engine lets only one be. */
static struct body_finding judge_cpus(const struct field_context *context, const cJSON *object,
                                      bool absent) {
    const struct filter_limit *limit = &context->policy->limits.cpus;
    double nano;
    double quota;
    double period;
    if (!is_set(limit))
        return finding_allow();
    if (has_realtime(object))
        return finding_deny("create.limit-realtime",
                            "real-time priority would pass by the limit of processors; drop "
                            "--ulimit rtprio");
    if (!read_number(object, SLICE("NanoCpus"), &nano))
        return fail_type(context, "NanoCpus");
    if (!read_number(object, SLICE("CpuQuota"), &quota))
        return fail_type(context, "CpuQuota");
    if (!read_number(object, SLICE("CpuPeriod"), &period))
        return fail_type(context, "CpuPeriod");
    bool by_nano = nano < 0 || nano > 0;
    bool by_quota = quota < 0 || quota > 0;
    bool by_period = period < 0 || period > 0;
    if (absent && !by_nano && !by_quota && !by_period)
        return finding_allow();
    /* One of them changes what the other means, and the other is not known here. */
    if (absent && by_quota != by_period)
        return finding_deny(cpus_words.rule, "a quota and its period are allowed together only; "
                                             "give --cpus, or both");
    struct body_finding finding = finding_allow();
    if (by_nano || !by_quota)
        finding = judge_amount(context, limit, &cpus_words, nano);
    if (finding.decision == FILTER_ALLOW && by_quota)
        finding = judge_amount(context, limit, &cpus_words,
                               quota * BILLION / (period > 0 ? period : DEFAULT_PERIOD));
    return finding;
}

static struct body_finding judge_all(const struct field_context *context, const cJSON *object,
                                     bool absent) {
    struct body_finding finding = judge_memory(context, object, absent);
    if (finding.decision == FILTER_ALLOW)
        finding = judge_pids(context, object, absent);
    if (finding.decision == FILTER_ALLOW)
        finding = judge_cpus(context, object, absent);
    return finding;
}

struct body_finding limits_judge_create(const struct field_context *context, const cJSON *object) {
    return judge_all(context, object, false);
}

struct body_finding limits_judge_update(const struct field_context *context, const cJSON *object) {
    return judge_all(context, object, true);
}

/* Old engines take the top level's limits where the HostConfig has none; others do not look there.
 * So they do not count as given, yet may not exceed anything. */
struct body_finding limits_judge_container(const struct field_context *context,
                                           const cJSON *object) {
    const struct filter_limits *limits = &context->policy->limits;
    bool any = is_set(&limits->memory) || is_set(&limits->pids) || is_set(&limits->cpus);
    if (!any)
        return finding_allow();
    if (fields_member(object, SLICE("HostConfig")) == NULL) {
        static const cJSON nothing = {.type = cJSON_Object};
        struct body_finding finding = judge_all(context, &nothing, false);
        if (finding.decision != FILTER_ALLOW)
            return finding;
    }
    return judge_all(context, object, true);
}
