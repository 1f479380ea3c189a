#include "filter/glob.h"

bool glob_matches(struct slice pattern, struct slice text) {
    size_t p = 0;
    size_t t = 0;
    /* Where to go back to: the last star, and the text that it has not taken yet. Only the last
     * star matters: what an earlier one took can stay as short as it was. */
    bool starred = false;
    size_t star = 0;
    size_t taken = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            starred = true;
            star = ++p;
            taken = t;
        } else if (p < pattern.len && pattern.data[p] == text.data[t]) {
            p++;
            t++;
        } else if (starred) {
            p = star;
            t = ++taken;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*')
        p++;
    return p == pattern.len;
}
