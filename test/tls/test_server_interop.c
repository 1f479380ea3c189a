/* Our server role against openssl s_client. */
#include "support.h"

static struct tls_context *contexts[2];
static const char *const kinds[2] = {"ec", "rsa"};

struct visit {
    struct support_child child;
    int fd;
    struct tls_session *session;
    struct tls_error error;
    enum tls_status status;
};

/* Starts s_client with the credentials in `who` ("" for none) and the extra arguments, and does our
 * side of the handshake. */
static struct visit visit(struct tls_context *context, const char *kind, const char *who,
                          const char *const extra[]) {
    struct visit visit = {0};
    int port = 0;
    int listener = support_listen(&port);
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    const char *arguments[40] = {"s_client",
                                 "-connect",
                                 address,
                                 "-CAfile",
                                 support_path("%s/agent/ca.pem", kind),
                                 "-verify_return_error"};
    size_t count = 6;
    if (who[0] != '\0') {
        arguments[count++] = "-cert";
        arguments[count++] = support_path("%s/%s/cert.pem", kind, who);
        arguments[count++] = "-key";
        arguments[count++] = support_path("%s/%s/key.pem", kind, who);
    }
    for (size_t i = 0; extra[i] != NULL; i++)
        arguments[count++] = extra[i];
    visit.child = support_openssl(arguments);
    visit.fd = support_accept(listener);
    close(listener);
    visit.session = tls_session_new(context, visit.fd, NULL, &visit.error);
    assert_non_null(visit.session);
    visit.status = support_handshake(visit.session, visit.fd, &visit.error);
    return visit;
}

static void end_visit(struct visit *visit) {
    tls_session_free(visit->session);
    close(visit->fd);
    support_stop(&visit->child);
}

static void must_be_served(struct visit *visit) {
    if (visit->status != TLS_OK)
        fail_msg("%s", visit->error.text);
}

/* Ends our side, so that s_client ends too, and checks both sides' sentences. */
static void must_be_refused(struct visit *visit, const char *ours, const char *theirs) {
    assert_int_equal(visit->status, TLS_FAILED);
    if (strstr(visit->error.text, ours) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", visit->error.text, ours);
    shutdown(visit->fd, SHUT_WR);
    close(visit->child.input);
    visit->child.input = -1;
    static char text[65536];
    text[0] = '\0';
    if (!support_expect(&visit->child, theirs, text, sizeof text))
        fail_msg("s_client does not say \"%s\": %s", theirs, text);
}

/* A line each way. */
static void greet(struct visit *guest) {
    static char text[65536];
    char in[16];
    size_t got = 0;
    assert_int_equal(tls_kernel_reads(guest->session), support_takes(guest->session));
    assert_int_equal(tls_kernel_writes(guest->session), support_takes(guest->session));
    assert_int_equal(write(guest->child.input, "hello\n", 6), 6);
    if (support_read(guest->session, guest->fd, in, 6, &got, &guest->error) != TLS_OK)
        fail_msg("%s", guest->error.text);
    assert_memory_equal(in, "hello\n", 6);
    support_write(guest->session, guest->fd, "world\n", 6);
    text[0] = '\0';
    assert_true(support_expect(&guest->child, "world\n", text, sizeof text));
}

static void versions_and_keys(void **state) {
    (void)state;
    static const struct {
        const char *option;
        const char *version;
    } versions[] = {{"-tls1_2", "TLSv1.2"}, {"-tls1_3", "TLSv1.3"}};
    for (size_t k = 0; k < 2; k++) {
        for (size_t v = 0; v < 2; v++) {
            const char *const extra[] = {versions[v].option, "-alpn", "http/1.1", "-quiet", NULL};
            struct visit guest = visit(contexts[k], kinds[k], "agent", extra);
            must_be_served(&guest);
            assert_string_equal(tls_version_name(guest.session), versions[v].version);
            assert_string_equal(tls_peer_name(guest.session), "agent");
            assert_false(tls_resumed(guest.session));
            greet(&guest);
            end_visit(&guest);
        }
    }
}

static void every_cipher(void **state) {
    (void)state;
    static const struct {
        const char *kind_of_key;
        const char *option;
        const char *cipher;
    } cases[] = {
        {"ec", "-ciphersuites", "TLS_AES_128_GCM_SHA256"},
        {"ec", "-ciphersuites", "TLS_AES_256_GCM_SHA384"},
        {"ec", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"},
        {"ec", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"},
        {"ec", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"},
        {"ec", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"},
        {"rsa", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"},
        {"rsa", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"},
        {"rsa", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool old = strcmp(cases[i].option, "-cipher") == 0;
        const char *const extra[] = {old ? "-tls1_2" : "-tls1_3", cases[i].option, cases[i].cipher,
                                     "-quiet", NULL};
        bool rsa = strcmp(cases[i].kind_of_key, "rsa") == 0;
        struct visit guest = visit(contexts[rsa], kinds[rsa], "agent", extra);
        must_be_served(&guest);
        greet(&guest);
        end_visit(&guest);
    }
}

static void every_group(void **state) {
    (void)state;
    /* RSA, for in TLS 1.2 the groups also bound the curves of certificates. */
    const char *const groups[] = {"X25519", "P-256", "P-384", "P-521:P-384", "X448:X25519"};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        for (int old = 0; old < 2; old++) {
            const char *const extra[] = {"-groups", groups[i], old ? "-tls1_2" : "-tls1_3",
                                         "-quiet", NULL};
            struct visit guest = visit(contexts[1], kinds[1], "agent", extra);
            if (guest.status != TLS_OK)
                fail_msg("%s %s: %s", groups[i], extra[2], guest.error.text);
            end_visit(&guest);
        }
    }
}

static void weak_offers_are_refused(void **state) {
    (void)state;
    static const char *const offers[][8] = {
        {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-quiet", NULL},
        {"-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256", "-quiet", NULL},
        {"-tls1_2", "-cipher", "AES128-GCM-SHA256", "-quiet", NULL},
        {"-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256", "-quiet", NULL},
        {"-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256", "-quiet", NULL},
        {"-tls1_3", "-groups", "P-521", "-quiet", NULL},
    };
    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        struct visit guest = visit(contexts[1], kinds[1], "agent", offers[i]);
        must_be_refused(&guest, i == 0 ? "TLS 1.2 or 1.3" : "shares no", "alert");
        end_visit(&guest);
    }
}

static void bad_clients_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *who;
        const char *ours;
        const char *theirs[2]; /* TLS 1.2, TLS 1.3 */
    } cases[] = {
        {"", "presented no certificate", {"alert", "alert certificate required"}},
        {"stranger", "signed by no trusted CA", {"alert unknown ca", "alert unknown ca"}},
        {"expired", "has expired", {"alert certificate expired", "alert certificate expired"}},
        {"proxy", "does not allow this role", {"alert", "alert"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t k = 0; k < 2; k++) {
            for (int v = 0; v < 2; v++) {
                const char *const extra[] = {v == 0 ? "-tls1_2" : "-tls1_3", "-quiet", NULL};
                struct visit guest = visit(contexts[k], kinds[k], cases[i].who, extra);
                must_be_refused(&guest, cases[i].ours, cases[i].theirs[v]);
                assert_string_equal(tls_version_name(guest.session),
                                    v == 0 ? "TLSv1.2" : "TLSv1.3");
                end_visit(&guest);
            }
        }
    }
}

static void client_that_refuses_us(void **state) {
    (void)state;
    for (int v = 0; v < 2; v++) {
        const char *const extra[] = {v == 0 ? "-tls1_2" : "-tls1_3", "-verify_hostname",
                                     "elsewhere", "-quiet", NULL};
        struct visit guest = visit(contexts[0], kinds[0], "agent", extra);
        assert_int_equal(guest.status, TLS_FAILED);
        if (strstr(guest.error.text, "refused with the alert bad_certificate") == NULL)
            fail_msg("%s", guest.error.text);
        end_visit(&guest);
    }
}

static void alpn(void **state) {
    (void)state;
    static char text[65536];
    for (int v = 0; v < 2; v++) {
        const char *version = v == 0 ? "-tls1_2" : "-tls1_3";
        const char *const both[] = {version, "-alpn", "h2,http/1.1", NULL};
        struct visit guest = visit(contexts[0], kinds[0], "agent", both);
        must_be_served(&guest);
        text[0] = '\0';
        assert_true(support_expect(&guest.child, "ALPN protocol: http/1.1", text, sizeof text));
        end_visit(&guest);

        const char *const none[] = {version, NULL};
        guest = visit(contexts[0], kinds[0], "agent", none);
        must_be_served(&guest);
        text[0] = '\0';
        assert_true(support_expect(&guest.child, "No ALPN negotiated", text, sizeof text));
        end_visit(&guest);

        const char *const other[] = {version, "-alpn", "h2", "-quiet", NULL};
        guest = visit(contexts[0], kinds[0], "agent", other);
        must_be_refused(&guest, "ALPN", "alert no application protocol");
        end_visit(&guest);
    }
}

/* A first visit that leaves its session in a file; a second one with it. */
static void visit_twice(struct tls_context *first, struct tls_context *second, const char *version,
                        const char *second_who, struct visit *guest) {
    char *session = support_path("session.pem");
    unlink(session);
    const char *const save[] = {version, "-sess_out", session, NULL};
    struct visit initial = visit(first, "ec", "agent", save);
    must_be_served(&initial);
    assert_false(tls_resumed(initial.session));
    static char text[65536];
    text[0] = '\0';
    support_write(initial.session, initial.fd, "seen\n", 5);
    assert_true(support_expect(&initial.child, "seen", text, sizeof text));
    end_visit(&initial);
    const char *const load[] = {version, "-sess_in", session, NULL};
    *guest = visit(second, "ec", second_who, load);
}

static void resumption_keeps_the_name(void **state) {
    (void)state;
    for (int v = 0; v < 2; v++) {
        struct visit guest;
        visit_twice(contexts[0], contexts[0], v == 0 ? "-tls1_2" : "-tls1_3", "agent", &guest);
        must_be_served(&guest);
        assert_true(tls_resumed(guest.session));
        assert_string_equal(tls_peer_name(guest.session), "agent");
        end_visit(&guest);
    }
}

/* Where the ticket is not honoured, only a certificate lets a client in. */
static void foreign_ticket_lets_nobody_in(void **state) {
    (void)state;
    for (int v = 0; v < 2; v++) {
        const char *version = v == 0 ? "-tls1_2" : "-tls1_3";
        struct tls_context *other = support_server("ec", "proxy");
        struct visit guest;
        visit_twice(contexts[0], other, version, "", &guest);
        must_be_refused(&guest, "presented no certificate", "alert");
        end_visit(&guest);
        visit_twice(contexts[0], other, version, "agent", &guest);
        must_be_served(&guest);
        assert_false(tls_resumed(guest.session));
        assert_string_equal(tls_peer_name(guest.session), "agent");
        end_visit(&guest);
        tls_context_free(other);
    }
}

/* Whether it was the kernel's limit, which must then be said. */
static bool cannot_follow(const struct visit *guest, enum tls_status status) {
    return status == TLS_FAILED && tls_kernel_reads(guest->session) &&
           strstr(guest->error.text, "changed its keys (KeyUpdate), which this kernel cannot") !=
               NULL;
}

static void update_keys(struct tls_context *context, bool in_kernel) {
    const char *const extra[] = {"-tls1_3", NULL};
    struct visit guest = visit(context, kinds[0], "agent", extra);
    must_be_served(&guest);
    assert_int_equal(tls_kernel_reads(guest.session), in_kernel);
    static char text[65536];
    char in[16];
    size_t got = 0;
    for (int round = 0; round < 3; round++) {
        /* s_client's commands: K asks for the other side's new key too. */
        assert_int_equal(write(guest.child.input, "K\n", 2), 2);
        text[0] = '\0';
        assert_true(support_expect(&guest.child, "KEYUPDATE", text, sizeof text));
        assert_int_equal(write(guest.child.input, "more\n", 5), 5);
        enum tls_status status = support_read(guest.session, guest.fd, in, 5, &got, &guest.error);
        if (in_kernel && cannot_follow(&guest, status)) {
            print_message("this kernel cannot change keys: the rest is left out\n");
            break;
        }
        if (status != TLS_OK)
            fail_msg("%s", guest.error.text);
        assert_memory_equal(in, "more\n", 5);
        support_write(guest.session, guest.fd, "answer\n", 7);
        assert_true(support_expect(&guest.child, "answer", text, sizeof text));
    }
    end_visit(&guest);
}

static void key_update_in_the_middle(void **state) {
    (void)state;
    struct tls_context *user_space = support_server("ec", "proxy");
    update_keys(user_space, false);
    tls_context_free(user_space);
    if (support_has_kernel())
        update_keys(contexts[0], true);
}

static void renegotiation_is_not_done(void **state) {
    (void)state;
    const char *const extra[] = {"-tls1_2", NULL};
    struct visit guest = visit(contexts[0], kinds[0], "agent", extra);
    must_be_served(&guest);
    assert_int_equal(write(guest.child.input, "R\n", 2), 2);
    static char text[65536];
    text[0] = '\0';
    assert_true(support_expect(&guest.child, "RENEGOTIATING", text, sizeof text));
    char in[16];
    size_t got = 0;
    assert_int_equal(support_read(guest.session, guest.fd, in, 1, &got, &guest.error), TLS_FAILED);
    assert_int_equal(got, 0);
    end_visit(&guest);
}

static void client_leaves(void **state) {
    (void)state;
    /* Without -quiet s_client sends close_notify at the end of its input; a killed one cannot. */
    for (int killed = 0; killed < 2; killed++) {
        const char *const extra[] = {"-tls1_3", NULL};
        struct visit guest = visit(contexts[0], kinds[0], "agent", extra);
        must_be_served(&guest);
        if (killed) {
            kill(guest.child.pid, SIGKILL);
        } else {
            close(guest.child.input);
            guest.child.input = -1;
        }
        char in[16];
        size_t got = 0;
        enum tls_status status = support_read(guest.session, guest.fd, in, 1, &got, &guest.error);
        if (killed)
            assert_true(status == TLS_TRUNCATED ||
                        (status == TLS_FAILED && strstr(guest.error.text, "reset") != NULL));
        else
            assert_int_equal(status, TLS_EOF);
        end_visit(&guest);
    }
}

static int set_up(void **state) {
    if (support_set_up(state) != 0)
        return -1;
    for (size_t i = 0; i < 2; i++) {
        struct tls_files files = support_files(kinds[i], "proxy");
        struct tls_error error;
        contexts[i] = tls_server_context(&files, &error);
        if (contexts[i] == NULL)
            return -1;
        support_kernel(contexts[i]);
    }
    return 0;
}

static int tear_down(void **state) {
    for (size_t i = 0; i < 2; i++)
        tls_context_free(contexts[i]);
    return support_tear_down(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_and_keys),
        cmocka_unit_test(every_cipher),
        cmocka_unit_test(every_group),
        cmocka_unit_test(weak_offers_are_refused),
        cmocka_unit_test(bad_clients_are_refused),
        cmocka_unit_test(client_that_refuses_us),
        cmocka_unit_test(alpn),
        cmocka_unit_test(resumption_keeps_the_name),
        cmocka_unit_test(foreign_ticket_lets_nobody_in),
        cmocka_unit_test(key_update_in_the_middle),
        cmocka_unit_test(renegotiation_is_not_done),
        cmocka_unit_test(client_leaves),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
