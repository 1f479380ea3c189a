#include "proxy/options.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/option_check.h"
#include "proxy/option_table.h"

/* One option as the command line has it. */
struct given {
    const struct option *option;
    const char *value;
};

struct command_line {
    struct given *given; /* room for argc */
    size_t count;
    bool command_seen;
    size_t minimum; /* arguments of the command */
    size_t maximum;
};

static void free_given(struct command_line *line) {
    free(line->given);
}

static const struct option *find_option(const struct option_set *set, const char *flag,
                                        size_t length) {
    for (size_t i = 0; i < set->count; i++)
        if (strlen(set->options[i].flag) == length &&
            memcmp(set->options[i].flag, flag, length) == 0)
            return &set->options[i];
    return NULL;
}

static const struct option_command *find_command(const char *name) {
    if (strcmp(name, "-h") == 0)
        name = "--help";
    for (size_t i = 0; i < option_command_count; i++)
        if (strcmp(option_commands[i].name, name) == 0)
            return &option_commands[i];
    return NULL;
}

static int unknown(const struct options *options, const char *text, struct error *error) {
    const char *what = text[0] == '-' ? "option" : "command";
    size_t length = strcspn(text, "=");
    char word[64];
    if (length >= sizeof word)
        length = sizeof word - 1;
    memcpy(word, text, length);
    word[length] = '\0';

    const char *near = option_suggest(options->set, word);
    if (near == NULL)
        return error_set(error, "unknown %s \"%s\"; --help lists all", what, word);
    return error_set(error, "unknown %s \"%s\"; did you mean %s?", what, word, near);
}

static int take_command(const struct option_command *command, struct command_line *line,
                        struct options *options, struct error *error) {
    if (line->command_seen && options->command != command->command)
        return error_set(error, "%s cannot be joined with another command", command->name);
    /* Which options there are is then known too late for those in front. */
    if (command->set != NULL && line->count > 0)
        return error_set(error, "%s takes its own options, behind it; see %s --help", command->name,
                         command->name);
    if (command->set != NULL)
        options->set = command->set;
    line->command_seen = true;
    line->minimum = command->minimum;
    line->maximum = command->maximum;
    options->command = command->command;
    return 0;
}

/* Reads the option at argv[*at] and its value, and leaves *at on the last word that it used. */
static int take_option(int argc, char *const argv[], int *at, const struct options *options,
                       struct command_line *line, struct error *error) {
    const char *word = argv[*at];
    const char *equals = strchr(word, '=');
    size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const struct option *option = find_option(options->set, word, length);
    if (option == NULL)
        return unknown(options, word, error);

    struct given given = {option, "true"};
    if (equals != NULL) {
        given.value = equals + 1;
    } else if (option->argument != NULL) {
        /* A value that looks like an option is more likely a forgotten value. */
        if (*at + 1 >= argc || strncmp(argv[*at + 1], "--", 2) == 0)
            return error_set(error, "%s needs a value: %s", option->flag, option->argument);
        given.value = argv[++*at];
    }
    line->given[line->count++] = given;
    return 0;
}

static int take_argument(const char *word, struct command_line *line, struct options *options,
                         struct error *error) {
    if (!line->command_seen) {
        const struct option_command *command = find_command(word);
        return command != NULL ? take_command(command, line, options, error)
                               : unknown(options, word, error);
    }
    if (options->argument_count == line->maximum)
        return error_set(error, "unexpected argument \"%.100s\"", word);
    options->arguments[options->argument_count++] = word;
    return 0;
}

/* --help and --version end the reading, so that they work whatever else is wrong. */
static bool is_final(enum command command) {
    return command == COMMAND_HELP || command == COMMAND_VERSION;
}

static int read_words(int argc, char *const argv[], int first, struct command_line *line,
                      struct options *options, struct error *error) {
    bool only_arguments = false;
    for (int i = first; i < argc && !is_final(options->command); i++) {
        const char *word = argv[i];
        bool dashed = !only_arguments && word[0] == '-' && word[1] != '\0';
        const struct option_command *command = dashed ? find_command(word) : NULL;
        int result = 0;
        if (dashed && strcmp(word, "--") == 0)
            only_arguments = true;
        else if (command != NULL && is_final(command->command))
            options->command = command->command;
        else if (command != NULL)
            result = take_command(command, line, options, error);
        else if (dashed)
            result = take_option(argc, argv, &i, options, line, error);
        else
            result = take_argument(word, line, options, error);
        if (result != 0)
            return -1;
    }
    if (!is_final(options->command) && options->argument_count < line->minimum)
        return error_set(error, "explain needs METHOD TARGET [BODY-FILE]");
    return 0;
}

/* The index of the first word after the program's name; sets that name. As a jailoc command it is
 * called as `jailoc system dind-proxy …`. */
static int read_program(int argc, char *const argv[], struct options *options,
                        struct error *error) {
    const char *path = argc > 0 ? argv[0] : "";
    const char *slash = strrchr(path, '/');
    options->program = "dind-proxy";
    if (strcmp(slash != NULL ? slash + 1 : path, "jailoc") != 0)
        return argc > 0 ? 1 : 0;
    options->program = "jailoc system dind-proxy";
    if (argc < 3 || strcmp(argv[1], "system") != 0 || strcmp(argv[2], "dind-proxy") != 0)
        return error_set(error, "called as jailoc, this program needs: jailoc system dind-proxy …");
    return 3;
}

const char *option_environment(char *const environment[], const char *name) {
    size_t length = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return (*environment)[length + 1] != '\0' ? *environment + length + 1 : NULL;
    return NULL;
}

/* Paths and URLs come back in the message in full, values of which only the syntax matters cut. */
int option_apply(const struct option *option, const char *value, const char *source,
                 struct options *options, struct error *error) {
    struct error detail = {""};
    if (option->kind->parse(option, value, options, &detail) == 0) {
        options->sources[option - options->set->options] = source;
        return 0;
    }
    return error_set(error, "%s%s%.160s: %s", source, source[0] == '-' ? " " : "=", value,
                     detail.text);
}

const struct option *option_for(size_t field) {
    for (size_t i = 0; i < option_count; i++)
        if (option_table[i].field == field)
            return &option_table[i];
    return NULL;
}

/* The command line's values of one option; how many there were, or -1. */
static int apply_command_line(const struct option *option, const struct command_line *line,
                              struct options *options, struct error *error) {
    const struct given *last = NULL;
    int count = 0;
    for (size_t i = 0; i < line->count; i++) {
        const struct given *given = &line->given[i];
        if (given->option != option)
            continue;
        count++;
        last = given;
        if (option->kind->repeatable &&
            option_apply(option, given->value, option->flag, options, error) != 0)
            return -1;
    }
    if (last != NULL && !option->kind->repeatable &&
        option_apply(option, last->value, option->flag, options, error) != 0)
        return -1;
    return count;
}

static int apply_list(const struct option *option, const char *list, struct options *options,
                      struct error *error) {
    char *copy = strdup(list);
    char *rest = copy, *value;
    int result = copy == NULL ? error_set(error, "out of memory") : 0;
    options->sources[option - options->set->options] = option->environment;
    while (result == 0 && (value = strsep(&rest, ",")) != NULL)
        if (*value != '\0')
            result = option_apply(option, value, option->environment, options, error);
    free(copy);
    return result;
}

static int apply(const struct option *option, const struct command_line *line,
                 char *const environment[], struct options *options, struct error *error) {
    int count = apply_command_line(option, line, options, error);
    if (count != 0)
        return count < 0 ? -1 : 0;
    const char *value = option_environment(environment, option->environment);
    if (value != NULL && option->kind->repeatable)
        return apply_list(option, value, options, error);
    if (value != NULL)
        return option_apply(option, value, option->environment, options, error);
    if (option->fallback == NULL)
        return 0;
    int result = option_apply(option, option->fallback, option->flag, options, error);
    options->sources[option - options->set->options] = NULL;
    return result;
}

int options_parse(int argc, char *const argv[], char *const environment[], struct options *options,
                  struct error *error) {
    memset(options, 0, sizeof *options);
    options->set = &option_set_proxy;
    options->argc = argc;
    options->argv = argv;
    options->environment = environment;
    options->config.filter.allow_binds = (const char *const *)options->config.bind_strings;

    int first = read_program(argc, argv, options, error);
    if (first < 0)
        return -1;
    __attribute__((cleanup(free_given))) struct command_line line = {0};
    line.given = calloc((size_t)argc + 1, sizeof *line.given);
    if (line.given == NULL)
        return error_set(error, "out of memory");
    if (read_words(argc, argv, first, &line, options, error) != 0)
        return -1;
    if (is_final(options->command))
        return 0;
    const struct option_set *set = options->set;
    for (size_t i = 0; i < set->count; i++)
        if (apply(&set->options[i], &line, environment, options, error) != 0)
            return -1;
    return set->check != NULL ? set->check(options, environment, error) : 0;
}

void options_free(struct options *options) {
    struct config *config = &options->config;
    const struct tls_files *files[] = {&config->server_tls, &config->upstream_files};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        free((char *)files[i]->certificate);
        free((char *)files[i]->key);
        free((char *)files[i]->authority);
    }
    free(config->upstream_name);
    free(config->message_prefix);
    free(config->policy_file);
    free(config->audit_log);
    free(config->learn_file);
    free(config->explain_as);
    free(config->health_certificate);
    free(config->health_key);
    free(config->health_authority);
    for (size_t i = 0; i < config->filter.allow_bind_count; i++)
        free(config->bind_strings[i]);
    certs_settings_free(&config->certs);
    doctor_settings_free(&config->doctor);
    *config = (struct config){0};
}
