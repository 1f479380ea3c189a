#include "proxy/log_record.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { RECORD_END = 2 }; /* room kept for "}" and the newline */

static bool put(struct log_record *record, const char *data, size_t len) {
    if (sizeof record->text - RECORD_END - record->len < len)
        return false;
    memcpy(record->text + record->len, data, len);
    record->len += len;
    return true;
}

static bool put_string(struct log_record *record, const char *string) {
    return put(record, string, strlen(string));
}

static bool put_key(struct log_record *record, const char *key) {
    if (!record->json)
        return (record->len == record->start || put(record, " ", 1)) && put_string(record, key) &&
               put(record, "=", 1);
    return put_string(record, record->len == record->start ? "{\"" : ",\"") &&
           put_string(record, key) && put_string(record, "\":");
}

/* How many bytes one byte of a quoted value becomes. */
static size_t width(unsigned char c) {
    return c == '"' || c == '\\' ? 2 : c < 0x20 || c >= 0x7f ? 6 : 1;
}

static bool put_quoted(struct log_record *record, struct slice value) {
    bool ok = put(record, "\"", 1);
    for (size_t i = 0; ok && i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        char escaped[8];
        if (c == '"' || c == '\\') {
            escaped[0] = '\\';
            escaped[1] = (char)c;
            ok = put(record, escaped, 2);
        } else if (c < 0x20 || c >= 0x7f) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)c);
            ok = put(record, escaped, 6);
        } else {
            ok = put(record, value.data + i, 1);
        }
    }
    return ok && put(record, "\"", 1);
}

static bool is_bare(struct slice value) {
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return value.len > 0;
}

void log_slice(struct log_record *record, const char *key, struct slice value) {
    size_t start = record->len;
    if (!put_key(record, key) ||
        !(!record->json && is_bare(value) ? put(record, value.data, value.len)
                                          : put_quoted(record, value)))
        record->len = start;
}

struct slice log_shorten(struct slice value) {
    size_t len = 0;
    size_t used = 0;
    while (len < value.len && used + width((unsigned char)value.data[len]) <= LOG_VALUE)
        used += width((unsigned char)value.data[len++]);
    while (len > 0 && len < value.len && ((unsigned char)value.data[len] & 0xc0) == 0x80)
        len--;
    return slice_first(value, len);
}

void log_string(struct log_record *record, const char *key, const char *value) {
    log_slice(record, key, slice_from_string(value));
}

/* The last `digits` decimal digits of `value`, at `text`. */
static void put_digits(char *text, size_t digits, uint64_t value) {
    while (digits-- > 0) {
        text[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

void log_number(struct log_record *record, const char *key, uint64_t value) {
    size_t start = record->len;
    size_t digits = 1;
    for (uint64_t rest = value / 10; rest > 0; rest /= 10)
        digits++;
    char text[20]; /* UINT64_MAX */
    put_digits(text, digits, value);
    if (!put_key(record, key) || !put(record, text, digits))
        record->len = start;
}

/* All but the milliseconds is kept for the rest of the second, for it costs as much as the rest of
 * a line. */
struct slice log_record_now(void) {
    enum { MS_LEN = sizeof ".999Z" - 1 };
    static _Thread_local struct {
        time_t second;
        size_t len; /* 0 at first */
        char text[40];
    } kept;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return SLICE("");
    if (kept.len == 0 || kept.second != now.tv_sec) {
        struct tm utc;
        kept.len = gmtime_r(&now.tv_sec, &utc) == NULL
                       ? 0
                       : strftime(kept.text, sizeof kept.text - MS_LEN, "%Y-%m-%dT%H:%M:%S", &utc);
        kept.second = now.tv_sec;
        if (kept.len == 0)
            return SLICE("");
        kept.text[kept.len] = '.';
        kept.text[kept.len + MS_LEN - 1] = 'Z';
    }
    put_digits(kept.text + kept.len + 1, 3, (uint64_t)now.tv_nsec / 1000000);
    return slice_of(kept.text, kept.len + MS_LEN);
}

void log_record_start(struct log_record *record, enum log_level level, bool json, bool journal) {
    static const char *const priorities[] = {"<7>", "<6>", "<4>", "<3>"}; /* as in syslog(3) */
    record->level = level;
    record->json = json;
    record->dropped = 0;
    record->len = record->start = 0;
    if (!journal)
        return;
    (void)put_string(record, priorities[level]);
    record->start = record->len;
}

void log_record_close(struct log_record *record) {
    if (record->json)
        record->text[record->len++] = '}';
    record->text[record->len++] = '\n';
}
