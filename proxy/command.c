#include "proxy/command.h"

#include <stdio.h>
#include <string.h>

int command_fail(enum exit_status status, const struct error *error) {
    /* What was written so far belongs before it. */
    (void)fflush(stdout);
    /* A message repeats what it was given, which must not forge lines or drive the terminal. */
    char text[sizeof error->text];
    size_t length = strlen(error->text);
    for (size_t i = 0; i <= length; i++) {
        unsigned char c = (unsigned char)error->text[i];
        text[i] = i < length && (c < ' ' || c == 0x7f) ? '?' : error->text[i];
    }
    (void)fprintf(stderr, "dind-proxy: %s\n", text);
    return (int)status;
}
