/* Keys and certificates of our own making, judged by openssl(1) and by ourselves. */
#include "support.h"

#include "tls/ec_key.h"
#include "tls/issue.h"
#include "tls/issued.h"
#include "tls/pair.h"

static const time_t day = 86400;

struct made {
    struct tls_ec_key *key;
    unsigned char point[TLS_EC_POINT];
    char key_pem[TLS_EC_PEM];
    char pem[TLS_ISSUE_PEM];
};

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void make(struct made *made, const struct tls_subject *subject, const struct made *issuer) {
    made->key = tls_ec_key_generate();
    assert_non_null(made->key);
    assert_int_equal(tls_ec_key_point(made->key, made->point), 0);
    assert_true(tls_ec_key_write(made->key, made->key_pem) > 0);
    struct tls_issuer by = {0};
    if (issuer != NULL)
        by = (struct tls_issuer){(const unsigned char *)issuer->pem, strlen(issuer->pem),
                                 issuer->key};
    int len = tls_issue(subject, made->key, issuer != NULL ? &by : NULL, made->pem);
    assert_int_equal(len, strlen(made->pem));
}

static void drop(struct made *made) {
    tls_ec_key_free(made->key);
}

static struct tls_subject authority_subject(void) {
    time_t now = time(NULL);
    return (struct tls_subject){.role = TLS_ROLE_AUTHORITY,
                                .common_name = "test CA",
                                .not_before = now - 3600,
                                .not_after = now + 3650 * day};
}

static struct tls_subject server_subject(struct tls_alt_name *names, size_t count) {
    time_t now = time(NULL);
    return (struct tls_subject){.role = TLS_ROLE_SERVER,
                                .common_name = "dind-proxy",
                                .names = names,
                                .name_count = count,
                                .not_before = now - 3600,
                                .not_after = now + 825 * day};
}

static void read_names(const char *const *texts, size_t count, struct tls_alt_name *names) {
    for (size_t i = 0; i < count; i++)
        assert_true(tls_alt_name_read(texts[i], &names[i]));
}

static const char *const server_names[] = {"DNS:dind-proxy", "localhost", "IP:127.0.0.1", "::1"};
enum { SERVER_NAMES = 4 };

/* Runs openssl(1); its output. */
static void openssl(const char *command, char *output, size_t size) {
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t got = fread(output, 1, size - 1, pipe);
    output[got] = '\0';
    int status = pclose(pipe);
    if (status != 0)
        fail_msg("`%s` ended with %d: %s", command, status, output);
}

static void says(const char *output, const char *wanted) {
    if (strstr(output, wanted) == NULL)
        fail_msg("\"%s\" is missing in: %s", wanted, output);
}

static void openssl_accepts(void **state) {
    (void)state;
    struct tls_alt_name names[SERVER_NAMES];
    read_names(server_names, SERVER_NAMES, names);
    struct made ca, server, client;
    struct tls_subject ca_subject = authority_subject();
    struct tls_subject subject = server_subject(names, SERVER_NAMES);
    make(&ca, &ca_subject, NULL);
    make(&server, &subject, &ca);
    subject.role = TLS_ROLE_CLIENT;
    subject.common_name = "agent";
    subject.name_count = 0;
    make(&client, &subject, &ca);
    const char *ca_path = support_path("issue-ca.pem");
    const char *server_path = support_path("issue-server.pem");
    const char *client_path = support_path("issue-client.pem");
    const char *key_path = support_path("issue-key.pem");
    write_text(ca_path, ca.pem);
    write_text(server_path, server.pem);
    write_text(client_path, client.pem);
    write_text(key_path, server.key_pem);
    char command[8 * PATH_SIZE], output[16384];

    snprintf(command, sizeof command,
             "openssl verify -x509_strict -purpose sslserver -verify_hostname dind-proxy "
             "-CAfile %s %s && openssl verify -x509_strict -purpose sslserver -verify_ip ::1 "
             "-CAfile %s %s && openssl verify -x509_strict -purpose sslclient -CAfile %s %s && "
             "! openssl verify -purpose sslclient -CAfile %s %s 2>&1 && "
             "! openssl verify -purpose sslserver -CAfile %s %s 2>&1",
             ca_path, server_path, ca_path, server_path, ca_path, client_path, ca_path, server_path,
             ca_path, client_path);
    openssl(command, output, sizeof output);
    says(output, "issue-client.pem: OK");

    snprintf(command, sizeof command,
             "openssl x509 -in %s -noout -text && openssl x509 -in %s -noout -text", ca_path,
             server_path);
    openssl(command, output, sizeof output);
    const char *server_text = strstr(output + 1, "Certificate:");
    assert_non_null(server_text);
    says(output, "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0");
    says(output, "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign");
    says(server_text, "X509v3 Basic Constraints: critical\n                CA:FALSE");
    says(server_text, "X509v3 Key Usage: critical\n                Digital Signature\n");
    says(server_text, "TLS Web Server Authentication");
    says(server_text, "DNS:dind-proxy, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:"
                      "0:1");
    says(server_text, "X509v3 Authority Key Identifier");
    says(server_text, "X509v3 Subject Key Identifier");
    says(server_text, "ecdsa-with-SHA256");
    says(server_text, "NIST CURVE: P-256");

    /* The key is the certificate's, in the view of openssl and in ours. */
    snprintf(command, sizeof command,
             "openssl pkey -in %s -check -noout && openssl pkey -in %s -pubout > %s.pub && "
             "openssl x509 -in %s -noout -pubkey | diff - %s.pub",
             key_path, key_path, key_path, server_path, key_path);
    openssl(command, output, sizeof output);
    struct tls_pem server_pem = {(const unsigned char *)server.pem, strlen(server.pem)};
    struct tls_pem key_pem = {(const unsigned char *)server.key_pem, strlen(server.key_pem)};
    struct tls_pem other_pem = {(const unsigned char *)client.key_pem, strlen(client.key_pem)};
    struct tls_pem ca_pem = {(const unsigned char *)ca.pem, strlen(ca.pem)};
    struct tls_error error = {""};
    assert_true(tls_pair_matches(server_pem, key_pem));
    assert_false(tls_pair_matches(server_pem, other_pem));
    assert_int_equal(tls_pair_verify(ca_pem, server_pem, &error), 0);
    assert_int_equal(tls_pair_verify(server_pem, server_pem, &error), -1);
    assert_true(error.text[0] != '\0');
    assert_true(tls_pair_covers(server_pem, "localhost"));
    assert_true(tls_pair_covers(server_pem, "127.0.0.1"));
    assert_false(tls_pair_covers(server_pem, "dind"));
    drop(&ca);
    drop(&server);
    drop(&client);
}

static void dates_after_2049(void **state) {
    (void)state;
    struct tls_subject subject = authority_subject();
    subject.not_after = 4102444800; /* 2100-01-01T00:00:00Z, GeneralizedTime */
    struct made ca;
    make(&ca, &subject, NULL);
    const char *path = support_path("issue-late.pem");
    write_text(path, ca.pem);
    char command[2 * PATH_SIZE], output[1024];
    snprintf(command, sizeof command,
             "openssl x509 -in %s -noout -enddate && openssl asn1parse -in %s | grep TIME", path,
             path);
    openssl(command, output, sizeof output);
    says(output, "notAfter=Jan  1 00:00:00 2100 GMT");
    says(output, "UTCTIME");
    says(output, "GENERALIZEDTIME");
    struct tls_issued issued;
    assert_int_equal(tls_issued_read((const unsigned char *)ca.pem, strlen(ca.pem), &issued), 0);
    assert_int_equal(issued.not_after, subject.not_after);
    drop(&ca);
}

static void serials_differ(void **state) {
    (void)state;
    struct tls_subject subject = authority_subject();
    struct made ca;
    make(&ca, &subject, NULL);
    static char first[TLS_ISSUE_PEM];
    strcpy(first, ca.pem);
    struct tls_issuer issuer = {(const unsigned char *)first, strlen(first), ca.key};
    assert_true(tls_issue(&subject, ca.key, &issuer, ca.pem) > 0);
    assert_string_not_equal(first, ca.pem);
    drop(&ca);
}

static enum tls_fitness check(const struct made *made, const struct tls_subject *wanted,
                              const struct made *issuer, time_t now) {
    return tls_issued_check((const unsigned char *)made->pem, strlen(made->pem), wanted,
                            made->point, issuer->point, now);
}

static void fitness(void **state) {
    (void)state;
    struct tls_alt_name names[SERVER_NAMES], fewer[2];
    read_names(server_names, SERVER_NAMES, names);
    read_names(server_names, 2, fewer);
    struct made ca, other_ca, server;
    struct tls_subject ca_subject = authority_subject();
    struct tls_subject subject = server_subject(names, SERVER_NAMES);
    make(&ca, &ca_subject, NULL);
    make(&other_ca, &ca_subject, NULL);
    make(&server, &subject, &ca);
    time_t now = time(NULL);

    assert_int_equal(check(&ca, &ca_subject, &ca, now), TLS_FIT);
    assert_int_equal(check(&server, &subject, &ca, now), TLS_FIT);
    assert_int_equal(check(&server, &subject, &other_ca, now), TLS_UNFIT_ISSUER);
    assert_int_equal(check(&server, &subject, &ca, now - 2 * day), TLS_UNFIT_EARLY);
    assert_int_equal(check(&server, &subject, &ca, now + 900 * day), TLS_UNFIT_EXPIRED);
    struct tls_subject wanted = subject;
    wanted.role = TLS_ROLE_CLIENT;
    assert_int_equal(check(&server, &wanted, &ca, now), TLS_UNFIT_ROLE);
    wanted.role = TLS_ROLE_AUTHORITY;
    assert_int_equal(check(&server, &wanted, &ca, now), TLS_UNFIT_ROLE);
    wanted = subject;
    wanted.names = fewer;
    wanted.name_count = 2;
    assert_int_equal(check(&server, &wanted, &ca, now), TLS_UNFIT_NAMES);
    wanted = subject;
    wanted.common_name = "dind";
    assert_int_equal(check(&server, &wanted, &ca, now), TLS_UNFIT_NAMES);
    assert_int_equal(tls_issued_check((const unsigned char *)server.pem, strlen(server.pem),
                                      &subject, ca.point, ca.point, now),
                     TLS_UNFIT_KEY);
    /* Names are a set: their order is no matter. */
    struct tls_alt_name turned[SERVER_NAMES] = {names[3], names[1], names[0], names[2]};
    wanted = subject;
    wanted.names = turned;
    assert_int_equal(check(&server, &wanted, &ca, now), TLS_FIT);
    /* One byte of the signed part changed. */
    char *middle = server.pem + strlen(server.pem) / 2;
    middle += middle[1] == '\n' ? 2 : middle[0] == '\n' ? 1 : 0;
    *middle = *middle == 'A' ? 'B' : 'A';
    assert_int_not_equal(check(&server, &subject, &ca, now), TLS_FIT);
    strcpy(server.pem, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_int_equal(check(&server, &subject, &ca, now), TLS_UNFIT_DAMAGED);
    drop(&ca);
    drop(&other_ca);
    drop(&server);
}

static void keys_of_others(void **state) {
    (void)state;
    char command[4 * PATH_SIZE], output[4096];
    static const struct {
        const char *command;
        bool good;
    } kinds[] = {
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256", true},
        {"openssl ecparam -name prime256v1 -genkey -noout", true},
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", false},
        {"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null", false},
        {"openssl genpkey -algorithm ED25519", false},
        {"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:x",
         false},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        openssl(kinds[i].command, output, sizeof output);
        struct tls_ec_key *key = tls_ec_key_read((const unsigned char *)output, strlen(output));
        if ((key != NULL) != kinds[i].good)
            fail_msg("%s: %s", kinds[i].command, key != NULL ? "accepted" : "refused");
        if (key == NULL)
            continue;
        /* The same key comes back. */
        char pem[TLS_EC_PEM];
        assert_true(tls_ec_key_write(key, pem) > 0);
        tls_ec_key_free(key);
        write_text(support_path("theirs.pem"), output);
        write_text(support_path("ours.pem"), pem);
        snprintf(command, sizeof command,
                 "openssl pkey -in %s -outform DER > %s && openssl pkey -in %s -outform DER | "
                 "cmp - %s",
                 support_path("theirs.pem"), support_path("theirs.der"), support_path("ours.pem"),
                 support_path("theirs.der"));
        support_run(command);
    }
    assert_null(tls_ec_key_read((const unsigned char *)"junk", 4));
    assert_null(tls_ec_key_read((const unsigned char *)"", 0));
    tls_ec_key_free(NULL);
}

/* A CA that openssl made, whose key identifier is of another kind than ours. */
static void authority_of_others(void **state) {
    (void)state;
    static char ca_pem[8192], key_pem[4096];
    char command[6 * PATH_SIZE], output[4096], pem[TLS_ISSUE_PEM];
    const char *const identifiers[] = {"hash", "none", "0102030405"};
    for (size_t i = 0; i < sizeof identifiers / sizeof *identifiers; i++) {
        snprintf(command, sizeof command,
                 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
                 "-subj '/C=DE/O=Somebody/CN=their CA' -keyout %s -out %s -config /dev/stdin "
                 "2>/dev/null <<'END'\n[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n"
                 "[ext]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=%s\nEND",
                 support_path("their-key.pem"), support_path("their-ca.pem"), identifiers[i]);
        support_run(command);
        snprintf(command, sizeof command, "cat %s", support_path("their-ca.pem"));
        openssl(command, ca_pem, sizeof ca_pem);
        snprintf(command, sizeof command, "cat %s", support_path("their-key.pem"));
        openssl(command, key_pem, sizeof key_pem);
        struct tls_ec_key *ca_key =
            tls_ec_key_read((const unsigned char *)key_pem, strlen(key_pem));
        struct tls_ec_key *key = tls_ec_key_generate();
        assert_non_null(ca_key);
        assert_non_null(key);
        struct tls_issuer issuer = {(const unsigned char *)ca_pem, strlen(ca_pem), ca_key};
        struct tls_subject subject = server_subject(NULL, 0);
        assert_true(tls_issue(&subject, key, &issuer, pem) > 0);
        write_text(support_path("under-theirs.pem"), pem);
        snprintf(command, sizeof command, "openssl verify -CAfile %s %s",
                 support_path("their-ca.pem"), support_path("under-theirs.pem"));
        openssl(command, output, sizeof output);
        tls_ec_key_free(ca_key);
        tls_ec_key_free(key);
    }
}

static void alternative_names(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *formatted; /* NULL: refused */
    } cases[] = {
        {"dind-proxy", "DNS:dind-proxy"},
        {"DNS:Dind.Example", "DNS:dind.example"},
        {"dns:a", "DNS:a"},
        {"*.example.org", "DNS:*.example.org"},
        {"docker_dind_1", "DNS:docker_dind_1"},
        {"10.0.0.1", "IP:10.0.0.1"},
        {"IP:::1", "IP:::1"},
        {"fe80:0::1", "IP:fe80::1"},
        {"DNS:127.0.0.1", "DNS:127.0.0.1"},
        {"IP:dind", NULL},
        {"", NULL},
        {"DNS:", NULL},
        {"a..b", NULL},
        {"-a", NULL},
        {"a b", NULL},
        {"a,b", NULL},
        {"ex*mple", NULL},
        {"URI:http://x", NULL},
        {"a\n", NULL},
        {".", NULL},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
    };
    char text[300];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tls_alt_name name;
        bool read = tls_alt_name_read(cases[i].text, &name);
        if (read != (cases[i].formatted != NULL))
            fail_msg("\"%s\" was %s", cases[i].text, read ? "accepted" : "refused");
        if (read)
            assert_string_equal(tls_alt_name_format(&name, text, sizeof text), cases[i].formatted);
    }
}

static void too_much(void **state) {
    (void)state;
    char pem[TLS_ISSUE_PEM];
    struct tls_alt_name *names = calloc(64, sizeof *names);
    char label[240];
    assert_non_null(names);
    memset(label, 'a', sizeof label);
    for (size_t i = 60; i < sizeof label; i += 60)
        label[i] = '.';
    label[sizeof label - 1] = '\0';
    for (size_t i = 0; i < 64; i++)
        assert_true(tls_alt_name_read(label, &names[i]));
    struct tls_ec_key *key = tls_ec_key_generate();
    assert_non_null(key);
    struct tls_subject subject = server_subject(names, 64);
    assert_int_equal(tls_issue(&subject, key, NULL, pem), -1);
    subject.name_count = 32;
    assert_true(tls_issue(&subject, key, NULL, pem) > 0);
    subject.common_name = "";
    assert_int_equal(tls_issue(&subject, key, NULL, pem), -1);
    subject.common_name = label;
    assert_int_equal(tls_issue(&subject, key, NULL, pem), -1);
    subject.common_name = "x";
    subject.not_after = 253402300800; /* the year 10000 */
    assert_int_equal(tls_issue(&subject, key, NULL, pem), -1);
    tls_ec_key_free(key);
    free(names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_accepts),   cmocka_unit_test(dates_after_2049),
        cmocka_unit_test(serials_differ),    cmocka_unit_test(fitness),
        cmocka_unit_test(keys_of_others),    cmocka_unit_test(authority_of_others),
        cmocka_unit_test(alternative_names), cmocka_unit_test(too_much),
    };
    return cmocka_run_group_tests(tests, support_set_up, support_tear_down);
}
