#include "proxy/accounts.h"

#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>

/* More names than the options can have are looked up each time. */
enum { REMEMBERED = 64, NAME_SIZE = 64 };

struct memory {
    size_t count;
    struct {
        char name[NAME_SIZE];
        id_t id;
    } entries[REMEMBERED];
};

static struct memory users, groups;

static bool recall(const struct memory *memory, const char *name, id_t *id) {
    for (size_t i = 0; i < memory->count; i++) {
        if (strcmp(memory->entries[i].name, name) != 0)
            continue;
        *id = memory->entries[i].id;
        return true;
    }
    return false;
}

static void remember(struct memory *memory, const char *name, id_t id) {
    size_t length = strlen(name);
    if (memory->count == REMEMBERED || length >= NAME_SIZE)
        return;
    memcpy(memory->entries[memory->count].name, name, length + 1);
    memory->entries[memory->count++].id = id;
}

bool account_user(const char *name, uid_t *user) {
    if (*name == '\0')
        return false;
    if (recall(&users, name, user))
        return true;
    const struct passwd *found = getpwnam(name); // NOLINT(concurrency-mt-unsafe)
    if (found == NULL)
        return false;
    *user = found->pw_uid;
    remember(&users, name, *user);
    return true;
}

bool account_group(const char *name, gid_t *group) {
    if (*name == '\0')
        return false;
    if (recall(&groups, name, group))
        return true;
    const struct group *found = getgrnam(name); // NOLINT(concurrency-mt-unsafe)
    if (found == NULL)
        return false;
    *group = found->gr_gid;
    remember(&groups, name, *group);
    return true;
}
