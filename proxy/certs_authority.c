#include "proxy/certs_run.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tls/certificate.h"

/* Clocks of machines that meet here may differ a little. */
enum { BACKDATE = 3600 };

static const struct certs_owner keep_owner = {(uid_t)-1, (gid_t)-1};

void certs_authority_free(struct certs_authority *authority) {
    tls_ec_key_free(authority->key);
    cert_file_wipe(&authority->certificate);
    *authority = (struct certs_authority){0};
}

static struct tls_subject describe(const struct certs_run *run, const struct certs_item *item) {
    return (struct tls_subject){
        .role = TLS_ROLE_AUTHORITY,
        .common_name = item->common_name,
        .not_before = run->now - BACKDATE,
        .not_after = run->now + (time_t)run->settings->authority_days * CERTS_DAY,
    };
}

/* A new certificate for the key that the authority has. */
static int sign_itself(struct certs_run *run, const struct certs_item *item,
                       const struct cert_folder *folder, struct certs_authority *authority,
                       const char *what, struct error *error) {
    char pem[TLS_ISSUE_PEM], date[CERTS_DATE];
    struct tls_subject subject = describe(run, item);
    certs_report(run, true, folder->path, "cert.pem",
                 run->settings->check ? "would be %s" : "%s, valid until %s", what,
                 certs_date(subject.not_after, date));
    if (run->settings->check)
        return 0;
    int len = tls_issue(&subject, authority->key, NULL, pem);
    if (len < 0)
        return error_set(error, "%s: cannot sign its certificate", folder->path);
    if (cert_file_write(folder, "cert.pem", pem, (size_t)len, CERTS_MODE_CERTIFICATE, &keep_owner,
                        &authority->certificate, error) != 0)
        return -1;
    cert_file_wipe(&authority->certificate);
    if (cert_file_read(folder, "cert.pem", true, &authority->certificate, error) != 0)
        return -1;
    return tls_issued_read(authority->certificate.data, authority->certificate.len,
                           &authority->facts) == 0
               ? 0
               : error_set(error, "%s/cert.pem: cannot be read again", folder->path);
}

/* A new key and a new certificate, in the place of `old`. */
static int found(struct certs_run *run, const struct certs_item *item,
                 const struct cert_folder *folder, struct certs_authority *authority,
                 const struct cert_file *old, struct error *error) {
    if (run->settings->check) {
        certs_report(run, true, folder->path, "key.pem", "missing");
        certs_report(run, true, folder->path, "cert.pem", "missing");
        return 0;
    }
    char pem[TLS_EC_PEM];
    tls_ec_key_free(authority->key);
    authority->key = tls_ec_key_generate();
    if (authority->key == NULL || tls_ec_key_point(authority->key, authority->point) != 0)
        return error_set(error, "%s: cannot make a key", folder->path);
    /* A key beside another key's certificate would have to be taken for a mistake by the next run:
     * should this one be killed, none stands beside it. */
    if (cert_file_remove(folder, "cert.pem", error) != 0)
        return -1;
    int len = tls_ec_key_write(authority->key, pem);
    int result = len < 0 ? error_set(error, "%s: cannot make a key", folder->path)
                         : cert_file_write(folder, "key.pem", pem, (size_t)len, CERTS_MODE_KEY,
                                           &keep_owner, old, error);
    explicit_bzero(pem, sizeof pem);
    if (result != 0)
        return -1;
    certs_report(run, true, folder->path, "key.pem", "made");
    return sign_itself(run, item, folder, authority, "made", error);
}

/* What somebody else made is taken as it is, as long as it can do the work of a CA. */
static int check_foreign(const struct certs_run *run, const struct cert_folder *folder,
                         const struct certs_authority *authority, struct error *error) {
    struct tls_certificate_facts facts;
    const struct cert_file *file = &authority->certificate;
    if (tls_certificate_read_pem(file->data, file->len, &facts) != 0 || !facts.is_authority)
        return error_set(error, "%s/cert.pem does not belong to a CA (basic constraints)",
                         folder->path);
    if (run->now < facts.not_before)
        return error_set(error, "%s/cert.pem is not valid yet", folder->path);
    if (run->now > facts.not_after)
        return error_set(error, "%s/cert.pem has expired, and cannot be renewed here",
                         folder->path);
    return 0;
}

/* Only its certificate is here: whoever has the key signs. */
static int keep_without_key(struct certs_run *run, const struct cert_folder *folder,
                            struct certs_authority *authority, struct error *error) {
    char date[CERTS_DATE];
    const struct cert_file *file = &authority->certificate;
    if (file->odd || tls_issued_read(file->data, file->len, &authority->facts) != 0)
        return error_set(error,
                         "%s/cert.pem is damaged, and there is no key beside it; put it back "
                         "from a copy, or make a new CA with --renew all",
                         folder->path);
    if (tls_issued_point(file->data, file->len, authority->point) != 0)
        return error_set(error,
                         "%s/cert.pem: its key is not on the curve P-256, and only such CAs "
                         "are supported",
                         folder->path);
    if (check_foreign(run, folder, authority, error) != 0)
        return -1;
    bool due = certs_is_due(&authority->facts, run->now);
    certs_report(run, due && run->settings->check, folder->path, "cert.pem",
                 due ? "valid until %s; due, and its key is not here" : "kept, valid until %s",
                 certs_date(authority->facts.not_after, date));
    return 0;
}

static int keep(struct certs_run *run, const struct certs_item *item,
                const struct cert_folder *folder, struct certs_authority *authority,
                const struct cert_file *key, struct error *error) {
    char date[CERTS_DATE];
    struct cert_file *file = &authority->certificate;
    if (!key->odd)
        authority->key = tls_ec_key_read(key->data, key->len);
    if (authority->key == NULL || tls_ec_key_point(authority->key, authority->point) != 0)
        return error_set(error,
                         "%s/key.pem is no private key on the curve P-256, or damaged; it is "
                         "left alone. Put it back from a copy, or make a new CA with --renew "
                         "all",
                         folder->path);
    if (file->data == NULL && !file->odd)
        return sign_itself(run, item, folder, authority, "made for the key", error);
    if (file->odd || tls_issued_read(file->data, file->len, &authority->facts) != 0)
        return sign_itself(run, item, folder, authority, "made anew, since it was damaged", error);

    unsigned char point[TLS_EC_POINT];
    if (tls_issued_point(file->data, file->len, point) != 0 ||
        memcmp(point, authority->point, sizeof point) != 0)
        return error_set(error,
                         "%s: key.pem does not belong to cert.pem; both are left alone. Put "
                         "the right one back from a copy, or make a new CA with --renew all",
                         folder->path);
    /* One that somebody else made, with names that we do not know, is theirs to renew. */
    bool own = strcmp(authority->facts.common_name, item->common_name) == 0 &&
               strcmp(authority->facts.issuer_name, item->common_name) == 0;
    bool due = certs_is_due(&authority->facts, run->now);
    struct tls_subject wanted = describe(run, item);
    if (own && (due || tls_issued_check(file->data, file->len, &wanted, point, point, run->now) !=
                           TLS_FIT))
        return sign_itself(run, item, folder, authority, "renewed with the same key", error);
    if (!own && check_foreign(run, folder, authority, error) != 0)
        return -1;
    certs_report(run, due && run->settings->check, folder->path, "cert.pem",
                 due ? "valid until %s; due, and this program did not make it"
                     : "kept, valid until %s",
                 certs_date(authority->facts.not_after, date));
    return 0;
}

static int close_to_others(struct certs_run *run, const struct cert_folder *folder,
                           struct error *error) {
    struct stat status;
    if (folder->fd < 0)
        return 0;
    if (fstat(folder->fd, &status) != 0)
        return error_set(error, "%s: %s", folder->path, strerror(errno));
    if ((status.st_mode & 0077) == 0)
        return 0;
    certs_report(run, true, folder->path, ".",
                 run->settings->check ? "open to others (mode %04o)"
                                      : "closed to others (mode was %04o)",
                 (unsigned)(status.st_mode & 07777));
    if (!run->settings->check && fchmod(folder->fd, status.st_mode & 0700) != 0)
        return error_set(error, "%s: cannot close it to others: %s", folder->path, strerror(errno));
    return 0;
}

static int keep_all(struct certs_run *run, const struct certs_item *item,
                    const struct cert_folder *folder, struct certs_authority *authority,
                    struct error *error) {
    __attribute__((cleanup(cert_file_wipe))) struct cert_file key = {0};
    if (cert_file_read(folder, "key.pem", true, &key, error) != 0 ||
        cert_file_read(folder, "cert.pem", true, &authority->certificate, error) != 0)
        return -1;
    const struct cert_file *certificate = &authority->certificate;
    bool has_key = key.data != NULL || key.odd;
    bool has_certificate = certificate->data != NULL || certificate->odd;
    if ((!has_key && !has_certificate) || run->settings->renewal == CERTS_RENEW_ALL)
        return close_to_others(run, folder, error) != 0
                   ? -1
                   : found(run, item, folder, authority, &key, error);
    if (!has_key)
        return keep_without_key(run, folder, authority, error);
    if (close_to_others(run, folder, error) != 0 ||
        keep(run, item, folder, authority, &key, error) != 0)
        return -1;
    return certs_settle(run, folder, "key.pem", &key, CERTS_MODE_KEY, 0400, &keep_owner, error);
}

int certs_authority_keep(struct certs_run *run, const struct certs_item *item,
                         struct certs_authority *authority, struct error *error) {
    __attribute__((cleanup(cert_folder_close))) struct cert_folder folder = {.fd = -1};
    *authority = (struct certs_authority){0};
    if (cert_folder_open(item->folder, run->settings->check ? 0 : 0700, &folder, error) == 0 &&
        keep_all(run, item, &folder, authority, error) == 0)
        return 0;
    certs_authority_free(authority);
    return -1;
}
