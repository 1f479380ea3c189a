#include "filter/session_rules.h"

#include "filter/fields.h"
#include "filter/policy.h"

/* One of --buildkit-session-deny's, by the gRPC service behind it. */
static const struct offer {
    unsigned bit;
    const char *service;
    const char *rule;
    const char *reason;
} offers[] = {
    {FILTER_SESSION_SECRETS, "/moby.buildkit.secrets.", "session.secrets",
     "build secrets are switched off here; leave --secret out"},
    {FILTER_SESSION_SSH, "/moby.sshforward.", "session.ssh",
     "the ssh agent is switched off here for builds; leave --ssh out"},
    {FILTER_SESSION_AUTH, "/moby.filesync.v1.auth/", "session.auth",
     "registry logins are switched off here for builds"},
};

/* The engine folds the case of method names. */
static bool starts_with_folded(struct slice value, struct slice prefix) {
    return value.len >= prefix.len &&
           slice_equal_ignoring_case(slice_first(value, prefix.len), prefix);
}

struct body_finding session_rules_judge(const struct filter_policy *policy,
                                        const struct filter_header *headers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!slice_equal_ignoring_case(headers[i].name,
                                       SLICE("X-Docker-Expose-Session-Grpc-Method")))
            continue;
        for (size_t j = 0; j < sizeof offers / sizeof offers[0]; j++)
            if (policy->session_deny & offers[j].bit &&
                starts_with_folded(slice_trim(headers[i].value),
                                   slice_from_string(offers[j].service)))
                return finding_deny(offers[j].rule, offers[j].reason);
    }
    return finding_allow();
}
