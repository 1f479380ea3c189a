/* --help and --check-config's list, from the table. */
#include <string.h>

#include "proxy/option_table.h"

enum { WIDTH = 88, INDENT = 8 };

/* Words up to the margin, each line indented. */
static void wrap(const char *text, FILE *stream) {
    size_t column = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (column > 0 && column + 1 + length > WIDTH) {
            (void)fputc('\n', stream);
            column = 0;
        }
        (void)fprintf(stream, "%*s%.*s", column == 0 ? INDENT : 1, "", (int)length, text);
        column += (column == 0 ? INDENT : 1) + length;
        text += length;
        text += strspn(text, " ");
    }
    (void)fputc('\n', stream);
}

static void print_option(const struct option *option, FILE *stream) {
    if (option->heading != NULL)
        (void)fprintf(stream, "\n%s:\n", option->heading);
    (void)fprintf(stream, "  %s%s%s    (%s", option->flag, option->argument != NULL ? " " : "",
                  option->argument != NULL ? option->argument : "", option->environment);
    const char *fallback = option->note != NULL ? option->note : option->fallback;
    if (fallback != NULL && option->argument != NULL)
        (void)fprintf(stream, "; default: %s", fallback);
    (void)fputs(")\n", stream);
    wrap(option->help, stream);
}

static void print_options(const struct option_set *set, FILE *stream) {
    for (size_t i = 0; i < set->count; i++)
        print_option(&set->options[i], stream);
}

static void print_command_help(const struct options *options, FILE *stream) {
    const struct option_set *set = options->set;
    for (size_t i = 0; i < option_command_count; i++)
        if (option_commands[i].set == set)
            (void)fprintf(stream, "Usage: %s %s %s\n\n%s\n", options->program, set->command,
                          option_commands[i].arguments, set->intro);
    (void)fputs(
        "Each option may be given as --name VALUE or --name=VALUE, or as the environment variable\n"
        "beside it, with commas where an option is repeatable; the command line wins.\n",
        stream);
    print_options(set, stream);
    (void)fprintf(stream, "\nExit status:\n%s", set->statuses);
}

static void print_program_help(const char *program, FILE *stream) {
    (void)fprintf(stream, "Usage: %s [OPTION]...\n", program);
    for (size_t i = 0; i < option_command_count; i++)
        (void)fprintf(stream, "       %s %s%s%s%s\n", program,
                      option_commands[i].set == NULL ? "[OPTION]... " : "", option_commands[i].name,
                      option_commands[i].arguments != NULL ? " " : "",
                      option_commands[i].arguments != NULL ? option_commands[i].arguments : "");
    (void)fputs(
        "\nA filtering reverse proxy for the Docker Engine API: it lets an untrusted client build\n"
        "and run with a rootful Docker-in-Docker engine, and refuses the calls that break out.\n"
        "\nWithout a command it runs in the foreground until SIGTERM. SIGHUP makes it read keys,\n"
        "certificates and CAs again.\n\nCommands:\n",
        stream);
    for (size_t i = 0; i < option_command_count; i++) {
        (void)fprintf(stream, "  %s%s%s\n", option_commands[i].name,
                      option_commands[i].arguments != NULL ? " " : "",
                      option_commands[i].arguments != NULL ? option_commands[i].arguments : "");
        wrap(option_commands[i].help, stream);
    }
    (void)fputs(
        "\nEach option may be given as --name VALUE or --name=VALUE, or as the environment "
        "variable\n"
        "beside it. The command line wins over the environment, that over DOCKER_HOST,\n"
        "DOCKER_CERT_PATH and DOCKER_TLS_VERIFY, those over the default; an empty variable counts\n"
        "as not set. Where an option is repeatable its variable takes a list with commas; paths\n"
        "that contain commas go on the command line. Of any other option the last one counts.\n",
        stream);
    print_options(&option_set_proxy, stream);
    (void)fputs(
        "\nExit status:\n"
        "  0   ended in good order; explain: allowed; --healthcheck: healthy\n"
        "  1   failed while starting or running; explain: refused; --healthcheck: not healthy\n"
        "  2   the command line, the environment, a file, a key or a certificate is wrong;\n"
        "      explain: a malformed request, which would be answered with 400\n",
        stream);
}

void options_help(const struct options *options, FILE *stream) {
    if (options->set->command != NULL)
        print_command_help(options, stream);
    else
        print_program_help(options->program, stream);
}

void options_print(const struct options *options, FILE *stream) {
    char value[4200], line[4300];
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        const char *source = options->sources[i];
        for (size_t n = 0; option->kind->format(option, options, n, value, sizeof value); n++) {
            (void)snprintf(line, sizeof line, "%s=%s", option->flag, value);
            (void)fprintf(stream, "%-60s # %s\n", line,
                          source == NULL     ? "default"
                          : source[0] == '-' ? "command line"
                                             : source);
        }
    }
}
