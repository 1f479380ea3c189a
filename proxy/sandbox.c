#include "proxy/sandbox.h"

#include <stdio.h>
#ifdef __GLIBC__
#include <nss.h>
#endif

#include "proxy/log.h"
#include "proxy/sandbox_calls.h"
#include "proxy/sandbox_privileges.h"
#include "proxy/sandbox_seccomp.h"

static const char *const part_names[SANDBOX_PARTS] = {
    [SANDBOX_NO_NEW_PRIVILEGES] = "no_new_privileges",
    [SANDBOX_NO_CORE_DUMPS] = "no_core_dumps",
    [SANDBOX_NO_CAPABILITIES] = "no_capabilities",
    [SANDBOX_LANDLOCK] = "landlock",
    [SANDBOX_SECCOMP] = "seccomp",
};

const char *sandbox_part_name(enum sandbox_part part) {
    return part_names[part];
}

/* Notes how it went. 0, or -1 if it is required and could not be had. */
static int settle(struct sandbox *sandbox, enum sandbox_part part, bool on, struct error *error) {
    sandbox->parts[part].on = on;
    if (on || sandbox->mode != SANDBOX_REQUIRE)
        return 0;
    return error_set(error, "--sandbox require: %s: %s", part_names[part],
                     sandbox->parts[part].text);
}

/* The C library may load a module of its own for each source of names in nsswitch.conf, when it
 * first comes to it, and what that calls nobody knows. Its files and the name servers, both built
 * in, are what is asked after the first look-up, as a static program always does. */
static void settle_names(void) {
#ifdef __GLIBC__
    (void)__nss_configure_lookup("hosts", "files dns");
#endif
}

int sandbox_confine(struct sandbox *sandbox, struct error *error) {
    struct sandbox_state *parts = sandbox->parts;
    if (sandbox->mode == SANDBOX_OFF)
        return 0;
    settle_names();
#define TEXT(part) parts[part].text, sizeof parts[part].text
    if (sandbox->mode == SANDBOX_REQUIRE && !sandbox_seccomp_available(TEXT(SANDBOX_SECCOMP)))
        return settle(sandbox, SANDBOX_SECCOMP, false, error);
    if (settle(sandbox, SANDBOX_NO_NEW_PRIVILEGES,
               sandbox_no_new_privileges(TEXT(SANDBOX_NO_NEW_PRIVILEGES)), error) != 0 ||
        settle(sandbox, SANDBOX_NO_CORE_DUMPS, sandbox_no_core_dumps(TEXT(SANDBOX_NO_CORE_DUMPS)),
               error) != 0 ||
        /* With the capabilities that may be needed to look at the folders. */
        settle(sandbox, SANDBOX_LANDLOCK,
               sandbox_landlock_enter(&sandbox->paths, &sandbox->network, TEXT(SANDBOX_LANDLOCK)),
               error) != 0)
        return -1;
    return settle(sandbox, SANDBOX_NO_CAPABILITIES,
                  sandbox_no_capabilities(&sandbox->paths, TEXT(SANDBOX_NO_CAPABILITIES)), error);
}

int sandbox_filter(struct sandbox *sandbox, struct error *error) {
    struct sandbox_state *part = &sandbox->parts[SANDBOX_SECCOMP];
    struct sandbox_bpf bpf;
    if (sandbox->mode == SANDBOX_OFF)
        return 0;
    bool on = sandbox_bpf_write(&bpf, sandbox_calls, sandbox_call_count, sandbox->calls) == 0;
    if (!on)
        (void)snprintf(part->text, sizeof part->text,
                       "there is no table of this architecture's calls");
    on = on && sandbox_seccomp_install(&bpf, part->text, sizeof part->text);
    return settle(sandbox, SANDBOX_SECCOMP, on, error);
}

void sandbox_log(const struct sandbox *sandbox) {
    struct log_record record;
    bool all = true;
    if (sandbox->mode == SANDBOX_OFF)
        return;
    for (size_t i = 0; i < SANDBOX_PARTS; i++)
        all = all && sandbox->parts[i].on;
    log_begin(&record, all ? LOG_INFO : LOG_WARNING, "sandbox");
    for (size_t i = 0; i < SANDBOX_PARTS; i++) {
        const struct sandbox_state *part = &sandbox->parts[i];
        char text[sizeof part->text + 8];
        (void)snprintf(text, sizeof text, "%s%s%s", part->on ? "on" : "off",
                       part->text[0] != '\0' ? ": " : "", part->text);
        log_string(&record, part_names[i], text);
    }
    log_end(&record);
}

void sandbox_free(struct sandbox *sandbox) {
    sandbox_paths_free(&sandbox->paths);
}
