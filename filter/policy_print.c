#include "filter/policy_print.h"

#include <inttypes.h>

#include "filter/arena.h"
#include "filter/policy_keys.h"
#include "filter/remedy.h"

enum { INDENT = 2, BILLION = 1000000000 };

static void new_line(struct policy_printer *printer) {
    (void)fprintf(printer->file, "\n%*s", (int)(printer->depth * INDENT), "");
}

void policy_print_open(struct policy_printer *printer, char bracket) {
    (void)fputc(bracket, printer->file);
    printer->depth++;
    printer->empty = true;
}

void policy_print_close(struct policy_printer *printer, char bracket) {
    printer->depth--;
    if (!printer->empty)
        new_line(printer);
    (void)fputc(bracket, printer->file);
    printer->empty = false;
}

void policy_print_item(struct policy_printer *printer, const char *name) {
    if (!printer->empty)
        (void)fputc(',', printer->file);
    new_line(printer);
    printer->empty = false;
    if (name == NULL)
        return;
    policy_print_text(printer, slice_from_string(name));
    (void)fputs(": ", printer->file);
}

void policy_print_text(struct policy_printer *printer, struct slice text) {
    struct arena arena = {0};
    const char *quoted = remedy_quote(&arena, text);
    (void)fputs(quoted != NULL ? quoted : "\"\"", printer->file);
    arena_reset(&arena);
}

static void print_words(struct policy_printer *printer, const struct filter_words *words) {
    (void)fputc('[', printer->file);
    for (size_t i = 0; i < words->count; i++) {
        (void)fputs(i > 0 ? ", " : "", printer->file);
        policy_print_text(printer, slice_from_string(words->items[i]));
    }
    (void)fputc(']', printer->file);
}

static void print_binds(struct policy_printer *printer, const struct filter_binds *binds) {
    policy_print_open(printer, '[');
    for (size_t i = 0; i < binds->count; i++) {
        policy_print_item(printer, NULL);
        (void)fputs("{\"path\": ", printer->file);
        policy_print_text(printer, slice_from_string(binds->items[i].path));
        (void)fprintf(printer->file, ", \"read-only\": %s}",
                      binds->items[i].read_only ? "true" : "false");
    }
    policy_print_close(printer, ']');
}

static void print_commands(struct policy_printer *printer, const struct filter_exec *exec) {
    policy_print_open(printer, '[');
    for (size_t i = 0; i < exec->command_count; i++) {
        policy_print_item(printer, NULL);
        print_words(printer, &exec->commands[i]);
    }
    policy_print_close(printer, ']');
}

static void print_choice(struct policy_printer *printer, const struct policy_choice *choices,
                         unsigned value) {
    for (; choices->word != NULL; choices++)
        if (choices->value == value)
            policy_print_text(printer, slice_from_string(choices->word));
}

static void print_bits(struct policy_printer *printer, const struct policy_choice *choices,
                       unsigned bits) {
    const char *before = "";
    (void)fputc('[', printer->file);
    for (; choices->word != NULL; choices++) {
        if ((bits & choices->value) == 0)
            continue;
        (void)fputs(before, printer->file);
        policy_print_text(printer, slice_from_string(choices->word));
        before = ", ";
    }
    (void)fputc(']', printer->file);
}

/* Whether the absence of the key says the same as its value would. */
static bool is_absent(const struct policy_key *key, const void *value) {
    switch (key->kind) {
    case POLICY_TOP:
        return true;
    case POLICY_WORDS:
        return !((const struct filter_words *)value)->given;
    case POLICY_COMMANDS:
        return !((const struct filter_exec *)value)->commands_given;
    case POLICY_BYTES:
    case POLICY_COUNT:
    case POLICY_CPUS:
        return *(const uint64_t *)value == 0;
    case POLICY_SWITCH:
    case POLICY_DENIAL:
    case POLICY_VERDICT:
    case POLICY_CHOICE:
    case POLICY_BITS:
    case POLICY_VERSION:
    case POLICY_BINDS:
        break;
    }
    return false;
}

static unsigned as_unsigned(const void *value) {
    unsigned number;
    memcpy(&number, value, sizeof number);
    return number;
}

static void print_value(struct policy_printer *printer, const struct policy_key *key,
                        const void *value) {
    FILE *file = printer->file;
    switch (key->kind) {
    case POLICY_SWITCH:
        (void)fputs(*(const bool *)value ? "true" : "false", file);
        break;
    case POLICY_DENIAL:
        (void)fputs(*(const bool *)value ? "false" : "true", file);
        break;
    case POLICY_VERDICT:
        (void)fputs(*(const bool *)value ? "\"allow\"" : "\"deny\"", file);
        break;
    case POLICY_CHOICE:
        print_choice(printer, key->choices, as_unsigned(value));
        break;
    case POLICY_BITS:
        print_bits(printer, key->choices, as_unsigned(value));
        break;
    case POLICY_VERSION:
        (void)fprintf(file, "\"1.%u\"", as_unsigned(value));
        break;
    case POLICY_WORDS:
        print_words(printer, value);
        break;
    case POLICY_BINDS:
        print_binds(printer, value);
        break;
    case POLICY_COMMANDS:
        print_commands(printer, value);
        break;
    case POLICY_BYTES:
    case POLICY_COUNT:
        (void)fprintf(file, "%" PRIu64, *(const uint64_t *)value);
        break;
    case POLICY_CPUS:
        /* Fifteen digits are what a double holds, and more than the largest number has here. */
        (void)fprintf(file, "%.15g", (double)*(const uint64_t *)value / BILLION);
        break;
    case POLICY_TOP:
        break;
    }
}

/* How many characters of both paths are the sections that they share, with the point behind. */
static size_t shared_sections(const char *a, const char *b) {
    size_t shared = 0;
    for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++)
        if (a[i] == '.')
            shared = i + 1;
    return shared;
}

static size_t count_points(const char *text) {
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += *text == '.';
    return count;
}

/* Closes the sections of the key before that this one is not in, and opens its own. */
static void enter(struct policy_printer *printer, const char *before, const char *path) {
    size_t shared = shared_sections(before, path);
    for (size_t i = count_points(before + shared); i > 0; i--)
        policy_print_close(printer, '}');
    const char *rest = path + shared;
    for (const char *point = strchr(rest, '.'); point != NULL; point = strchr(rest, '.')) {
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)(point - rest), rest);
        policy_print_item(printer, name);
        policy_print_open(printer, '{');
        rest = point + 1;
    }
    policy_print_item(printer, rest);
}

void policy_print_keys(struct policy_printer *printer, const struct filter_settings *settings) {
    const char *before = "";
    for (size_t i = 0; i < policy_key_count; i++) {
        const struct policy_key *key = &policy_keys[i];
        const void *value = (const char *)settings + key->offset;
        if (is_absent(key, value))
            continue;
        enter(printer, before, key->path);
        print_value(printer, key, value);
        before = key->path;
    }
    for (size_t i = count_points(before); i > 0; i--)
        policy_print_close(printer, '}');
}
