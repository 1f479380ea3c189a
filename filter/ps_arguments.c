#include "filter/ps_arguments.h"

#include <stddef.h>

#include "filter/split.h"

/* "pid,user:20,%cpu": no header of its own. Whatever follows pid, that is the line's first word. */
static bool is_format(struct slice format, bool first) {
    struct splitter splitter = split_start(format, ',');
    struct slice word;
    for (bool begins = first; split_next(&splitter, &word); begins = false) {
        if (word.len == 0 || (begins && !slice_equal(word, SLICE("pid"))))
            return false;
        for (size_t i = 0; i < word.len; i++) {
            char c = word.data[i];
            if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '%' &&
                c != ':')
                return false;
        }
    }
    return true;
}

/* Selections, and "-o FORMAT" or "-oFORMAT" any number of times; the engine splits at spaces. */
static bool are_formats(struct slice arguments) {
    static const struct slice selections[] = {SLICE("-e"), SLICE("-A"), SLICE("-a"),
                                              SLICE("ax"), SLICE("-x"), SLICE("-ax")};
    struct splitter splitter = split_start(arguments, ' ');
    struct slice word;
    bool first = true;
    while (split_next(&splitter, &word)) {
        if (slice_is_one_of(word, selections, sizeof selections / sizeof selections[0]))
            continue;
        size_t option = slice_starts_with(word, SLICE("-eo")) ? 3 : 2;
        if (!slice_starts_with(word, SLICE("-o")) && option == 2)
            return false;
        struct slice format = slice_from(word, option);
        if (format.len == 0 && !split_next(&splitter, &format))
            return false;
        if (!is_format(format, first))
            return false;
        first = false;
    }
    return true;
}

bool ps_arguments_are_harmless(struct slice arguments) {
    static const struct slice lists[] = {
        SLICE(""),    SLICE("-f"),   SLICE("-l"),   SLICE("-ef"),   SLICE("-eF"),  SLICE("-elf"),
        SLICE("aux"), SLICE("-aux"), SLICE("auxw"), SLICE("auxww"), SLICE("faux"),
    };
    return slice_is_one_of(arguments, lists, sizeof lists / sizeof lists[0]) ||
           are_formats(arguments);
}
