#include "proxy/sandbox_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/cleanup.h"
#include "proxy/sandbox_build.h"

/* By number and by hand, for a program built with old headers runs under new kernels too. The
 * numbers are the same on all architectures. */
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446 };
enum { RULE_PATH = 1, RULE_PORT = 2, CREATE_VERSION = 1 };

#define FS_WRITE       (1ULL << 1)
#define FS_READ        (1ULL << 2)
#define FS_READ_DIR    (1ULL << 3)
#define FS_REMOVE_FILE (1ULL << 5)
#define FS_MAKE_REG    (1ULL << 8)
#define FS_TRUNCATE    (1ULL << 14)
#define NET_CONNECT    (1ULL << 1)
#define SCOPE_ABSTRACT (1ULL << 0)
#define SCOPE_SIGNAL   (1ULL << 1)

struct ruleset_attr {
    uint64_t files, network, scoped;
};

struct path_attr {
    uint64_t allowed;
    int32_t folder;
} __attribute__((packed));

struct port_attr {
    uint64_t allowed, port;
};

/* All that a version can keep from a process; each version adds to the one before. */
static const struct ruleset_attr versions[] = {
    [1] = {.files = (1ULL << 13) - 1},
    [2] = {.files = 1ULL << 13},                     /* links and renames between folders */
    [3] = {.files = FS_TRUNCATE},                    /* truncating */
    [4] = {.network = 3},                            /* TCP: bind and connect */
    [5] = {.files = 1ULL << 15},                     /* ioctl on devices */
    [6] = {.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL}, /* abstract sockets and signals of others */
};
enum { NEWEST = sizeof versions / sizeof *versions - 1 };

int sandbox_landlock_version(char *text, size_t size) {
    long version = syscall(CREATE_RULESET, NULL, 0, CREATE_VERSION);
    if (version > 0)
        return (int)version;
    (void)snprintf(text, size, "%s",
                   errno == ENOSYS       ? "this kernel has none"
                   : errno == EOPNOTSUPP ? "it is switched off at this kernel's start (lsm=)"
                   : errno == EPERM      ? "it is not permitted here"
                                         : strerror(errno));
    return 0;
}

static uint64_t rights_of(enum sandbox_use use) {
    switch (use) {
    case SANDBOX_READ:
        return FS_READ;
    case SANDBOX_REMOVE:
        return FS_REMOVE_FILE;
    case SANDBOX_WRITE:
        return FS_READ | FS_WRITE | FS_REMOVE_FILE | FS_MAKE_REG | FS_TRUNCATE;
    case SANDBOX_CONNECT:
        return 0; /* sockets with a path are not Landlock's affair */
    }
    return 0;
}

/* A folder that is not there, or cannot be seen, stays closed. */
static int allow(int ruleset, const char *folder, uint64_t rights) {
    __attribute__((cleanup(cleanup_fd))) int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const struct path_attr attr = {.allowed = rights, .folder = fd};
    return fd < 0 || rights == 0 ? 0 : (int)syscall(ADD_RULE, ruleset, RULE_PATH, &attr, 0);
}

static int add_rules(int ruleset, const struct ruleset_attr *handled,
                     const struct sandbox_paths *paths, const struct sandbox_network *network) {
    for (size_t i = 0; i < paths->count; i++) {
        const struct sandbox_path *path = &paths->entries[i];
        uint64_t rights = rights_of(path->use) & handled->files;
        if (allow(ruleset, path->folder, rights) != 0 ||
            (path->real_folder != NULL && allow(ruleset, path->real_folder, rights) != 0))
            return -1;
    }
    if (SANDBOX_SANITIZED && allow(ruleset, "/", FS_READ | FS_READ_DIR) != 0)
        return -1;
    for (size_t i = 0; handled->network != 0 && i < network->count; i++) {
        const struct port_attr attr = {.allowed = NET_CONNECT, .port = network->ports[i]};
        if (syscall(ADD_RULE, ruleset, RULE_PORT, &attr, 0) != 0)
            return -1;
    }
    return 0;
}

bool sandbox_landlock_enter(const struct sandbox_paths *paths,
                            const struct sandbox_network *network, char *text, size_t size) {
    struct ruleset_attr handled = {0};
    int version = sandbox_landlock_version(text, size);
    if (version == 0)
        return false;
    for (int i = 1; i <= NEWEST && i <= version; i++) {
        handled.files |= versions[i].files;
        handled.network |= versions[i].network;
        handled.scoped |= versions[i].scoped;
    }
    if (network->abstract)
        handled.scoped &= ~SCOPE_ABSTRACT;
    /* Older kernels take the longer structure as long as what they do not know of it is zero. */
    __attribute__((cleanup(cleanup_fd))) int ruleset =
        (int)syscall(CREATE_RULESET, &handled, sizeof handled, 0);
    if (ruleset < 0 || add_rules(ruleset, &handled, paths, network) != 0 ||
        syscall(RESTRICT_SELF, ruleset, 0) != 0) {
        (void)snprintf(text, size, "%s", strerror(errno));
        return false;
    }
    (void)snprintf(text, size, "version %d: files%s%s", version,
                   handled.network != 0 ? ", TCP ports" : "",
                   handled.scoped == 0 ? ""
                   : network->abstract ? ", signals"
                                       : ", signals and abstract sockets");
    return true;
}
