/* The parts of TLS that the kernel leaves to us: records that are no data, ends, and splicing.
 * The client is ours with its keys in the kernel too, so that any record at all can be sent. */
#include <fcntl.h>

#include "support.h"

enum { CLIENT, SERVER };

struct pair {
    int fds[2];
    struct tls_session *sessions[2];
    struct tls_error error;
};

/* Between two of ours it is always TLS 1.3; the interop tests have 1.2. */
static struct tls_context *contexts[2];

static void open_pair(struct pair *pair) {
    enum tls_status status[2];
    struct tls_error errors[2] = {0};
    support_tcp_pair(pair->fds);
    for (int i = 0; i < 2; i++) {
        pair->sessions[i] = tls_session_new(contexts[i], pair->fds[i], NULL, &errors[i]);
        assert_non_null(pair->sessions[i]);
    }
    support_shake(pair->sessions[CLIENT], pair->sessions[SERVER], status, errors);
    if (status[CLIENT] != TLS_OK || status[SERVER] != TLS_OK)
        fail_msg("client: %s; server: %s", errors[CLIENT].text, errors[SERVER].text);
    assert_true(tls_kernel_reads(pair->sessions[SERVER]));
    assert_true(tls_kernel_writes(pair->sessions[SERVER]));
}

static struct pair new_pair(void) {
    struct pair pair = {0};
    open_pair(&pair);
    assert_true(tls_kernel_writes(pair.sessions[CLIENT]));
    return pair;
}

static void free_pair(struct pair *pair) {
    for (int i = 0; i < 2; i++) {
        tls_session_free(pair->sessions[i]);
        if (pair->fds[i] >= 0)
            close(pair->fds[i]);
    }
}

/* The client sends a record of any kind. */
static void inject(struct pair *pair, unsigned char type, const char *bytes, size_t size) {
    assert_int_equal(ktls_send(pair->fds[CLIENT], type, bytes, size), size);
}

/* What the server's next read comes to, waiting for it. */
static enum tls_status next_read(struct pair *pair, char *buffer, size_t size, size_t *got) {
    enum tls_status status;
    while ((status = tls_read(pair->sessions[SERVER], buffer, size, got, &pair->error)) ==
           TLS_WANT_READ)
        support_wait(pair->fds[SERVER], status);
    return status;
}

static void must_read(struct pair *pair, const char *wanted) {
    char in[64];
    size_t got = 0;
    if (support_read(pair->sessions[SERVER], pair->fds[SERVER], in, strlen(wanted), &got,
                     &pair->error) != TLS_OK)
        fail_msg("%s", pair->error.text);
    assert_memory_equal(in, wanted, strlen(wanted));
}

static void must_fail(struct pair *pair, const char *why) {
    char in[64];
    size_t got = 1;
    pair->error.text[0] = '\0';
    assert_int_equal(next_read(pair, in, sizeof in, &got), TLS_FAILED);
    assert_int_equal(got, 0);
    if (strstr(pair->error.text, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", pair->error.text, why);
    assert_true(tls_peer_at_fault(pair->sessions[SERVER]));
    /* And stays so. */
    assert_int_equal(tls_read(pair->sessions[SERVER], in, sizeof in, &got, &pair->error),
                     TLS_FAILED);
}

static void both_ways(void **state) {
    (void)state;
    struct pair pair = new_pair();
    support_write(pair.sessions[CLIENT], pair.fds[CLIENT], "ping", 4);
    must_read(&pair, "ping");
    for (int round = 0; round < 3; round++) {
        char in[4];
        size_t got = 0;
        /* Past the tickets, which wolfSSL keeps, the kernel reads. */
        assert_int_equal(tls_kernel_reads(pair.sessions[CLIENT]), round > 0);
        support_write(pair.sessions[SERVER], pair.fds[SERVER], "pong", 4);
        assert_int_equal(
            support_read(pair.sessions[CLIENT], pair.fds[CLIENT], in, sizeof in, &got, &pair.error),
            TLS_OK);
        assert_memory_equal(in, "pong", 4);
    }
    assert_string_equal(tls_version_name(pair.sessions[SERVER]), "TLSv1.3");
    assert_non_null(strstr(tls_cipher_name(pair.sessions[SERVER]), "AES128"));
    assert_string_equal(tls_peer_name(pair.sessions[SERVER]), "agent");
    assert_int_equal(tls_pending(pair.sessions[SERVER]), 0);
    free_pair(&pair);
}

static void half_close_each_way(void **state) {
    (void)state;
    for (int first = CLIENT; first <= SERVER; first++) {
        struct pair pair = new_pair();
        int second = 1 - first;
        char in[8];
        size_t got = 0;
        support_write(pair.sessions[first], pair.fds[first], "last", 4);
        assert_int_equal(tls_close_write(pair.sessions[first], &pair.error), TLS_OK);
        assert_int_equal(tls_close_write(pair.sessions[first], &pair.error), TLS_OK);
        assert_int_equal(
            support_read(pair.sessions[second], pair.fds[second], in, 4, &got, &pair.error),
            TLS_OK);
        for (int again = 0; again < 2; again++)
            assert_int_equal(
                support_read(pair.sessions[second], pair.fds[second], in, 1, &got, &pair.error),
                TLS_EOF);
        support_write(pair.sessions[second], pair.fds[second], "more", 4);
        assert_int_equal(
            support_read(pair.sessions[first], pair.fds[first], in, 4, &got, &pair.error), TLS_OK);
        assert_memory_equal(in, "more", 4);
        free_pair(&pair);
    }
}

static void fin_without_close_notify_is_truncation(void **state) {
    (void)state;
    for (int splicing = 0; splicing < 2; splicing++) {
        struct pair pair = new_pair();
        support_write(pair.sessions[CLIENT], pair.fds[CLIENT], "cut", 3);
        assert_int_equal(shutdown(pair.fds[CLIENT], SHUT_WR), 0);
        must_read(&pair, "cut");
        char in[8];
        size_t got = 0;
        int ends[2];
        assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
        enum tls_status status;
        do
            status = splicing
                         ? tls_splice_read(pair.sessions[SERVER], ends[1], 16, &got, &pair.error)
                         : tls_read(pair.sessions[SERVER], in, sizeof in, &got, &pair.error);
        while (status == TLS_WANT_READ);
        assert_int_equal(status, TLS_TRUNCATED);
        close(ends[0]);
        close(ends[1]);
        free_pair(&pair);
    }
}

static void alerts(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        const char *why; /* NULL: it is passed over */
    } cases[] = {
        {"\x02\x14", "ended it with the alert bad_record_mac"},
        {"\x01\x14", "ended it with the alert bad_record_mac"}, /* the level says nothing */
        {"\x02\x2a", "bad_certificate"},
        {"\x02\xfe", "no standard knows"},
        {"\x01\x5a", NULL}, /* user_canceled: close_notify follows */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair pair = new_pair();
        inject(&pair, KTLS_ALERT, cases[i].bytes, 2);
        support_write(pair.sessions[CLIENT], pair.fds[CLIENT], "after", 5);
        if (cases[i].why != NULL)
            must_fail(&pair, cases[i].why);
        else
            must_read(&pair, "after");
        free_pair(&pair);
    }
}

static void messages_out_of_order(void **state) {
    (void)state;
    static const struct {
        unsigned char type;
        const char *bytes;
        size_t size;
        const char *why;
    } cases[] = {
        {KTLS_HANDSHAKE, "\x01\x00\x00\x01x", 5, "handshake message out of order (type 1)"},
        {KTLS_HANDSHAKE, "\x04\x00\x00\x01x", 5, "handshake message out of order (type 4)"},
        {KTLS_HANDSHAKE, "\x18\x00\x00\x02\x00\x00", 6, "out of order (type 24)"},
        {KTLS_HANDSHAKE, "\x0d\x00\x00\x00", 4, "out of order (type 13)"},
        {24, "\x01\x00\x00", 3, "record of type 24 out of order"},
        {20, "\x01", 1, "record of type 20 out of order"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair pair = new_pair();
        inject(&pair, cases[i].type, cases[i].bytes, cases[i].size);
        must_fail(&pair, cases[i].why);
        free_pair(&pair);
    }
}

/* A message in pieces is read as one. */
static void a_message_in_pieces(void **state) {
    (void)state;
    struct pair pair = new_pair();
    inject(&pair, KTLS_ALERT, "\x01", 1);
    inject(&pair, KTLS_ALERT, "\x00", 1);
    char in[8];
    size_t got = 0;
    assert_int_equal(next_read(&pair, in, sizeof in, &got), TLS_EOF);
    free_pair(&pair);
}

static void malformed_key_updates(void **state) {
    (void)state;
    struct pair pair = new_pair();
    inject(&pair, KTLS_HANDSHAKE, "\x18\x00\x00\x01\x02", 5);
    must_fail(&pair, "key update is malformed");
    free_pair(&pair);
}

/* Records that bring nothing cost bounded work, whoever reads them. */
static void floods_end(void **state) {
    (void)state;
    struct pair pair = new_pair();
    for (int i = 0; i < 100; i++)
        inject(&pair, KTLS_ALERT, "\x01\x5a", 2);
    must_fail(&pair, "too many records without data");
    free_pair(&pair);

    /* Some of them between data are fine, for ever. */
    pair = new_pair();
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 10; i++)
            inject(&pair, KTLS_ALERT, "\x01\x5a", 2);
        support_write(pair.sessions[CLIENT], pair.fds[CLIENT], "x", 1);
        must_read(&pair, "x");
    }
    free_pair(&pair);
}

/* A read takes no more than its buffer, and what it leaves is there for a splice. */
static void reads_peeks_and_splices_mix(void **state) {
    (void)state;
    struct pair pair = new_pair();
    struct tls_session *server = pair.sessions[SERVER];
    int ends[2];
    char in[16];
    size_t got = 0;
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(tls_peek(server, in, 4, &got, &pair.error), TLS_WANT_READ);
    assert_int_equal(tls_splice_read(server, ends[1], 4, &got, &pair.error), TLS_WANT_READ);

    support_write(pair.sessions[CLIENT], pair.fds[CLIENT], "abcdefgh", 8);
    inject(&pair, KTLS_ALERT, "\x01\x5a", 2);
    support_write(pair.sessions[CLIENT], pair.fds[CLIENT], "ijkl", 4);
    assert_int_equal(tls_close_write(pair.sessions[CLIENT], &pair.error), TLS_OK);

    support_wait(pair.fds[SERVER], TLS_WANT_READ);
    assert_int_equal(tls_peek(server, in, 2, &got, &pair.error), TLS_OK);
    assert_int_equal(got, 2);
    assert_memory_equal(in, "ab", 2);
    must_read(&pair, "abc");
    assert_int_equal(tls_splice_read(server, ends[1], 3, &got, &pair.error), TLS_OK);
    assert_int_equal(got, 3);
    assert_int_equal(read(ends[0], in, sizeof in), 3);
    assert_memory_equal(in, "def", 3);
    must_read(&pair, "gh");
    /* Past the alert, by a peek and by a splice. */
    enum tls_status status;
    while ((status = tls_splice_read(server, ends[1], 16, &got, &pair.error)) == TLS_WANT_READ)
        support_wait(pair.fds[SERVER], status);
    assert_int_equal(status, TLS_OK);
    assert_int_equal(read(ends[0], in, sizeof in), 4);
    assert_memory_equal(in, "ijkl", 4);
    while ((status = tls_splice_read(server, ends[1], 16, &got, &pair.error)) == TLS_WANT_READ)
        support_wait(pair.fds[SERVER], status);
    assert_int_equal(status, TLS_EOF);
    close(ends[0]);
    close(ends[1]);
    free_pair(&pair);
}

/* Empty records of data (RFC 8446 section 5.1 allows them) are neither data nor an end. */
static void empty_records_are_no_end(void **state) {
    (void)state;
    for (int splicing = 0; splicing < 2; splicing++) {
        struct pair pair = new_pair();
        int ends[2];
        char in[16];
        size_t got = 0;
        assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
        for (int i = 0; i < 3; i++)
            (void)ktls_send(pair.fds[CLIENT], KTLS_DATA, "", 0);
        support_write(pair.sessions[CLIENT], pair.fds[CLIENT], "data", 4);
        enum tls_status status;
        do
            status = splicing
                         ? tls_splice_read(pair.sessions[SERVER], ends[1], 16, &got, &pair.error)
                         : tls_read(pair.sessions[SERVER], in, sizeof in, &got, &pair.error);
        while (status == TLS_WANT_READ);
        assert_int_equal(status, TLS_OK);
        assert_int_equal(got, 4);
        close(ends[0]);
        close(ends[1]);
        free_pair(&pair);
    }
}

/* From a pipe through the kernel's TLS on both sides into a pipe, with the socket's buffers full at
 * times. */
static void splices_both_sides(void **state) {
    (void)state;
    enum { TOTAL = 8 << 20 };
    struct pair pair = new_pair();
    int out[2], in[2];
    static char bytes[65536];
    size_t fed = 0, sent = 0, taken = 0, checked = 0, waits = 0;
    assert_int_equal(pipe2(out, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(pipe2(in, O_NONBLOCK | O_CLOEXEC), 0);
    for (double end = support_now() + 4 * DEADLINE_SECONDS; checked < TOTAL;) {
        assert_true(support_now() < end);
        size_t moved = 0;
        if (fed == sent && fed < TOTAL) {
            for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = (char)((fed + i) * 7 / 5);
            ssize_t put = write(out[1], bytes, sizeof bytes);
            assert_true(put > 0);
            fed += (size_t)put;
        }
        if (sent < fed) {
            enum tls_status status =
                tls_splice_write(pair.sessions[CLIENT], out[0], fed - sent, &moved, &pair.error);
            assert_true(status == TLS_OK || status == TLS_WANT_WRITE);
            waits += status == TLS_WANT_WRITE;
            sent += moved;
            if (status == TLS_OK && taken + (1 << 18) > sent)
                continue; /* fill the socket first */
        }
        enum tls_status status =
            tls_splice_read(pair.sessions[SERVER], in[1], sizeof bytes, &moved, &pair.error);
        if (status != TLS_OK && status != TLS_WANT_READ)
            fail_msg("%s", pair.error.text);
        taken += moved;
        while (checked < taken) {
            ssize_t got = read(in[0], bytes, sizeof bytes);
            assert_true(got > 0);
            for (ssize_t i = 0; i < got; i++)
                if (bytes[i] != (char)((checked + (size_t)i) * 7 / 5))
                    fail_msg("byte %zu is wrong", checked + (size_t)i);
            checked += (size_t)got;
        }
    }
    assert_true(waits > 0);
    for (int i = 0; i < 2; i++) {
        close(out[i]);
        close(in[i]);
    }
    free_pair(&pair);
}

/* A client in user space, so that anything can be put on the wire. */
static void what_is_no_record_of_the_peers(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *why;
    } cases[] = {
        {"\x17\x03\x03\x00\x14 twenty bytes, sealed", 25, "damaged or forged"},
        {"\x17\x03\x03\x41\x12", 5, "longer than allowed"},
        {"GET / HTTP/1.1\r\n", 16, "failed: "},
        {"\x17\x03\x03\x00\x00", 5, "damaged or forged"},
    };
    struct tls_context *kernel = contexts[CLIENT];
    contexts[CLIENT] = support_client("ec", "agent", "localhost");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair pair = {0};
        open_pair(&pair);
        support_write(pair.sessions[CLIENT], pair.fds[CLIENT], "good", 4);
        must_read(&pair, "good");
        assert_int_equal(send(pair.fds[CLIENT], cases[i].bytes, cases[i].size, MSG_NOSIGNAL),
                         cases[i].size);
        must_fail(&pair, cases[i].why);
        free_pair(&pair);
    }
    tls_context_free(contexts[CLIENT]);
    contexts[CLIENT] = kernel;
}

static int set_up(void **state) {
    if (support_set_up(state) != 0)
        return -1;
    contexts[CLIENT] = support_kernel(support_client("ec", "agent", "localhost"));
    contexts[SERVER] = support_kernel(support_server("ec", "proxy"));
    return 0;
}

static int tear_down(void **state) {
    for (int i = 0; i < 2; i++)
        tls_context_free(contexts[i]);
    return support_tear_down(state);
}

/* What a kernel without TLS must answer. */
static void without_kernel_tls(void **state) {
    (void)state;
    char text[256] = "";
    assert_false(tls_kernel_available(text, sizeof text));
    assert_true(strlen(text) > 0);
    int fds[2];
    struct tls_context *required = support_server("ec", "proxy");
    struct tls_context *client = support_client("ec", "agent", "localhost");
    struct tls_context *automatic = support_server("ec", "proxy");
    tls_context_set_kernel(required, TLS_KERNEL_REQUIRE);
    tls_context_set_kernel(automatic, TLS_KERNEL_AUTO);
    struct tls_context *servers[] = {required, automatic};
    for (int i = 0; i < 2; i++) {
        struct tls_error errors[2] = {0};
        enum tls_status status[2];
        support_tcp_pair(fds);
        struct tls_session *ours = tls_session_new(servers[i], fds[1], NULL, &errors[1]);
        struct tls_session *theirs = tls_session_new(client, fds[0], NULL, &errors[0]);
        support_shake(theirs, ours, status, errors);
        assert_int_equal(status[1], i == 0 ? TLS_FAILED : TLS_OK);
        if (i == 0)
            assert_non_null(strstr(errors[1].text, "the kernel does not take its keys (TLSv1.3"));
        assert_false(tls_kernel_reads(ours));
        assert_false(tls_kernel_writes(ours));
        tls_session_free(theirs);
        tls_session_free(ours);
        close(fds[0]);
        close(fds[1]);
    }
    tls_context_free(required);
    tls_context_free(automatic);
    tls_context_free(client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(half_close_each_way),
        cmocka_unit_test(fin_without_close_notify_is_truncation),
        cmocka_unit_test(alerts),
        cmocka_unit_test(messages_out_of_order),
        cmocka_unit_test(a_message_in_pieces),
        cmocka_unit_test(malformed_key_updates),
        cmocka_unit_test(floods_end),
        cmocka_unit_test(reads_peeks_and_splices_mix),
        cmocka_unit_test(empty_records_are_no_end),
        cmocka_unit_test(splices_both_sides),
        cmocka_unit_test(what_is_no_record_of_the_peers),
    };
    const struct CMUnitTest fallback[] = {cmocka_unit_test(without_kernel_tls)};
    if (support_has_kernel())
        return cmocka_run_group_tests_name("kernel", tests, set_up, tear_down);
    puts("this kernel has no TLS: only the fallback is tested here");
    return cmocka_run_group_tests_name("fallback", fallback, set_up, tear_down);
}
