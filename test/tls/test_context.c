/* What start-up says about certificate and key files. */
#include "support.h"

/* Expects both roles to refuse the files with a sentence that holds `wanted`. */
static void expect_refusal(struct tls_files files, const char *wanted) {
    for (int server = 0; server < 2; server++) {
        struct tls_error error = {0};
        struct tls_context *context = server ? tls_server_context(&files, &error)
                                             : tls_client_context(&files, "localhost", &error);
        if (context != NULL) {
            tls_context_free(context);
            fail_msg("accepted where a refusal with \"%s\" was due", wanted);
        }
        if (strstr(error.text, wanted) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.text, wanted);
    }
}

static const char *write_file(const char *name, const char *text, mode_t mode) {
    const char *path = support_path("%s", name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static void good_files(void **state) {
    (void)state;
    const char *const kinds[] = {"ec", "rsa"};
    for (size_t i = 0; i < 2; i++) {
        tls_context_free(support_server(kinds[i], "proxy"));
        tls_context_free(support_client(kinds[i], "dind-client", "localhost"));
    }
    tls_context_free(NULL);
}

static void client_without_certificate(void **state) {
    (void)state;
    struct tls_files files = support_files("ec", "agent");
    files.certificate = files.key = NULL;
    struct tls_error error = {0};
    struct tls_context *context = tls_client_context(&files, "localhost", &error);
    assert_non_null(context);
    tls_context_free(context);
    assert_null(tls_server_context(&files, &error));
    assert_non_null(strstr(error.text, "no certificate file"));
}

static void half_a_pair(void **state) {
    (void)state;
    struct tls_files files = support_files("ec", "agent");
    files.key = NULL;
    expect_refusal(files, "without its key");
    files = support_files("ec", "agent");
    files.certificate = NULL;
    expect_refusal(files, "without its certificate");
    files = support_files("ec", "agent");
    files.authority = NULL;
    expect_refusal(files, "no CA file");
}

static void missing_files(void **state) {
    (void)state;
    const char *nowhere = support_path("nowhere.pem");
    struct tls_files files = support_files("ec", "proxy");
    files.key = nowhere;
    expect_refusal(files, "nowhere.pem: No such file");
    files = support_files("ec", "proxy");
    files.certificate = nowhere;
    expect_refusal(files, "certificate file");
    files = support_files("ec", "proxy");
    files.authority = nowhere;
    expect_refusal(files, "CA file");
    files.authority = support_path("ec");
    expect_refusal(files, "not a regular file");
}

static void fifo_does_not_hang(void **state) {
    (void)state;
    struct tls_files files = support_files("ec", "proxy");
    files.key = support_path("fifo");
    assert_int_equal(mkfifo(files.key, 0600), 0);
    expect_refusal(files, "not a regular file");
}

static void key_open_to_others(void **state) {
    (void)state;
    struct tls_files files = support_files("ec", "proxy");
    const mode_t bad[] = {0604, 0644, 0602, 0601, 0666};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(chmod(files.key, bad[i]), 0);
        expect_refusal(files, "chmod 0600");
    }
    const mode_t good[] = {0600, 0400, 0640, 0440};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(chmod(files.key, good[i]), 0);
        tls_context_free(support_server("ec", "proxy"));
    }
    assert_int_equal(chmod(files.key, 0600), 0);
}

static void key_behind_symlink(void **state) {
    (void)state;
    struct tls_files files = support_files("ec", "proxy");
    const char *link = support_path("link.pem");
    assert_int_equal(symlink(files.key, link), 0);
    files.key = link;
    struct tls_error error = {0};
    struct tls_context *context = tls_server_context(&files, &error);
    assert_non_null(context);
    tls_context_free(context);
}

static void not_pem(void **state) {
    (void)state;
    const char *junk = write_file("junk.pem", "this is no PEM\n", 0600);
    const char *empty = write_file("empty.pem", "", 0600);
    const char *torn = write_file(
        "torn.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0600);
    const char *torn_key = write_file(
        "torn-key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0600);
    struct tls_files files = support_files("ec", "proxy");
    files.key = junk;
    expect_refusal(files, "no private key in PEM");
    files.key = empty;
    expect_refusal(files, "is empty");
    files.key = torn_key;
    expect_refusal(files, "torn-key.pem");
    files = support_files("ec", "proxy");
    files.certificate = junk;
    expect_refusal(files, "no certificate in PEM");
    files.certificate = torn;
    expect_refusal(files, "torn.pem");
    files = support_files("ec", "proxy");
    files.authority = empty;
    expect_refusal(files, "is empty");
    files.authority = junk;
    expect_refusal(files, "no certificate in PEM");
    files.authority = torn;
    expect_refusal(files, "torn.pem");
    files.authority = files.certificate;
    expect_refusal(files, "does not belong to a CA");
}

static void wrong_key(void **state) {
    (void)state;
    struct tls_files files = support_files("ec", "proxy");
    files.key = support_path("ec/agent/key.pem");
    expect_refusal(files, "does not belong to the certificate");
    files.key = support_path("rsa/proxy/key.pem");
    expect_refusal(files, "key file");
}

static void encrypted_key(void **state) {
    (void)state;
    char command[4 * PATH_SIZE];
    struct tls_files files = support_files("rsa", "proxy");
    const char *key = files.key;
    files.key = support_path("encrypted.pem");
    snprintf(command, sizeof command,
             "umask 077; openssl pkey -in %s -aes256 -passout pass:secret -out %s", key, files.key);
    support_run(command);
    expect_refusal(files, "passphrase");
    snprintf(command, sizeof command,
             "umask 077; openssl rsa -in %s -aes256 -traditional -passout pass:secret -out %s "
             "2>/dev/null",
             key, files.key);
    support_run(command);
    expect_refusal(files, "passphrase");
}

static void traditional_key(void **state) {
    (void)state;
    char command[4 * PATH_SIZE];
    struct tls_files files = support_files("ec", "proxy");
    const char *key = files.key;
    files.key = support_path("traditional.pem");
    /* With the EC PARAMETERS block that openssl ecparam -genkey writes in front. */
    snprintf(command, sizeof command,
             "umask 077; openssl ecparam -name prime256v1 > %s && openssl ec -in %s >> %s "
             "2>/dev/null",
             files.key, key, files.key);
    support_run(command);
    struct tls_error error = {0};
    struct tls_context *context = tls_server_context(&files, &error);
    if (context == NULL)
        fail_msg("%s", error.text);
    tls_context_free(context);
}

static void own_certificate_expired(void **state) {
    (void)state;
    expect_refusal(support_files("ec", "expired"), "expired at 2021-01-01T00:00:00Z");
}

static void bundle_of_several(void **state) {
    (void)state;
    char command[8 * PATH_SIZE];
    struct tls_files files = support_files("ec", "proxy");
    files.authority = support_path("bundle.pem");
    snprintf(command, sizeof command, "cat %s %s %s > %s", support_path("rsa/proxy/ca.pem"),
             support_path("ec/dind-server/ca.pem"), support_path("ec/proxy/ca.pem"),
             files.authority);
    support_run(command);
    struct tls_error error = {0};
    struct tls_context *context = tls_server_context(&files, &error);
    if (context == NULL)
        fail_msg("%s", error.text);
    tls_context_free(context);
}

static void library_version(void **state) {
    (void)state;
    assert_true(strtol(tls_library_version(), NULL, 10) >= 5);
    assert_non_null(strchr(tls_library_version(), '.'));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_files),         cmocka_unit_test(client_without_certificate),
        cmocka_unit_test(half_a_pair),        cmocka_unit_test(missing_files),
        cmocka_unit_test(fifo_does_not_hang), cmocka_unit_test(key_open_to_others),
        cmocka_unit_test(key_behind_symlink), cmocka_unit_test(not_pem),
        cmocka_unit_test(wrong_key),          cmocka_unit_test(encrypted_key),
        cmocka_unit_test(traditional_key),    cmocka_unit_test(own_certificate_expired),
        cmocka_unit_test(bundle_of_several),  cmocka_unit_test(library_version),
    };
    return cmocka_run_group_tests(tests, support_set_up, support_tear_down);
}
