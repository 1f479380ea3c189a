/* One sentence for people about what went wrong at start-up or on the control path. */
#ifndef DIND_PROXY_PROXY_ERROR_H
#define DIND_PROXY_PROXY_ERROR_H

struct error {
    char text[512];
};

/* Fills `error` and returns -1, so that callers can `return error_set(error, …)`. */
__attribute__((format(printf, 2, 3))) int error_set(struct error *error, const char *format, ...);

#endif
