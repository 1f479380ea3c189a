/* Both ends are ours: what reading, writing, closing and resuming promise. */
#include <pthread.h>
#include <sys/ioctl.h>

#include "support.h"

struct pair {
    int fds[2];
    struct tls_context *contexts[2];
    struct tls_session *sessions[2];
    struct tls_error errors[2];
};

enum { CLIENT, SERVER };

static void open_sessions(struct pair *pair, struct tls_resumption *resumption) {
    for (int i = 0; i < 2; i++) {
        pair->sessions[i] = tls_session_new(pair->contexts[i], pair->fds[i],
                                            i == CLIENT ? resumption : NULL, &pair->errors[i]);
        assert_non_null(pair->sessions[i]);
    }
    enum tls_status status[2];
    support_shake(pair->sessions[CLIENT], pair->sessions[SERVER], status, pair->errors);
    if (status[CLIENT] != TLS_OK || status[SERVER] != TLS_OK)
        fail_msg("client: %s; server: %s", pair->errors[CLIENT].text, pair->errors[SERVER].text);
}

static struct pair new_pair(int buffer) {
    struct pair pair = {0};
    support_pair(pair.fds, buffer);
    pair.contexts[CLIENT] = support_client("ec", "agent", "localhost");
    pair.contexts[SERVER] = support_server("ec", "proxy");
    open_sessions(&pair, NULL);
    return pair;
}

static void close_sessions(struct pair *pair) {
    for (int i = 0; i < 2; i++) {
        tls_session_free(pair->sessions[i]);
        pair->sessions[i] = NULL;
        if (pair->fds[i] >= 0)
            close(pair->fds[i]);
    }
}

static void free_pair(struct pair *pair) {
    close_sessions(pair);
    for (int i = 0; i < 2; i++)
        tls_context_free(pair->contexts[i]);
}

static void facts_after_the_handshake(void **state) {
    (void)state;
    struct pair pair = new_pair(0);
    assert_string_equal(tls_peer_name(pair.sessions[SERVER]), "agent");
    assert_string_equal(tls_peer_name(pair.sessions[CLIENT]), "dind-proxy");
    for (int i = 0; i < 2; i++) {
        assert_string_equal(tls_version_name(pair.sessions[i]), "TLSv1.3");
        assert_non_null(strstr(tls_cipher_name(pair.sessions[i]), "AES128"));
        assert_false(tls_resumed(pair.sessions[i]));
        assert_int_equal(tls_pending(pair.sessions[i]), 0);
    }
    free_pair(&pair);
}

/* Moves `size` patterned bytes from one end to the other in a non-blocking loop. */
static void transfer(struct pair *pair, int from, size_t size) {
    int to = 1 - from;
    enum { CHUNK = 40000 };
    static char out[CHUNK], in[CHUNK];
    size_t sent = 0, received = 0, waits = 0;
    for (double end = support_now() + DEADLINE_SECONDS; received < size;) {
        assert_true(support_now() < end);
        if (sent < size) {
            size_t len = size - sent < CHUNK ? size - sent : CHUNK;
            for (size_t i = 0; i < len; i++)
                out[i] = (char)((sent + i) * 7 / 5);
            size_t put = 0;
            enum tls_status status =
                tls_write(pair->sessions[from], out, len, &put, &pair->errors[from]);
            assert_true(status == TLS_OK || status == TLS_WANT_WRITE);
            assert_int_equal(status == TLS_OK, put > 0);
            assert_true(put <= len);
            sent += put;
            waits += status == TLS_WANT_WRITE;
        }
        size_t got = 0;
        enum tls_status status =
            tls_read(pair->sessions[to], in, sizeof in, &got, &pair->errors[to]);
        assert_true(status == TLS_OK || status == TLS_WANT_READ);
        for (size_t i = 0; i < got; i++)
            if (in[i] != (char)((received + i) * 7 / 5))
                fail_msg("byte %zu is wrong", received + i);
        received += got;
        assert_true(received <= sent + 16384);
    }
    assert_int_equal(sent, size);
    /* Otherwise the test has not seen what it is for. */
    assert_true(waits > 0);
}

static void large_transfers_through_tiny_buffers(void **state) {
    (void)state;
    struct pair pair = new_pair(4096);
    transfer(&pair, CLIENT, 16 << 20);
    transfer(&pair, SERVER, 16 << 20);
    free_pair(&pair);
}

static void blocked_write_retries_with_other_address_and_more(void **state) {
    (void)state;
    struct pair pair = new_pair(4096);
    char first[16384], later[32768];
    memset(first, 'a', sizeof first);
    memset(later, 'a', sizeof first);
    memset(later + sizeof first, 'b', sizeof later - sizeof first);
    size_t put = 1;
    assert_int_equal(tls_write(pair.sessions[CLIENT], first, sizeof first, &put, NULL),
                     TLS_WANT_WRITE);
    assert_int_equal(put, 0);
    static char in[65536];
    size_t received = 0, sent = 0;
    while (received < sizeof later) {
        size_t got = 0;
        if (sent < sizeof later) {
            enum tls_status status =
                tls_write(pair.sessions[CLIENT], later + sent, sizeof later - sent, &put, NULL);
            assert_true(status == TLS_OK || status == TLS_WANT_WRITE);
            sent += put;
        }
        enum tls_status status =
            tls_read(pair.sessions[SERVER], in + received, sizeof in - received, &got, NULL);
        assert_true(status == TLS_OK || status == TLS_WANT_READ);
        received += got;
    }
    assert_int_equal(sent, sizeof later);
    assert_int_equal(received, sizeof later);
    assert_memory_equal(in, later, sizeof later);
    free_pair(&pair);
}

static void pending_tells_what_is_left_of_a_record(void **state) {
    (void)state;
    struct pair pair = new_pair(0);
    support_write(pair.sessions[CLIENT], pair.fds[CLIENT], "0123456789", 10);
    char in[16];
    size_t got = 0;
    assert_int_equal(support_read(pair.sessions[SERVER], pair.fds[SERVER], in, 4, &got, NULL),
                     TLS_OK);
    assert_int_equal(tls_pending(pair.sessions[SERVER]), 6);
    assert_int_equal(tls_read(pair.sessions[SERVER], in, sizeof in, &got, NULL), TLS_OK);
    assert_int_equal(got, 6);
    assert_memory_equal(in, "456789", 6);
    assert_int_equal(tls_pending(pair.sessions[SERVER]), 0);
    free_pair(&pair);
}

static void handshake_reads_nothing_beyond_itself(void **state) {
    (void)state;
    struct pair pair = {0};
    support_pair(pair.fds, 0);
    pair.contexts[CLIENT] = support_client("ec", "agent", "localhost");
    pair.contexts[SERVER] = support_server("ec", "proxy");
    for (int i = 0; i < 2; i++)
        pair.sessions[i] = tls_session_new(pair.contexts[i], pair.fds[i], NULL, &pair.errors[i]);
    while (tls_handshake(pair.sessions[CLIENT], &pair.errors[CLIENT]) != TLS_OK)
        assert_int_equal(tls_handshake(pair.sessions[SERVER], &pair.errors[SERVER]), TLS_WANT_READ);
    /* The client's Finished and its first bytes lie in one socket buffer now. */
    support_write(pair.sessions[CLIENT], pair.fds[CLIENT], "0123456789", 10);
    assert_int_equal(tls_handshake(pair.sessions[SERVER], &pair.errors[SERVER]), TLS_OK);
    assert_int_equal(tls_pending(pair.sessions[SERVER]), 0);
    int left = 0;
    assert_int_equal(ioctl(pair.fds[SERVER], FIONREAD, &left), 0);
    assert_int_equal(left, 5 + 10 + 1 + 16); /* header, bytes, inner type, tag */
    free_pair(&pair);
}

static void close_notify_is_eof_and_half_closes(void **state) {
    (void)state;
    struct pair pair = new_pair(0);
    char in[16];
    size_t got = 0;
    support_write(pair.sessions[CLIENT], pair.fds[CLIENT], "last", 4);
    assert_int_equal(tls_close_write(pair.sessions[CLIENT], NULL), TLS_OK);
    assert_int_equal(tls_close_write(pair.sessions[CLIENT], NULL), TLS_OK);
    size_t put = 0;
    assert_int_equal(tls_write(pair.sessions[CLIENT], "x", 1, &put, NULL), TLS_FAILED);
    assert_int_equal(support_read(pair.sessions[SERVER], pair.fds[SERVER], in, 5, &got, NULL),
                     TLS_EOF);
    assert_int_equal(got, 4);
    assert_int_equal(tls_read(pair.sessions[SERVER], in, sizeof in, &got, NULL), TLS_EOF);
    /* The other direction is as alive as before. */
    support_write(pair.sessions[SERVER], pair.fds[SERVER], "answer", 6);
    assert_int_equal(tls_close_write(pair.sessions[SERVER], NULL), TLS_OK);
    assert_int_equal(support_read(pair.sessions[CLIENT], pair.fds[CLIENT], in, 7, &got, NULL),
                     TLS_EOF);
    assert_int_equal(got, 6);
    /* Exactly two close_notify records were sent, one a direction: nothing is left over. */
    for (int i = 0; i < 2; i++) {
        int left = -1;
        assert_int_equal(ioctl(pair.fds[i], FIONREAD, &left), 0);
        assert_int_equal(left, 0);
    }
    free_pair(&pair);
}

static void close_notify_waits_for_a_full_socket(void **state) {
    (void)state;
    struct pair pair = new_pair(4096);
    static char block[16384];
    size_t put = 0, sent = 0, got = 0, received = 0;
    enum tls_status status;
    while ((status = tls_write(pair.sessions[SERVER], block, sizeof block, &put, NULL)) == TLS_OK)
        sent += put;
    assert_int_equal(status, TLS_WANT_WRITE);
    assert_int_equal(tls_close_write(pair.sessions[SERVER], NULL), TLS_WANT_WRITE);
    enum tls_status closing = TLS_WANT_WRITE;
    for (;;) {
        if (closing == TLS_WANT_WRITE)
            closing = tls_close_write(pair.sessions[SERVER], NULL);
        status = tls_read(pair.sessions[CLIENT], block, sizeof block, &got, NULL);
        received += got;
        if (status == TLS_EOF)
            break;
        assert_true(status == TLS_OK || status == TLS_WANT_READ);
    }
    assert_int_equal(closing, TLS_OK);
    assert_int_equal(received, sent + sizeof block);
    free_pair(&pair);
}

static void fin_without_close_notify_is_truncation(void **state) {
    (void)state;
    struct pair pair = new_pair(0);
    char in[16];
    size_t got = 0;
    support_write(pair.sessions[CLIENT], pair.fds[CLIENT], "half", 4);
    assert_int_equal(shutdown(pair.fds[CLIENT], SHUT_WR), 0);
    assert_int_equal(support_read(pair.sessions[SERVER], pair.fds[SERVER], in, 5, &got, NULL),
                     TLS_TRUNCATED);
    assert_int_equal(got, 4);
    assert_int_equal(tls_read(pair.sessions[SERVER], in, sizeof in, &got, NULL), TLS_TRUNCATED);
    /* Even then the answer can still be given, and closed properly. */
    support_write(pair.sessions[SERVER], pair.fds[SERVER], "answer", 6);
    assert_int_equal(tls_close_write(pair.sessions[SERVER], NULL), TLS_OK);
    assert_int_equal(support_read(pair.sessions[CLIENT], pair.fds[CLIENT], in, 7, &got, NULL),
                     TLS_EOF);
    assert_int_equal(got, 6);
    free_pair(&pair);
}

static void fin_within_a_record_is_truncation(void **state) {
    (void)state;
    struct pair pair = new_pair(0);
    char in[16];
    size_t got = 0;
    assert_int_equal(write(pair.fds[CLIENT], "\x17\x03\x03\x00\x40garbage", 12), 12);
    assert_int_equal(tls_read(pair.sessions[SERVER], in, sizeof in, &got, NULL), TLS_WANT_READ);
    assert_int_equal(shutdown(pair.fds[CLIENT], SHUT_WR), 0);
    assert_int_equal(tls_read(pair.sessions[SERVER], in, sizeof in, &got, NULL), TLS_TRUNCATED);
    free_pair(&pair);
}

static void forged_record_fails(void **state) {
    (void)state;
    struct pair pair = new_pair(0);
    char in[64], record[5 + 40] = "\x17\x03\x03\x00\x28";
    size_t got = 0;
    assert_int_equal(write(pair.fds[CLIENT], record, sizeof record), sizeof record);
    assert_int_equal(tls_read(pair.sessions[SERVER], in, sizeof in, &got, &pair.errors[SERVER]),
                     TLS_FAILED);
    if (strstr(pair.errors[SERVER].text, "damaged or forged") == NULL)
        fail_msg("%s", pair.errors[SERVER].text);
    assert_int_equal(tls_read(pair.sessions[SERVER], in, sizeof in, &got, NULL), TLS_FAILED);
    free_pair(&pair);
}

/* An engine that answers early and closes must be heard even when writing to it fails. */
static void what_was_sent_is_readable_after_writing_failed(void **state) {
    (void)state;
    struct pair pair = new_pair(0);
    support_write(pair.sessions[SERVER], pair.fds[SERVER], "refused", 7);
    assert_int_equal(tls_close_write(pair.sessions[SERVER], NULL), TLS_OK);
    close(pair.fds[SERVER]);
    pair.fds[SERVER] = -1;
    size_t put = 0, got = 0;
    assert_int_equal(tls_write(pair.sessions[CLIENT], "body", 4, &put, &pair.errors[CLIENT]),
                     TLS_FAILED);
    assert_non_null(strstr(pair.errors[CLIENT].text, strerror(EPIPE)));
    char in[16];
    assert_int_equal(support_read(pair.sessions[CLIENT], pair.fds[CLIENT], in, 8, &got, NULL),
                     TLS_EOF);
    assert_int_equal(got, 7);
    free_pair(&pair);
}

static void peer_gone_during_the_handshake(void **state) {
    (void)state;
    int fds[2];
    support_pair(fds, 0);
    struct tls_context *context = support_server("ec", "proxy");
    struct tls_error error = {0};
    struct tls_session *session = tls_session_new(context, fds[0], NULL, &error);
    assert_int_equal(tls_handshake(session, &error), TLS_WANT_READ);
    close(fds[1]);
    assert_int_equal(tls_handshake(session, &error), TLS_FAILED);
    assert_non_null(strstr(error.text, "closed the connection"));
    tls_session_free(session);
    close(fds[0]);
    tls_context_free(context);
}

static void not_tls_is_named(void **state) {
    (void)state;
    int fds[2];
    support_pair(fds, 0);
    struct tls_context *context = support_server("ec", "proxy");
    struct tls_error error = {0};
    struct tls_session *session = tls_session_new(context, fds[0], NULL, &error);
    static const char request[] = "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(write(fds[1], request, sizeof request - 1), sizeof request - 1);
    assert_int_equal(tls_handshake(session, &error), TLS_FAILED);
    assert_non_null(strstr(error.text, "does not speak TLS"));
    tls_session_free(session);
    close(fds[0]);
    close(fds[1]);
    tls_context_free(context);
}

/* The client's ticket arrives with the first bytes it reads. */
static void exchange_byte(struct pair *pair) {
    char in[1];
    size_t got = 0;
    support_write(pair->sessions[SERVER], pair->fds[SERVER], "x", 1);
    assert_int_equal(support_read(pair->sessions[CLIENT], pair->fds[CLIENT], in, 1, &got, NULL),
                     TLS_OK);
}

static void resumption_keeps_both_names(void **state) {
    (void)state;
    struct pair pair = {0};
    struct tls_resumption resumption = {0};
    pair.contexts[CLIENT] = support_client("ec", "agent", "localhost");
    pair.contexts[SERVER] = support_server("ec", "proxy");
    for (int round = 0; round < 4; round++) {
        support_pair(pair.fds, 0);
        open_sessions(&pair, &resumption);
        for (int i = 0; i < 2; i++)
            assert_int_equal(tls_resumed(pair.sessions[i]), round > 0);
        assert_string_equal(tls_peer_name(pair.sessions[SERVER]), "agent");
        assert_string_equal(tls_peer_name(pair.sessions[CLIENT]), "dind-proxy");
        exchange_byte(&pair);
        close_sessions(&pair);
        assert_non_null(resumption.session);
    }
    tls_resumption_clear(&resumption);
    assert_null(resumption.session);
    tls_resumption_clear(&resumption);
    for (int i = 0; i < 2; i++)
        tls_context_free(pair.contexts[i]);
}

/* A ticket is worth nothing to another context: after a reload of certificates, everybody proves
 * anew who they are. */
static void tickets_end_with_their_context(void **state) {
    (void)state;
    struct pair pair = {0};
    struct tls_resumption resumption = {0};
    pair.contexts[CLIENT] = support_client("ec", "agent", "localhost");
    pair.contexts[SERVER] = support_server("ec", "proxy");
    support_pair(pair.fds, 0);
    open_sessions(&pair, &resumption);
    exchange_byte(&pair);
    close_sessions(&pair);
    assert_non_null(resumption.session);
    tls_context_free(pair.contexts[SERVER]);
    pair.contexts[SERVER] = support_server("ec", "proxy");
    support_pair(pair.fds, 0);
    open_sessions(&pair, &resumption);
    assert_false(tls_resumed(pair.sessions[SERVER]));
    assert_false(tls_resumed(pair.sessions[CLIENT]));
    assert_string_equal(tls_peer_name(pair.sessions[SERVER]), "agent");
    tls_resumption_clear(&resumption);
    free_pair(&pair);
}

/* Resuming must not carry a client beyond the end of its certificate. */
static void tickets_end_with_the_certificate(void **state) {
    (void)state;
    enum { SECONDS = 6 };
    char until[32], command[4 * PATH_SIZE];
    time_t end = time(NULL) + SECONDS;
    struct tm calendar;
    strftime(until, sizeof until, "%Y%m%d%H%M%SZ", gmtime_r(&end, &calendar));
    snprintf(command, sizeof command, "tools/test-certs --agent-until %s %s", until,
             support_path("brief"));
    support_run(command);
    struct pair pair = {0};
    struct tls_resumption resumption = {0};
    pair.contexts[CLIENT] = support_client("brief", "agent", "localhost");
    pair.contexts[SERVER] = support_server("brief", "proxy");
    for (int round = 0; round < 2; round++) {
        support_pair(pair.fds, 0);
        open_sessions(&pair, &resumption);
        assert_int_equal(tls_resumed(pair.sessions[SERVER]), round > 0);
        exchange_byte(&pair);
        close_sessions(&pair);
    }
    while (time(NULL) <= end)
        poll(NULL, 0, 100);
    support_pair(pair.fds, 0);
    for (int i = 0; i < 2; i++)
        pair.sessions[i] = tls_session_new(pair.contexts[i], pair.fds[i],
                                           i == CLIENT ? &resumption : NULL, &pair.errors[i]);
    enum tls_status status[2];
    support_shake(pair.sessions[CLIENT], pair.sessions[SERVER], status, pair.errors);
    assert_int_equal(status[SERVER], TLS_FAILED);
    assert_non_null(strstr(pair.errors[SERVER].text, "has expired"));
    tls_resumption_clear(&resumption);
    free_pair(&pair);
}

/* An older connection's late ticket must not be mixed with a newer one's secrets. */
static void connections_share_a_resumption(void **state) {
    (void)state;
    struct tls_resumption resumption = {0};
    struct pair first = {0}, second;
    first.contexts[CLIENT] = support_client("ec", "agent", "localhost");
    first.contexts[SERVER] = support_server("ec", "proxy");
    support_pair(first.fds, 0);
    open_sessions(&first, &resumption);
    exchange_byte(&first);
    close_sessions(&first);
    for (int round = 0; round < 3; round++) {
        support_pair(first.fds, 0);
        open_sessions(&first, &resumption);
        second = first;
        support_pair(second.fds, 0);
        open_sessions(&second, &resumption);
        assert_true(tls_resumed(first.sessions[SERVER]));
        assert_true(tls_resumed(second.sessions[SERVER]));
        exchange_byte(&second);
        exchange_byte(&first);
        close_sessions(&second);
        close_sessions(&first);
    }
    tls_resumption_clear(&resumption);
    for (int i = 0; i < 2; i++)
        tls_context_free(first.contexts[i]);
}

static void sessions_outlive_their_context(void **state) {
    (void)state;
    struct pair pair = new_pair(0);
    for (int i = 0; i < 2; i++)
        tls_context_free(pair.contexts[i]);
    exchange_byte(&pair);
    close_sessions(&pair);
}

static void client_refuses_the_wrong_name(void **state) {
    (void)state;
    static const struct {
        const char *name;
        bool good;
    } cases[] = {
        {"localhost", true},  {"LOCALHOST", true},
        {"dind-proxy", true}, {NULL, true},
        {"127.0.0.1", true},  {"::1", true},
        {"elsewhere", false}, {"127.0.0.2", false},
        {"::2", false},       {"localhost.evil", false},
        {"agent", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair pair = {0};
        support_pair(pair.fds, 0);
        pair.contexts[CLIENT] = support_client("ec", "agent", cases[i].name);
        pair.contexts[SERVER] = support_server("ec", "proxy");
        for (int side = 0; side < 2; side++)
            pair.sessions[side] =
                tls_session_new(pair.contexts[side], pair.fds[side], NULL, &pair.errors[side]);
        enum tls_status status[2];
        support_shake(pair.sessions[CLIENT], pair.sessions[SERVER], status, pair.errors);
        if (status[CLIENT] != (cases[i].good ? TLS_OK : TLS_FAILED))
            fail_msg("%s: %s", cases[i].name, pair.errors[CLIENT].text);
        if (!cases[i].good) {
            assert_non_null(strstr(pair.errors[CLIENT].text, "not valid for"));
            assert_non_null(strstr(pair.errors[CLIENT].text, cases[i].name));
            assert_int_equal(status[SERVER], TLS_FAILED);
            assert_non_null(strstr(pair.errors[SERVER].text, "bad_certificate"));
        }
        free_pair(&pair);
    }
}

struct worker {
    pthread_t thread;
    struct tls_context *contexts[2];
    int resumed;
};

static void *work(void *argument) {
    struct worker *worker = argument;
    struct tls_resumption resumption = {0};
    for (int round = 0; round < 10; round++) {
        struct pair pair = {.contexts = {worker->contexts[0], worker->contexts[1]}};
        support_pair(pair.fds, 0);
        open_sessions(&pair, &resumption);
        worker->resumed += tls_resumed(pair.sessions[SERVER]);
        exchange_byte(&pair);
        close_sessions(&pair);
    }
    tls_resumption_clear(&resumption);
    return NULL;
}

static void threads_share_contexts(void **state) {
    (void)state;
    enum { THREADS = 4 };
    struct worker workers[THREADS] = {0};
    struct tls_context *client = support_client("ec", "agent", "localhost");
    struct tls_context *server = support_server("ec", "proxy");
    for (int i = 0; i < THREADS; i++) {
        workers[i].contexts[CLIENT] = client;
        workers[i].contexts[SERVER] = server;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].resumed, 9);
    }
    tls_context_free(client);
    tls_context_free(server);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_after_the_handshake),
        cmocka_unit_test(large_transfers_through_tiny_buffers),
        cmocka_unit_test(blocked_write_retries_with_other_address_and_more),
        cmocka_unit_test(pending_tells_what_is_left_of_a_record),
        cmocka_unit_test(handshake_reads_nothing_beyond_itself),
        cmocka_unit_test(close_notify_is_eof_and_half_closes),
        cmocka_unit_test(close_notify_waits_for_a_full_socket),
        cmocka_unit_test(fin_without_close_notify_is_truncation),
        cmocka_unit_test(fin_within_a_record_is_truncation),
        cmocka_unit_test(forged_record_fails),
        cmocka_unit_test(what_was_sent_is_readable_after_writing_failed),
        cmocka_unit_test(peer_gone_during_the_handshake),
        cmocka_unit_test(not_tls_is_named),
        cmocka_unit_test(resumption_keeps_both_names),
        cmocka_unit_test(tickets_end_with_their_context),
        cmocka_unit_test(tickets_end_with_the_certificate),
        cmocka_unit_test(connections_share_a_resumption),
        cmocka_unit_test(sessions_outlive_their_context),
        cmocka_unit_test(client_refuses_the_wrong_name),
        cmocka_unit_test(threads_share_contexts),
    };
    return cmocka_run_group_tests(tests, support_set_up, support_tear_down);
}
