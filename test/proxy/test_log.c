#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "proxy/log.h"

/* --- what lands on standard error --- */

static int real_stderr = -1;
static char captured[1 << 16];
static size_t captured_len;

static void capture(void) {
    int file = memfd_create("stderr", 0);
    assert_true(file >= 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0);
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    close(file);
}

static void release(void) {
    ssize_t n = pread(STDERR_FILENO, captured, sizeof captured - 1, 0);
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    assert_true(n >= 0);
    captured_len = (size_t)n;
    captured[captured_len] = '\0';
}

/* Cuts the time out, having looked at its form, so that the rest can be compared. */
static void strip_time(char *line, const char *before, const char *after) {
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    size_t start = strlen(before);
    assert_memory_equal(line, before, start);
    for (size_t i = 0; form[i] != '\0'; i++) {
        char c = line[start + i];
        assert_true(form[i] == 'd' ? c >= '0' && c <= '9' : c == form[i]);
    }
    size_t end = start + strlen(form);
    assert_memory_equal(line + end, after, strlen(after));
    end += strlen(after);
    memmove(line, line + end, strlen(line + end) + 1);
}

static void write_sample(void) {
    struct log_record record;
    log_begin(&record, LOG_WARNING, "request");
    log_string(&record, "bare", "a/b:c?d");
    log_string(&record, "spaced", "a b");
    log_string(&record, "empty", "");
    log_slice(&record, "none", slice_of(NULL, 0));
    log_slice(&record, "odd", SLICE("a\"b\\c=d\n\0\x7f\xc3\xa9"));
    log_number(&record, "zero", 0);
    log_number(&record, "most", UINT64_MAX);
    log_end(&record);
}

static void a_line_is_key_value(void **state) {
    (void)state;
    log_configure(LOG_INFO, false);
    capture();
    write_sample();
    release();
    strip_time(captured, "time=", " ");
    assert_string_equal(captured,
                        "level=warning event=request bare=a/b:c?d spaced=\"a b\" empty=\"\" "
                        "none=\"\" odd=\"a\\\"b\\\\c=d\\u000a\\u0000\\u007f\\u00c3\\u00a9\" zero=0 "
                        "most=18446744073709551615\n");
}

static void a_line_is_json(void **state) {
    (void)state;
    log_configure(LOG_INFO, true);
    capture();
    write_sample();
    release();
    strip_time(captured, "{\"time\":\"", "\",");
    assert_string_equal(captured,
                        "\"level\":\"warning\",\"event\":\"request\",\"bare\":\"a/b:c?d\","
                        "\"spaced\":\"a b\",\"empty\":\"\",\"none\":\"\","
                        "\"odd\":\"a\\\"b\\\\c=d\\u000a\\u0000\\u007f\\u00c3\\u00a9\",\"zero\":0,"
                        "\"most\":18446744073709551615}\n");
}

static uint64_t now_ms(void) {
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Over more than a second, since all of a time but its milliseconds is kept that long. */
static void a_line_has_the_time_it_was_written_at(void **state) {
    (void)state;
    log_configure(LOG_INFO, false);
    for (uint64_t start = now_ms(); now_ms() < start + 1200;) {
        capture();
        uint64_t before = now_ms();
        log_message(LOG_INFO, "test", "x");
        uint64_t after = now_ms();
        release();
        struct tm utc = {0};
        const char *fraction = strptime(captured, "time=%Y-%m-%dT%H:%M:%S.", &utc);
        assert_non_null(fraction);
        uint64_t written = (uint64_t)timegm(&utc) * 1000 + strtoull(fraction, NULL, 10);
        assert_in_range(written, before, after);
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000}, NULL);
    }
}

static void lower_levels_are_left_out(void **state) {
    (void)state;
    static const enum log_level levels[] = {LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR};
    static const char *const names[] = {"debug", "info", "warning", "error"};
    for (size_t i = 0; i < 4; i++) {
        log_configure(levels[i], false);
        for (size_t j = 0; j < 4; j++) {
            char expected[80];
            assert_int_equal(log_enabled(levels[j]), j >= i);
            capture();
            log_message(levels[j], "test", "%d of %s", 1, "two");
            release();
            snprintf(expected, sizeof expected, "level=%s event=test message=\"1 of two\"\n",
                     names[j]);
            if (j >= i)
                strip_time(captured, "time=", " ");
            assert_string_equal(captured, j >= i ? expected : "");
            struct log_record record;
            capture();
            log_begin(&record, levels[j], "x");
            log_end(&record);
            release();
            assert_int_equal(captured_len > 0, j >= i);
        }
    }
}

static int hex_at(const char *text, size_t digits) {
    char part[5] = "";
    char *end = NULL;
    memcpy(part, text, digits);
    long value = strtol(part, &end, 16);
    assert_ptr_equal(end, part + digits);
    return (int)value;
}

/* Undoes the escapes of a quoted string at `*at` and leaves `*at` behind it. */
static size_t unquote(const char **at, char *out) {
    size_t len = 0;
    const char *c = *at;
    assert_int_equal(*c++, '"');
    while (*c != '"') {
        unsigned char byte = (unsigned char)*c;
        assert_true(byte >= 0x20 && byte < 0x7f);
        if (*c != '\\') {
            out[len++] = *c++;
        } else if (c[1] == 'u') {
            out[len++] = (char)hex_at(c + 2, 4);
            c += 6;
        } else {
            assert_true(c[1] == '"' || c[1] == '\\');
            out[len++] = c[1];
            c += 2;
        }
    }
    *at = c + 1;
    return len;
}

/* No byte may end the line, forge a field or reach a terminal. */
static void every_byte_is_escaped(void **state) {
    (void)state;
    for (int json = 0; json < 2; json++) {
        log_configure(LOG_INFO, json);
        for (int byte = 0; byte < 256; byte++) {
            const char value[] = {'a', (char)byte, 'b'};
            struct log_record record;
            capture();
            log_begin(&record, LOG_INFO, "e");
            log_slice(&record, "k", slice_of(value, sizeof value));
            log_string(&record, "last", "z");
            log_end(&record);
            release();
            strip_time(captured, json ? "{\"time\":\"" : "time=", json ? "\"," : " ");
            const char *prefix =
                json ? "\"level\":\"info\",\"event\":\"e\",\"k\":" : "level=info event=e k=";
            const char *at = captured + strlen(prefix);
            assert_memory_equal(captured, prefix, strlen(prefix));
            if (*at == '"') {
                char found[32];
                assert_int_equal(unquote(&at, found), sizeof value);
                assert_memory_equal(found, value, sizeof value);
            } else {
                assert_false(json);
                assert_true(byte > 0x20 && byte < 0x7f && strchr("\"\\=", byte) == NULL);
                assert_memory_equal(at, value, sizeof value);
                at += sizeof value;
            }
            assert_string_equal(at, json ? ",\"last\":\"z\"}\n" : " last=z\n");
        }
    }
}

/* `count` times the same character. */
static size_t shortened(const char *character, size_t count) {
    char text[LOG_LINE];
    size_t width = strlen(character);
    assert_true(count * width <= sizeof text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * width, character, width);
    struct slice rest = log_shorten(slice_of(text, count * width));
    assert_ptr_equal(rest.data, text);
    return rest.len;
}

static void long_values_are_shortened_by_whole_characters(void **state) {
    (void)state;
    assert_int_equal(shortened("a", 0), 0);
    assert_int_equal(shortened("a", LOG_VALUE), LOG_VALUE);
    assert_int_equal(shortened("a", LOG_VALUE + 1), LOG_VALUE);
    assert_int_equal(shortened("\"", LOG_VALUE), LOG_VALUE / 2);
    assert_int_equal(shortened("\xc3\xa9", 100), 200);
    assert_int_equal(shortened("\xc3\xa9", 1000), LOG_VALUE / 12 * 2);
    assert_int_equal(shortened("\xe8\xaa\x9e", 1000), LOG_VALUE / 18 * 3);
    assert_int_equal(shortened("\xf0\x9f\x90\xb3", 1000), LOG_VALUE / 24 * 4);
}

static void fields_that_do_not_fit_are_left_out_whole(void **state) {
    (void)state;
    enum { RECORD = sizeof(((struct log_record *)0)->text) };
    static char value[RECORD + 100];
    memset(value, 'x', sizeof value);
    for (int json = 0; json < 2; json++) {
        log_configure(LOG_INFO, json);
        size_t longest = 0;
        for (size_t len = RECORD - 200; len <= sizeof value; len++) {
            struct log_record record;
            capture();
            log_begin(&record, LOG_INFO, "e");
            log_string(&record, "first", "1");
            log_slice(&record, "big", slice_of(value, len));
            log_number(&record, "n", 7);
            log_string(&record, "last", "z");
            log_end(&record);
            release();
            assert_true(captured_len <= RECORD);
            assert_int_equal(captured[captured_len - 1], '\n');
            if (json)
                assert_int_equal(captured[captured_len - 2], '}');
            assert_non_null(strstr(captured, json ? "\"first\":\"1\"" : "first=1"));
            const char *big = strstr(captured, json ? "\"big\":\"" : "big=");
            if (big != NULL) {
                assert_int_equal(strspn(strchr(big, 'x'), "x"), len);
                longest = len;
            } else {
                /* The smaller ones after it still fit. */
                assert_non_null(strstr(captured, json ? ",\"n\":7," : " n=7 "));
                assert_non_null(strstr(captured, json ? ",\"last\":\"z\"}\n" : " last=z\n"));
            }
        }
        assert_true(longest > RECORD - 200 && longest < RECORD);
    }
    /* A value of escapes is cut nowhere either. */
    log_configure(LOG_INFO, true);
    memset(value, 1, sizeof value);
    capture();
    struct log_record record;
    log_begin(&record, LOG_INFO, "e");
    log_slice(&record, "big", slice_of(value, 1000));
    log_end(&record);
    release();
    assert_null(strstr(captured, "big"));
    assert_non_null(strstr(captured, "\"event\":\"e\"}\n"));
}

/* --- the writing thread --- */

struct reader {
    int from;
    char *data;
    size_t len;
};

static void *read_all(void *argument) {
    struct reader *reader = argument;
    size_t size = 1 << 16;
    ssize_t n = 0;
    reader->data = malloc(size + 1);
    while (reader->data != NULL &&
           (n = read(reader->from, reader->data + reader->len, size - reader->len)) > 0) {
        reader->len += (size_t)n;
        if (reader->len == size) {
            size *= 2;
            reader->data = realloc(reader->data, size + 1);
        }
    }
    if (reader->data != NULL)
        reader->data[reader->len] = '\0';
    return NULL;
}

/* Standard error becomes a pipe; the other end is returned. */
static int pipe_stderr(void) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(real_stderr >= 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    return ends[0];
}

static void restore_stderr(void) {
    assert_int_equal(dup2(real_stderr, STDERR_FILENO), STDERR_FILENO);
    close(real_stderr);
}

static void write_filler(size_t thread, size_t number, size_t padding) {
    char text[3000];
    memset(text, 'x', sizeof text);
    struct log_record record;
    log_begin(&record, LOG_INFO, "filler");
    log_number(&record, "thread", thread);
    log_number(&record, "number", number);
    log_slice(&record, "text", slice_of(text, padding));
    log_string(&record, "end", "end");
    log_end(&record);
}

/* Checks that each line is whole and that each thread's are in order; counts what the log says was
 * dropped. Returns the number of lines found. */
static size_t check_lines(char *data, size_t threads, size_t padding, size_t *dropped) {
    size_t found = 0;
    size_t next[16] = {0};
    *dropped = 0;
    char *save = NULL;
    for (char *line = strtok_r(data, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        size_t thread = 0;
        size_t number = 0;
        size_t count = 0;
        const char *message = strstr(line, "message=\"");
        if (message != NULL) {
            assert_int_equal(sscanf(message, "message=\"%zu lines were dropped", &count), 1);
            assert_non_null(strstr(line, "level=warning"));
            *dropped += count;
            continue;
        }
        const char *fields = strstr(line, " event=filler thread=");
        assert_non_null(fields);
        assert_int_equal(sscanf(fields, " event=filler thread=%zu number=%zu", &thread, &number),
                         2);
        assert_true(thread < threads && number >= next[thread]);
        next[thread] = number + 1;
        const char *text = strstr(fields, " text=");
        assert_non_null(text);
        assert_int_equal(strspn(text + 6, "x"), padding);
        assert_string_equal(text + 6 + padding, " end=end");
        found++;
    }
    return found;
}

static void an_overflow_is_counted_and_reported(void **state) {
    (void)state;
    enum { LINES = 1000, PADDING = 3000 };
    log_configure(LOG_INFO, false);
    struct reader reader = {.from = pipe_stderr()};
    pthread_t thread = {0};
    bool ok = log_start() == 0 && log_attach() == 0;
    /* Nobody reads yet: this must return all the same. */
    for (size_t i = 0; ok && i < LINES; i++)
        write_filler(0, i, PADDING);
    ok = ok && pthread_create(&thread, NULL, read_all, &reader) == 0;
    if (ok)
        log_stop();
    restore_stderr();
    assert_true(ok);
    pthread_join(thread, NULL);
    close(reader.from);
    assert_non_null(reader.data);
    size_t dropped = 0;
    size_t found = check_lines(reader.data, 1, PADDING, &dropped);
    assert_true(found > 0);
    assert_true(dropped > 0);
    assert_int_equal(found + dropped, LINES);
    free(reader.data);
}

enum { THREADS = 4, LINES_EACH = 2000, SHORT_PADDING = 20 };

struct job {
    pthread_t thread;
    size_t index;
    bool attach;
    bool ok;
};

static void *run_job(void *argument) {
    struct job *job = argument;
    job->ok = !job->attach || log_attach() == 0;
    for (size_t i = 0; i < LINES_EACH; i++)
        write_filler(job->index, i, SHORT_PADDING);
    return NULL;
}

/* The lines of all fit into the rings, so none may be lost. */
static void lines_of_several_threads_stay_whole(void **state) {
    (void)state;
    for (int attach = 0; attach < 2; attach++) {
        struct job jobs[THREADS];
        log_configure(LOG_INFO, false);
        struct reader reader = {.from = pipe_stderr()};
        pthread_t thread = {0};
        bool ok = log_start() == 0 && pthread_create(&thread, NULL, read_all, &reader) == 0;
        for (size_t i = 0; ok && i < THREADS; i++) {
            jobs[i] = (struct job){.index = i, .attach = attach};
            ok = pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]) == 0;
        }
        for (size_t i = 0; ok && i < THREADS; i++)
            ok = pthread_join(jobs[i].thread, NULL) == 0 && jobs[i].ok;
        log_stop();
        restore_stderr();
        assert_true(ok);
        pthread_join(thread, NULL);
        close(reader.from);
        assert_non_null(reader.data);
        size_t dropped = 0;
        assert_int_equal(check_lines(reader.data, THREADS, SHORT_PADDING, &dropped),
                         THREADS * LINES_EACH);
        assert_int_equal(dropped, 0);
        free(reader.data);
    }
}

static void it_starts_and_stops_again(void **state) {
    (void)state;
    log_configure(LOG_INFO, false);
    log_stop(); /* not running: nothing happens */
    for (int i = 0; i < 20; i++) {
        capture();
        bool ok = log_start() == 0 && log_attach() == 0;
        write_filler(0, 0, 5);
        log_stop();
        write_filler(0, 1, 5); /* directly again */
        release();
        assert_true(ok);
        size_t dropped = 0;
        assert_int_equal(check_lines(captured, 1, 5, &dropped), 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_key_value),
        cmocka_unit_test(a_line_is_json),
        cmocka_unit_test(a_line_has_the_time_it_was_written_at),
        cmocka_unit_test(lower_levels_are_left_out),
        cmocka_unit_test(every_byte_is_escaped),
        cmocka_unit_test(long_values_are_shortened_by_whole_characters),
        cmocka_unit_test(fields_that_do_not_fit_are_left_out_whole),
        cmocka_unit_test(an_overflow_is_counted_and_reported),
        cmocka_unit_test(lines_of_several_threads_stay_whole),
        cmocka_unit_test(it_starts_and_stops_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
