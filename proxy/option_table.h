/* The options, a row each: parsing, --help, --check-config and error messages all read this. */
#ifndef DIND_PROXY_PROXY_OPTION_TABLE_H
#define DIND_PROXY_PROXY_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/error.h"
#include "proxy/options.h"

struct option;

struct option_kind {
    bool repeatable; /* in the environment: separated by commas */
    /* Stores the value. The error says what is wrong with it, not where it stands. */
    int (*parse)(const struct option *option, const char *value, struct options *options,
                 struct error *error);
    /* Writes value number `index` as the command line would take it; false if there is none. */
    bool (*format)(const struct option *option, const struct options *options, size_t index,
                   char *text, size_t size);
};

struct option_choice {
    const char *word;
    int value;
};

struct option {
    const char *heading;     /* begins a part of --help */
    const char *flag;        /* the name, with its dashes */
    const char *environment; /* the variable */
    const char *argument;    /* what --help calls the value; NULL: a switch */
    const struct option_kind *kind;
    size_t field;         /* offset in struct config */
    const char *fallback; /* the default, as on the command line; NULL: none */
    const char *note;     /* how --help puts the default where `fallback` does not say it */
    const char *help;
    uint64_t minimum, maximum;           /* of numbers, in bytes, milliseconds or pieces */
    const struct option_choice *choices; /* ends with a NULL word; the first of a value names it */
};

extern const struct option option_table[];
extern const size_t option_count;

/* A command with options of its own has them in a set of its own. */
struct option_set {
    const char *command; /* as it is called; NULL: the set of option_table */
    const char *intro;   /* of its --help: what it does; ends with a line break */
    const char *statuses;
    const struct option *options;
    size_t count;
    /* After every option has its value: 0 or -1. NULL: nothing is left to check. */
    int (*check)(struct options *options, char *const environment[], struct error *error);
};

extern const struct option_set option_set_proxy;
extern const struct option_set option_set_certs;
extern const struct option_set option_set_doctor;
extern const struct option_set option_set_import_env;

struct option_command {
    const char *name; /* "--check-config", "explain" */
    const char *arguments;
    enum command command;
    size_t minimum, maximum; /* arguments */
    const char *help;
    const struct option_set *set; /* NULL: the proxy's */
};

extern const struct option_command option_commands[];
extern const size_t option_command_count;

/* The option of the set, or the command, that `text` (with its dashes) was probably meant to be,
 * NULL if none is near. As it stands in the tables. */
const char *option_suggest(const struct option_set *set, const char *text);

#endif
