/* Our client role against openssl s_server. */
#include "support.h"

struct host {
    struct support_child child;
    int port;
    char text[65536];
};

struct call {
    int fd;
    struct tls_session *session;
    struct tls_error error;
    enum tls_status status;
};

/* Starts s_server with the credentials in `who`; it wants a client certificate and sends each line
 * back reversed. */
static void start(struct host *host, const char *kind, const char *who, const char *const extra[]) {
    const char *arguments[40] = {"s_server",
                                 "-accept",
                                 "127.0.0.1:0",
                                 "-cert",
                                 support_path("%s/%s/cert.pem", kind, who),
                                 "-key",
                                 support_path("%s/%s/key.pem", kind, who),
                                 "-CAfile",
                                 support_path("%s/dind-server/ca.pem", kind),
                                 "-Verify",
                                 "2",
                                 "-verify_return_error",
                                 "-rev"};
    size_t count = 13;
    for (size_t i = 0; extra[i] != NULL; i++)
        arguments[count++] = extra[i];
    host->child = support_openssl(arguments);
    host->text[0] = '\0';
    assert_true(support_expect(&host->child, "ACCEPT ", host->text, sizeof host->text));
    assert_true(support_expect(&host->child, "\n", host->text, sizeof host->text));
    const char *port = strchr(strstr(host->text, "ACCEPT "), ':');
    assert_non_null(port);
    host->port = (int)strtol(port + 1, NULL, 10);
}

static struct call call(const struct host *host, struct tls_context *context,
                        struct tls_resumption *resumption) {
    struct call call = {.fd = support_connect(host->port)};
    assert_true(call.fd >= 0);
    call.session = tls_session_new(context, call.fd, resumption, &call.error);
    assert_non_null(call.session);
    call.status = support_handshake(call.session, call.fd, &call.error);
    return call;
}

static void hang_up(struct call *call) {
    tls_session_free(call->session);
    close(call->fd);
}

static void exchange_line(struct call *call) {
    if (call->status != TLS_OK)
        fail_msg("%s", call->error.text);
    support_write(call->session, call->fd, "abc\n", 4);
    char in[8];
    size_t got = 0;
    if (support_read(call->session, call->fd, in, 4, &got, &call->error) != TLS_OK)
        fail_msg("%s", call->error.text);
    assert_memory_equal(in, "cba\n", 4);
}

static const char *const options[] = {"-tls1_2", "-tls1_3"};
static const char *const versions[] = {"TLSv1.2", "TLSv1.3"};
static const char *const kinds[] = {"ec", "rsa"};
static struct host host; /* too large for the stack's taste */

static void versions_and_keys(void **state) {
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        for (size_t v = 0; v < 2; v++) {
            const char *const extra[] = {options[v], "-alpn", "http/1.1", NULL};
            start(&host, kinds[k], "dind-server", extra);
            struct tls_context *context =
                support_kernel(support_client(kinds[k], "dind-client", "dind"));
            struct call guest = call(&host, context, NULL);
            exchange_line(&guest);
            assert_string_equal(tls_version_name(guest.session), versions[v]);
            assert_string_equal(tls_peer_name(guest.session), "dind");
            assert_non_null(strstr(tls_cipher_name(guest.session), "AES128"));
            /* It answers our close_notify with its own. */
            assert_int_equal(tls_close_write(guest.session, &guest.error), TLS_OK);
            char in[8];
            size_t got = 0;
            assert_int_equal(support_read(guest.session, guest.fd, in, 1, &got, &guest.error),
                             TLS_EOF);
            hang_up(&guest);
            tls_context_free(context);
            support_stop(&host.child);
        }
    }
}

static void every_cipher(void **state) {
    (void)state;
    static const struct {
        size_t version;
        const char *option;
        const char *cipher;
    } cases[] = {
        {1, "-ciphersuites", "TLS_AES_128_GCM_SHA256"},
        {1, "-ciphersuites", "TLS_AES_256_GCM_SHA384"},
        {1, "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"},
        {0, "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {0, "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"},
        {0, "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"},
    };
    struct tls_context *context = support_kernel(support_client("ec", "dind-client", "dind"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const extra[] = {options[cases[i].version], cases[i].option, cases[i].cipher,
                                     NULL};
        start(&host, "ec", "dind-server", extra);
        struct call guest = call(&host, context, NULL);
        assert_int_equal(tls_kernel_writes(guest.session), support_takes(guest.session));
        assert_false(tls_kernel_reads(guest.session)); /* the tickets come first */
        exchange_line(&guest);
        assert_int_equal(tls_kernel_reads(guest.session), support_takes(guest.session));
        exchange_line(&guest);
        assert_string_equal(tls_version_name(guest.session), versions[cases[i].version]);
        hang_up(&guest);
        support_stop(&host.child);
    }
    tls_context_free(context);
}

static void names_and_addresses(void **state) {
    (void)state;
    static const struct {
        const char *name;
        bool good;
    } cases[] = {{"dind", true},       {"localhost", true},  {"127.0.0.1", true},
                 {"::1", true},        {NULL, true},         {"docker", false},
                 {"127.0.0.2", false}, {"dind.evil", false}, {"dind-proxy", false}};
    for (size_t v = 0; v < 2; v++) {
        const char *const extra[] = {options[v], NULL};
        start(&host, "ec", "dind-server", extra);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct tls_context *context =
                support_kernel(support_client("ec", "dind-client", cases[i].name));
            struct call guest = call(&host, context, NULL);
            if (cases[i].good) {
                exchange_line(&guest);
            } else {
                assert_int_equal(guest.status, TLS_FAILED);
                assert_non_null(strstr(guest.error.text, "certificate is not valid for"));
                assert_non_null(strstr(guest.error.text, cases[i].name));
            }
            hang_up(&guest);
            tls_context_free(context);
        }
        support_stop(&host.child);
    }
}

static void bad_servers_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *who;
        const char *ours;
    } cases[] = {
        {"proxy", "signed by no trusted CA"}, /* the other hop's CA */
        {"dind-client", "does not allow this role"},
    };
    for (size_t v = 0; v < 2; v++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            const char *const extra[] = {options[v], NULL};
            start(&host, "ec", cases[i].who, extra);
            struct tls_context *context = support_client("ec", "dind-client", NULL);
            struct call guest = call(&host, context, NULL);
            assert_int_equal(guest.status, TLS_FAILED);
            if (strstr(guest.error.text, cases[i].ours) == NULL)
                fail_msg("%s: %s", cases[i].who, guest.error.text);
            hang_up(&guest);
            tls_context_free(context);
            support_stop(&host.child);
        }
    }
}

/* In TLS 1.3 the server's verdict on us arrives with the first read. */
static void refused_by_the_server(void **state) {
    (void)state;
    static const struct {
        const char *who;
        const char *alert;
    } cases[] = {{"", "alert"}, {"stranger", "unknown_ca"}, {"agent", "unknown_ca"}};
    for (size_t v = 0; v < 2; v++) {
        const char *const extra[] = {options[v], NULL};
        start(&host, "ec", "dind-server", extra);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct tls_files files = support_files("ec", cases[i].who);
            if (cases[i].who[0] == '\0')
                files.certificate = files.key = NULL;
            files.authority = support_path("ec/dind-client/ca.pem");
            struct call guest = {0};
            struct tls_context *context = tls_client_context(&files, "dind", &guest.error);
            assert_non_null(context);
            support_kernel(context);
            guest = call(&host, context, NULL);
            if (v == 1) {
                assert_int_equal(guest.status, TLS_OK);
                char in[8];
                size_t got = 0;
                guest.status = support_read(guest.session, guest.fd, in, 1, &got, &guest.error);
            }
            assert_int_equal(guest.status, TLS_FAILED);
            if (strstr(guest.error.text, "refused with the alert") == NULL ||
                strstr(guest.error.text, cases[i].alert) == NULL)
                fail_msg("%s: %s", cases[i].who, guest.error.text);
            hang_up(&guest);
            tls_context_free(context);
        }
        support_stop(&host.child);
    }
}

static void alpn(void **state) {
    (void)state;
    for (size_t v = 0; v < 2; v++) {
        struct tls_context *context = support_kernel(support_client("ec", "dind-client", "dind"));
        const char *const good[] = {options[v], "-alpn", "h2,http/1.1", NULL};
        start(&host, "ec", "dind-server", good);
        struct call guest = call(&host, context, NULL);
        exchange_line(&guest);
        hang_up(&guest);
        support_stop(&host.child);

        const char *const none[] = {options[v], NULL};
        start(&host, "ec", "dind-server", none);
        guest = call(&host, context, NULL);
        exchange_line(&guest);
        hang_up(&guest);
        support_stop(&host.child);

        const char *const other[] = {options[v], "-alpn", "h2", NULL};
        start(&host, "ec", "dind-server", other);
        guest = call(&host, context, NULL);
        assert_int_equal(guest.status, TLS_FAILED);
        assert_non_null(strstr(guest.error.text, "no_application_protocol"));
        hang_up(&guest);
        support_stop(&host.child);
        tls_context_free(context);
    }
}

static void weak_servers_are_refused(void **state) {
    (void)state;
    static const char *const offers[][6] = {
        {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0", NULL},
        {"-tls1_2", "-cipher", "AES128-GCM-SHA256", NULL},
        {"-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256", NULL},
    };
    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        struct tls_context *context = support_client("rsa", "dind-client", "dind");
        start(&host, "rsa", "dind-server", offers[i]);
        struct call guest = call(&host, context, NULL);
        assert_int_equal(guest.status, TLS_FAILED);
        assert_true(strlen(guest.error.text) > 0);
        hang_up(&guest);
        support_stop(&host.child);
        tls_context_free(context);
    }
}

static void resumption(void **state) {
    (void)state;
    struct tls_context *context = support_kernel(support_client("ec", "dind-client", "dind"));
    struct tls_resumption resumption = {0};
    const char *const extra[] = {"-tls1_3", NULL};
    start(&host, "ec", "dind-server", extra);
    for (int round = 0; round < 4; round++) {
        struct call guest = call(&host, context, &resumption);
        exchange_line(&guest);
        assert_int_equal(tls_resumed(guest.session), round > 0);
        assert_string_equal(tls_peer_name(guest.session), "dind");
        hang_up(&guest);
        assert_non_null(resumption.session);
    }
    /* The engine restarts: it knows our ticket no more, and nothing is lost. */
    support_stop(&host.child);
    start(&host, "ec", "dind-server", extra);
    struct call guest = call(&host, context, &resumption);
    exchange_line(&guest);
    assert_false(tls_resumed(guest.session));
    assert_string_equal(tls_peer_name(guest.session), "dind");
    hang_up(&guest);
    tls_resumption_clear(&resumption);
    support_stop(&host.child);
    tls_context_free(context);
}

static void no_resumption_in_tls_1_2(void **state) {
    (void)state;
    struct tls_context *context = support_kernel(support_client("ec", "dind-client", "dind"));
    struct tls_resumption resumption = {0};
    const char *const extra[] = {"-tls1_2", NULL};
    start(&host, "ec", "dind-server", extra);
    for (int round = 0; round < 2; round++) {
        struct call guest = call(&host, context, &resumption);
        exchange_line(&guest);
        assert_false(tls_resumed(guest.session));
        assert_string_equal(tls_peer_name(guest.session), "dind");
        hang_up(&guest);
        assert_null(resumption.session);
    }
    support_stop(&host.child);
    tls_context_free(context);
}

/* A ticket that does more harm than good is used once. */
static void engine_falls_back_to_tls_1_2(void **state) {
    (void)state;
    struct tls_context *context = support_kernel(support_client("ec", "dind-client", "dind"));
    struct tls_resumption resumption = {0};
    const char *const new[] = {"-tls1_3", NULL};
    start(&host, "ec", "dind-server", new);
    struct call guest = call(&host, context, &resumption);
    exchange_line(&guest);
    hang_up(&guest);
    assert_non_null(resumption.session);
    support_stop(&host.child);
    const char *const old[] = {"-tls1_2", NULL};
    start(&host, "ec", "dind-server", old);
    guest = call(&host, context, &resumption);
    if (guest.status == TLS_FAILED) {
        hang_up(&guest);
        assert_null(resumption.session);
        guest = call(&host, context, &resumption);
    }
    exchange_line(&guest);
    assert_false(tls_resumed(guest.session));
    assert_string_equal(tls_peer_name(guest.session), "dind");
    hang_up(&guest);
    tls_resumption_clear(&resumption);
    support_stop(&host.child);
    tls_context_free(context);
}

static void plain_server_is_named(void **state) {
    (void)state;
    int fds[2];
    support_pair(fds, 0);
    static const char answer[] = "HTTP/1.0 400 Bad Request\r\n\r\n"
                                 "Client sent an HTTP request to an HTTPS server.\n";
    assert_int_equal(write(fds[1], answer, sizeof answer - 1), sizeof answer - 1);
    struct tls_context *context = support_kernel(support_client("ec", "dind-client", "dind"));
    struct tls_error error = {0};
    struct tls_session *session = tls_session_new(context, fds[0], NULL, &error);
    assert_int_equal(support_handshake(session, fds[0], &error), TLS_FAILED);
    assert_non_null(strstr(error.text, "server failed: it does not speak TLS"));
    tls_session_free(session);
    close(fds[0]);
    close(fds[1]);
    tls_context_free(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_and_keys),        cmocka_unit_test(every_cipher),
        cmocka_unit_test(names_and_addresses),      cmocka_unit_test(bad_servers_are_refused),
        cmocka_unit_test(refused_by_the_server),    cmocka_unit_test(alpn),
        cmocka_unit_test(weak_servers_are_refused), cmocka_unit_test(resumption),
        cmocka_unit_test(no_resumption_in_tls_1_2), cmocka_unit_test(engine_falls_back_to_tls_1_2),
        cmocka_unit_test(plain_server_is_named),
    };
    return cmocka_run_group_tests(tests, support_set_up, support_tear_down);
}
