#include "proxy/sandbox_privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

bool sandbox_no_new_privileges(char *text, size_t size) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        return true;
    (void)snprintf(text, size, "%s", strerror(errno));
    return false;
}

/* RLIMIT_NPROC is not among them: it counts all processes of the user, not ours. Nor is
 * RLIMIT_FSIZE: standard error may be a file, and grows. Nor RLIMIT_NOFILE, which is what
 * --max-connections needs. */
bool sandbox_no_core_dumps(char *text, size_t size) {
    const struct rlimit none = {0, 0};
    /* One by one, as the C libraries differ in the type of the first argument. */
    if (setrlimit(RLIMIT_CORE, &none) != 0 || setrlimit(RLIMIT_MSGQUEUE, &none) != 0 ||
        setrlimit(RLIMIT_RTPRIO, &none) != 0 || setrlimit(RLIMIT_NICE, &none) != 0) {
        (void)snprintf(text, size, "a limit could not be lowered: %s", strerror(errno));
        return false;
    }
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
        return true;
    (void)snprintf(text, size, "%s", strerror(errno));
    return false;
}

/* The sets as capget(2) has them: two words of 32 each. */
struct capabilities {
    uint64_t effective, permitted, inheritable;
};

enum { WORDS = _LINUX_CAPABILITY_U32S_3, WORD_BITS = 32 };

static int get_capabilities(struct capabilities *sets) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct words[WORDS] = {{0}};
    *sets = (struct capabilities){0};
    if (syscall(SYS_capget, &header, words) != 0)
        return -1;
    for (size_t i = 0; i < WORDS; i++) {
        sets->effective |= (uint64_t)words[i].effective << (i * WORD_BITS);
        sets->permitted |= (uint64_t)words[i].permitted << (i * WORD_BITS);
        sets->inheritable |= (uint64_t)words[i].inheritable << (i * WORD_BITS);
    }
    return 0;
}

static int set_capabilities(const struct capabilities *sets) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct words[WORDS] = {{0}};
    for (size_t i = 0; i < WORDS; i++) {
        words[i].effective = (uint32_t)(sets->effective >> (i * WORD_BITS));
        words[i].permitted = (uint32_t)(sets->permitted >> (i * WORD_BITS));
        words[i].inheritable = (uint32_t)(sets->inheritable >> (i * WORD_BITS));
    }
    return (int)syscall(SYS_capset, &header, words);
}

/* What a program could get that we execute. Takes CAP_SETPCAP; without it, it stays as it is, and
 * no new privileges see to it that it is of no use. */
static void drop_bounding(void) {
    for (unsigned long i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
        (void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* The first path that can be used with the capabilities as they are, and not without; NULL if there
 * is none. */
static const char *find_dependent(const struct capabilities *now,
                                  const struct sandbox_paths *paths) {
    const struct capabilities rest = {.permitted = now->permitted};
    for (size_t i = 0; i < paths->count; i++) {
        const struct sandbox_path *path = &paths->entries[i];
        bool before = sandbox_path_permitted(path);
        if (set_capabilities(&rest) != 0)
            return NULL;
        bool after = sandbox_path_permitted(path);
        if (set_capabilities(now) != 0)
            return NULL;
        if (before && !after)
            return path->path;
    }
    return NULL;
}

bool sandbox_no_capabilities(const struct sandbox_paths *paths, char *text, size_t size) {
    const uint64_t override = 1ULL << CAP_DAC_OVERRIDE;
    struct capabilities sets;
    if (get_capabilities(&sets) != 0) {
        (void)snprintf(text, size, "%s", strerror(errno));
        return false;
    }
    const char *path = (sets.effective & override) != 0 ? find_dependent(&sets, paths) : NULL;
    drop_bounding();
    const uint64_t kept = path != NULL ? override : 0;
    const struct capabilities rest = {.effective = kept, .permitted = kept};
    /* None may be set where none are there: some filters know no capset at all. */
    if ((sets.effective | sets.permitted | sets.inheritable) != 0 && set_capabilities(&rest) != 0) {
        (void)snprintf(text, size, "%s", strerror(errno));
        return false;
    }
    if (path == NULL)
        return true;
    (void)snprintf(text, size, "CAP_DAC_OVERRIDE is kept: without it %s could not be used", path);
    return false;
}
