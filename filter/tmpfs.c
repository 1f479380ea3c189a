#include "filter/tmpfs.h"

#include <stddef.h>

#include "filter/ascii.h"
#include "filter/split.h"

bool tmpfs_value_is_plain(struct slice value) {
    for (size_t i = 0; i < value.len; i++)
        if (!ascii_is_alphanumeric(value.data[i]) && value.data[i] != '%')
            return false;
    return value.len > 0;
}

static bool option_is_harmless(struct slice option) {
    static const struct slice flags[] = {
        SLICE("ro"),         SLICE("rw"),       SLICE("exec"),        SLICE("noexec"),
        SLICE("suid"),       SLICE("nosuid"),   SLICE("dev"),         SLICE("nodev"),
        SLICE("sync"),       SLICE("async"),    SLICE("atime"),       SLICE("noatime"),
        SLICE("nodiratime"), SLICE("relatime"), SLICE("strictatime"), SLICE("defaults"),
    };
    static const struct slice values[] = {
        SLICE("size="), SLICE("nr_blocks="), SLICE("nr_inodes="), SLICE("mode="),
        SLICE("uid="),  SLICE("gid="),       SLICE("huge="),
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (slice_equal(option, flags[i]))
            return true;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (slice_starts_with(option, values[i]))
            return tmpfs_value_is_plain(slice_from(option, values[i].len));
    return false;
}

bool tmpfs_options_are_harmless(struct slice options) {
    if (options.len == 0)
        return true;
    struct splitter splitter = split_start(options, ',');
    struct slice option;
    while (split_next(&splitter, &option))
        if (!option_is_harmless(option))
            return false;
    return true;
}
