/* Takes from the running proxy what it does not need (sandbox.md): privileges, files, ports, system
 * calls. What is in force then holds for the process until its end.
 *
 * First sandbox_plan, then sandbox_confine while there is one thread, since most of it is inherited
 * by threads and not shared among them, then sandbox_filter when all threads run, so that none can
 * be started any more. */
#ifndef DIND_PROXY_PROXY_SANDBOX_H
#define DIND_PROXY_PROXY_SANDBOX_H

#include <stdbool.h>

#include "proxy/config.h"
#include "proxy/error.h"
#include "proxy/sandbox_landlock.h"
#include "proxy/sandbox_paths.h"

/* --sandbox: what there is, all or nothing runs, none. */
enum sandbox_mode { SANDBOX_AUTO, SANDBOX_REQUIRE, SANDBOX_OFF };

enum sandbox_part {
    SANDBOX_NO_NEW_PRIVILEGES,
    SANDBOX_NO_CORE_DUMPS,
    SANDBOX_NO_CAPABILITIES,
    SANDBOX_LANDLOCK,
    SANDBOX_SECCOMP,
    SANDBOX_PARTS,
};

struct sandbox_state {
    bool on;
    char text[240]; /* more about it, or why it is off; may be empty */
};

/* Zero-initialised is ready for use. */
struct sandbox {
    enum sandbox_mode mode;
    struct sandbox_paths paths;
    struct sandbox_network network;
    unsigned calls; /* enum sandbox_when */
    struct sandbox_state parts[SANDBOX_PARTS];
};

/* Such as "landlock"; static. */
const char *sandbox_part_name(enum sandbox_part part);

/* What a proxy with this configuration will need: every file that an option names, its sockets, its
 * engine. `abstract`: the service manager's socket is an abstract one. 0 or -1. */
int sandbox_plan(struct sandbox *sandbox, const struct config *config, bool abstract,
                 struct error *error);

/* Something more to be written, before sandbox_confine. 0 or -1. */
int sandbox_plan_write(struct sandbox *sandbox, const char *path, struct error *error);

/* 0, or -1 with `error` naming the part that cannot be had but is required. */
int sandbox_confine(struct sandbox *sandbox, struct error *error);
int sandbox_filter(struct sandbox *sandbox, struct error *error);

/* One line with what is in force. */
void sandbox_log(const struct sandbox *sandbox);

void sandbox_free(struct sandbox *sandbox);

#endif
