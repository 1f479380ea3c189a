#include "proxy/option_value.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether snprintf wrote something and all of it. */
static bool fits(int length, size_t size) {
    return length >= 0 && (size_t)length < size;
}

bool option_read_number(const char *text, uint64_t maximum, uint64_t *number) {
    uint64_t value = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (maximum - digit) / 10 || digit > maximum)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return true;
}

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* Biggest first, so that the way back finds the shortest form. */
static const struct unit duration_units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit size_units[] = {{"m", 1 << 20}, {"k", 1 << 10}, {"", 1}};

static bool read_with_unit(const char *text, const struct unit *units, size_t unit_count,
                           uint64_t *result) {
    char digits[24];
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length >= sizeof digits)
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    for (size_t i = 0; i < unit_count; i++) {
        uint64_t number = 0;
        if (strcmp(text + length, units[i].suffix) != 0)
            continue;
        if (!option_read_number(digits, UINT64_MAX / units[i].factor, &number))
            return false;
        *result = number * units[i].factor;
        return true;
    }
    return false;
}

static bool write_with_unit(uint64_t value, const struct unit *units, char *text, size_t size) {
    while (value % units->factor != 0)
        units++;
    return fits(snprintf(text, size, "%" PRIu64 "%s", value / units->factor, units->suffix), size);
}

bool option_read_duration(const char *text, uint64_t *milliseconds) {
    if (strcmp(text, "0") == 0) {
        *milliseconds = 0;
        return true;
    }
    return read_with_unit(text, duration_units, sizeof duration_units / sizeof *duration_units,
                          milliseconds);
}

bool option_read_size(const char *text, uint64_t *bytes) {
    char lower[24];
    size_t length = strlen(text);
    if (length >= sizeof lower)
        return false;
    for (size_t i = 0; i <= length; i++)
        lower[i] = slice_ascii_lower(text[i]);
    return read_with_unit(lower, size_units, sizeof size_units / sizeof *size_units, bytes);
}

/* Switches */

static int parse_switch(const struct option *option, const char *value, struct options *options,
                        struct error *error) {
    static const struct option_choice words[] = {{"true", 1}, {"false", 0}, {"1", 1},  {"0", 0},
                                                 {"yes", 1},  {"no", 0},    {"on", 1}, {"off", 0}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(value, words[i].word) == 0) {
            *(bool *)option_field(option, options) = words[i].value != 0;
            return 0;
        }
    }
    return error_set(error, "must be true or false");
}

static bool format_switch(const struct option *option, const struct options *options, size_t index,
                          char *text, size_t size) {
    bool value = *(const bool *)option_field_const(option, options);
    return index == 0 && fits(snprintf(text, size, "%s", value ? "true" : "false"), size);
}

const struct option_kind option_kind_switch = {false, parse_switch, format_switch};

/* Strings */

static int store_string(const struct option *option, const char *value, struct options *options,
                        struct error *error) {
    char **place = option_field(option, options);
    char *copy = strdup(value);
    if (copy == NULL)
        return error_set(error, "out of memory");
    free(*place);
    *place = copy;
    return 0;
}

static int parse_file(const struct option *option, const char *value, struct options *options,
                      struct error *error) {
    if (*value == '\0')
        return error_set(error, "needs the name of a file");
    return store_string(option, value, options, error);
}

static int parse_name(const struct option *option, const char *value, struct options *options,
                      struct error *error) {
    if (*value == '\0' || strlen(value) > 255)
        return error_set(error, "must be from 1 to 255 characters long");
    for (const char *c = value; *c != '\0'; c++)
        if (*c <= ' ' || *c == 0x7f)
            return error_set(error, "must be a host name or an IP address");
    return store_string(option, value, options, error);
}

static bool format_string(const struct option *option, const struct options *options, size_t index,
                          char *text, size_t size) {
    char *const *value = option_field_const(option, options);
    return index == 0 && *value != NULL && fits(snprintf(text, size, "%s", *value), size);
}

/* The length of one UTF-8 sequence (RFC 3629 section 4) that is no control character; 0 if bad. */
static size_t printable_sequence(const unsigned char *s) {
    if (s[0] < 0x80)
        return s[0] < 0x20 || s[0] == 0x7f ? 0 : 1;
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    /* A NUL that ends the string early is no continuation byte either. */
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ||
        (s[0] == 0xc2 && s[1] < 0xa0))
        return 0;
    return length;
}

static int parse_text(const struct option *option, const char *value, struct options *options,
                      struct error *error) {
    if (*value == '\0' || strlen(value) > option->maximum)
        return error_set(error, "must be from 1 to %" PRIu64 " bytes long", option->maximum);
    const unsigned char *s = (const unsigned char *)value;
    while (*s != '\0') {
        size_t length = printable_sequence(s);
        if (length == 0)
            return error_set(error, "must be UTF-8 without control characters");
        s += length;
    }
    return store_string(option, value, options, error);
}

const struct option_kind option_kind_file = {false, parse_file, format_string};
const struct option_kind option_kind_name = {false, parse_name, format_string};
const struct option_kind option_kind_text = {false, parse_text, format_string};

/* Choices. Enums are read and written as int, whatever the compiler makes of their sign. */

_Static_assert(sizeof(enum filter_preset) == sizeof(int) &&
                   sizeof(enum filter_buildkit) == sizeof(int) &&
                   sizeof(enum config_log_format) == sizeof(int),
               "choices are stored as int");

static int parse_choice(const struct option *option, const char *value, struct options *options,
                        struct error *error) {
    char known[160] = "";
    for (const struct option_choice *choice = option->choices; choice->word != NULL; choice++) {
        if (strcmp(value, choice->word) == 0) {
            memcpy(option_field(option, options), &choice->value, sizeof choice->value);
            return 0;
        }
        size_t used = strlen(known);
        (void)snprintf(known + used, sizeof known - used, "%s%s", used > 0 ? ", " : "",
                       choice->word);
    }
    return error_set(error, "must be one of: %s", known);
}

static bool format_choice(const struct option *option, const struct options *options, size_t index,
                          char *text, size_t size) {
    int value;
    memcpy(&value, option_field_const(option, options), sizeof value);
    for (const struct option_choice *choice = option->choices; choice->word != NULL; choice++)
        if (choice->value == value)
            return index == 0 && fits(snprintf(text, size, "%s", choice->word), size);
    return false;
}

const struct option_kind option_kind_choice = {false, parse_choice, format_choice};

/* Numbers */

static bool in_range(const struct option *option, uint64_t number) {
    return number >= option->minimum && number <= option->maximum;
}

static int parse_count(const struct option *option, const char *value, struct options *options,
                       struct error *error) {
    uint64_t number;
    if (!option_read_number(value, UINT32_MAX, &number) || !in_range(option, number))
        return error_set(error, "must be a number from %" PRIu64 " to %" PRIu64, option->minimum,
                         option->maximum);
    *(unsigned *)option_field(option, options) = (unsigned)number;
    return 0;
}

static bool format_count(const struct option *option, const struct options *options, size_t index,
                         char *text, size_t size) {
    unsigned value = *(const unsigned *)option_field_const(option, options);
    return index == 0 && fits(snprintf(text, size, "%u", value), size);
}

const struct option_kind option_kind_count = {false, parse_count, format_count};

/* The processors that this process may run on: in a container often fewer than the machine has. */
static uint64_t processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (uint64_t)CPU_COUNT(&set);
    /* More processors than the set has room for. */
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint64_t)online : 1;
}

static int parse_workers(const struct option *option, const char *value, struct options *options,
                         struct error *error) {
    if (strcmp(value, "auto") != 0)
        return parse_count(option, value, options, error);
    uint64_t number = processors();
    if (number > option->maximum)
        number = option->maximum;
    *(unsigned *)option_field(option, options) = (unsigned)number;
    return 0;
}

const struct option_kind option_kind_workers = {false, parse_workers, format_count};

static int parse_size(const struct option *option, const char *value, struct options *options,
                      struct error *error) {
    uint64_t bytes;
    if (option_read_size(value, &bytes) && in_range(option, bytes)) {
        *(size_t *)option_field(option, options) = (size_t)bytes;
        return 0;
    }
    char least[32] = "", most[32] = "";
    (void)write_with_unit(option->minimum, size_units, least, sizeof least);
    (void)write_with_unit(option->maximum, size_units, most, sizeof most);
    return error_set(error, "must be a size from %s to %s, such as 65536, 64k or 4m", least, most);
}

static bool format_size(const struct option *option, const struct options *options, size_t index,
                        char *text, size_t size) {
    size_t value = *(const size_t *)option_field_const(option, options);
    return index == 0 && write_with_unit(value, size_units, text, size);
}

const struct option_kind option_kind_size = {false, parse_size, format_size};

static int parse_duration(const struct option *option, const char *value, struct options *options,
                          struct error *error) {
    uint64_t milliseconds;
    if (option_read_duration(value, &milliseconds) && in_range(option, milliseconds)) {
        *(unsigned *)option_field(option, options) = (unsigned)milliseconds;
        return 0;
    }
    char least[32] = "0", most[32] = "";
    if (option->minimum > 0)
        (void)write_with_unit(option->minimum, duration_units, least, sizeof least);
    (void)write_with_unit(option->maximum, duration_units, most, sizeof most);
    return error_set(error, "must be a time from %s to %s with its unit: ms, s, m or h", least,
                     most);
}

static bool format_duration(const struct option *option, const struct options *options,
                            size_t index, char *text, size_t size) {
    unsigned value = *(const unsigned *)option_field_const(option, options);
    if (value == 0)
        return index == 0 && fits(snprintf(text, size, "0"), size);
    return index == 0 && write_with_unit(value, duration_units, text, size);
}

const struct option_kind option_kind_duration = {false, parse_duration, format_duration};

static int parse_floor(const struct option *option, const char *value, struct options *options,
                       struct error *error) {
    uint64_t minor;
    /* A leading zero would name another version to some readers. */
    if (strncmp(value, "1.", 2) != 0 || value[2] == '0' ||
        !option_read_number(value + 2, option->maximum, &minor) || minor < option->minimum)
        return error_set(error, "must be an API version from 1.%" PRIu64 " to 1.%" PRIu64,
                         option->minimum, option->maximum);
    *(unsigned *)option_field(option, options) = (unsigned)minor;
    return 0;
}

static bool format_floor(const struct option *option, const struct options *options, size_t index,
                         char *text, size_t size) {
    unsigned value = *(const unsigned *)option_field_const(option, options);
    return index == 0 && fits(snprintf(text, size, "1.%u", value), size);
}

const struct option_kind option_kind_floor = {false, parse_floor, format_floor};

static int parse_bind(const struct option *option, const char *value, struct options *options,
                      struct error *error) {
    struct config *config = &options->config;
    (void)option;
    if (value[0] != '/')
        return error_set(error, "must be an absolute path");
    if (config->filter.allow_bind_count == CONFIG_MAX_BINDS)
        return error_set(error, "one too many; there is room for %d", CONFIG_MAX_BINDS);
    char *copy = strdup(value);
    if (copy == NULL)
        return error_set(error, "out of memory");
    config->bind_strings[config->filter.allow_bind_count++] = copy;
    return 0;
}

static bool format_bind(const struct option *option, const struct options *options, size_t index,
                        char *text, size_t size) {
    (void)option;
    return index < options->config.filter.allow_bind_count &&
           fits(snprintf(text, size, "%s", options->config.bind_strings[index]), size);
}

const struct option_kind option_kind_bind = {true, parse_bind, format_bind};
