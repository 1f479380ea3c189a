/* The command endpoints: what every preset makes of every call, as the table filter/endpoints.md.
 */
#include <stdio.h>
#include <string.h>

#include "filter/endpoints.h"
#include "filter/presets.h"
#include "proxy/command.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const enum filter_preset presets[] = {FILTER_BLOCKLIST, FILTER_ALLOWLIST, FILTER_READ_ONLY,
                                             FILTER_CI_RUNNER};

static const char intro[] =
    "<!-- Written by `dind-proxy endpoints`; change filter/endpoints.c, then run "
    "tools/docs/update-endpoints. -->\n"
    "# Every call of the engine's API, and what becomes of it\n\n"
    "`{name}` stands for anything, slashes too; `{id}` for one element of the path. A `HEAD` falls "
    "under the rows of `GET`\ntoo. The columns after the class say what each preset does "
    "([policy.md](policy.md)):\n\n"
    "- **pass**: the call goes to the engine.\n"
    "- **judged**: it goes there if its query and body hold nothing that the policy refuses.\n"
    "- **buildkit**: judged as well, and passes where `build.buildkit` is `inspect` (the default) "
    "or `opaque`.\n"
    "- refuse: it is answered with 403.\n\n"
    "The last column names the keys of a policy file that change it. `allow` and `deny` are "
    "`endpoints.allow` and\n`endpoints.deny`, which take the text of the first column; `only` "
    "(`endpoints.only`) replaces a preset's whole set of\ncalls. A call that is judged stays "
    "judged "
    "when `allow` or `only` opens it; the keys behind it say what of it passes.\n";

/* A heading stands in front of the row of that route. */
static const struct group {
    const char *first;
    const char *title;
} groups[] = {
    {"OPTIONS /{name}", "System"},
    {"GET /containers/json", "Containers"},
    {"POST /containers/{name}/exec", "Exec"},
    {"GET /images/json", "Images"},
    {"POST /build", "Builds"},
    {"GET /networks", "Networks"},
    {"GET /volumes", "Volumes"},
    {"GET /plugins", "Plugins"},
    {"GET /swarm", "Swarm"},
    {"GET /services", "Services"},
    {"GET /secrets", "Secrets and configs"},
};

/* What says more about a call than whether it passes. */
static const struct detail {
    const char *route;
    const char *keys;
} details[] = {
    {"POST /containers/create", "`create.*`, `limits.*`"},
    {"POST /containers/{name}/update",
     "`limits.*`, `create.devices`, `create.device-requests`, `create.cgroup-parents`"},
    {"POST /containers/{name}/exec", "`exec.commands`, `exec.variables`, `exec.privileged`"},
    {"POST /images/create", "`images.pull`"},
    {"POST /images/{name}/push", "`images.push`"},
    {"POST /build", "`build.*`"},
    {"POST /session", "`build.buildkit`, `build.session-deny`"},
    {"POST /grpc", "`build.*`"},
};

static const char *verdict_word(const struct endpoint *endpoint, enum endpoint_verdict verdict) {
    switch (verdict) {
    case ENDPOINT_PASS:
        return endpoint->head != NULL || endpoint->body != BODY_NONE ? "**judged**" : "**pass**";
    case ENDPOINT_BUILDKIT:
        return "**buildkit**";
    case ENDPOINT_REFUSE:
        break;
    }
    return "refuse";
}

static void print_keys(const struct endpoint *endpoint, bool refused, bool passed) {
    printf("%s%s%s", refused ? "`allow`" : "", refused && passed ? ", " : "",
           passed ? "`deny`" : "");
    for (size_t i = 0; i < COUNT(details); i++)
        if (strcmp(details[i].route, endpoint->route) == 0)
            printf("; %s", details[i].keys);
}

static void print_row(const struct endpoint *endpoint) {
    bool refused = false;
    bool passed = false;
    printf("| `%s` | %s |", endpoint->route, endpoint_class_name(endpoint->class));
    for (size_t i = 0; i < COUNT(presets); i++) {
        const struct filter_settings settings = {.preset = presets[i],
                                                 .buildkit = FILTER_BUILDKIT_INSPECT};
        bool denied;
        enum endpoint_verdict verdict = preset_verdict(&settings, endpoint, &denied);
        printf(" %s |", verdict_word(endpoint, verdict));
        refused = refused || verdict == ENDPOINT_REFUSE;
        passed = passed || verdict != ENDPOINT_REFUSE;
    }
    printf(" ");
    print_keys(endpoint, refused, passed);
    printf(" |\n");
}

static void print_columns(const char *title) {
    printf("\n## %s\n\n| call | class |", title);
    for (size_t i = 0; i < COUNT(presets); i++)
        printf(" %s |", preset_name(presets[i]));
    printf(" keys |\n|---|---|");
    for (size_t i = 0; i < COUNT(presets); i++)
        printf("---|");
    printf("---|\n");
}

/* What no row names: filter/filter.c judges it by its method. */
static void print_rest(void) {
    print_columns("All else");
    printf("| `GET` and `HEAD` of any other path | unknown | **pass** | refuse | refuse | refuse | "
           "`preset`, `only` |\n"
           "| any other call | unknown | refuse | refuse | refuse | refuse | `unknown-endpoints` "
           "(with `blocklist` alone) |\n");
}

int command_endpoints(void) {
    printf("%s", intro);
    for (size_t i = 0; i < endpoint_count; i++) {
        for (size_t j = 0; j < COUNT(groups); j++)
            if (strcmp(groups[j].first, endpoints[i].route) == 0)
                print_columns(groups[j].title);
        print_row(&endpoints[i]);
    }
    print_rest();
    return EXIT_STATUS_OK;
}
