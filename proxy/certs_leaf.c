#include "proxy/certs_run.h"

#include <string.h>

/* Clocks of machines that meet here may differ a little. */
enum { BACKDATE = 3600, MODE_KEY_AT_MOST = 0640 };

/* What is in the folder, and what becomes of it. */
struct leaf {
    struct cert_folder folder;
    struct cert_file authority; /* ca.pem */
    struct cert_file certificate;
    struct cert_file key_file;
    struct tls_ec_key *key;
    bool new_key;
    const char *reason; /* why a new certificate is called for; NULL: it is not */
    bool can_wait;      /* the old one is good for now */
    struct tls_issued facts;
};

static void free_leaf(struct leaf *leaf) {
    cert_folder_close(&leaf->folder);
    cert_file_wipe(&leaf->authority);
    cert_file_wipe(&leaf->certificate);
    cert_file_wipe(&leaf->key_file);
    tls_ec_key_free(leaf->key);
}

static int read_files(struct leaf *leaf, struct error *error) {
    const struct cert_folder *folder = &leaf->folder;
    return cert_file_read(folder, "ca.pem", false, &leaf->authority, error) == 0 &&
                   cert_file_read(folder, "cert.pem", false, &leaf->certificate, error) == 0 &&
                   cert_file_read(folder, "key.pem", false, &leaf->key_file, error) == 0
               ? 0
               : -1;
}

static struct tls_subject describe(const struct certs_run *run, const struct certs_item *item,
                                   const struct certs_authority *authority) {
    struct tls_subject subject = {
        .role = item->role,
        .common_name = item->common_name,
        .names = item->names != NULL ? item->names->list : NULL,
        .name_count = item->names != NULL ? item->names->count : 0,
        .not_before = run->now - BACKDATE,
        .not_after = run->now + (time_t)run->settings->days * CERTS_DAY,
    };
    /* A certificate that outlives its CA would only seem to be valid. */
    if (authority->certificate.data != NULL && authority->facts.not_after < subject.not_after)
        subject.not_after = authority->facts.not_after;
    return subject;
}

/* Why there must be a new certificate, or NULL. */
static const char *judge(const struct certs_run *run, const struct certs_item *item,
                         const struct certs_authority *authority, struct leaf *leaf) {
    const struct cert_file *file = &leaf->certificate;
    unsigned char point[TLS_EC_POINT];
    if (file->data == NULL && !file->odd)
        return "there was none";
    if (run->settings->renewal != CERTS_RENEW_DUE)
        return "as asked";
    if (file->odd)
        return tls_fitness_text(TLS_UNFIT_DAMAGED);
    if (leaf->key == NULL || tls_ec_key_point(leaf->key, point) != 0)
        return leaf->key_file.data == NULL ? "its key was missing" : "its key was damaged";
    struct tls_subject wanted = describe(run, item, authority);
    enum tls_fitness fitness =
        tls_issued_check(file->data, file->len, &wanted, point, authority->point, run->now);
    if (fitness != TLS_FIT)
        return tls_fitness_text(fitness);
    leaf->can_wait = true;
    return certs_is_due(&leaf->facts, run->now) ? "less than a third of its life was left" : NULL;
}

/* Somebody's own certificate is not overwritten unasked. */
static int refuse_foreign(const struct certs_run *run, const struct certs_item *item,
                          const struct certs_authority *authority, const struct leaf *leaf,
                          struct error *error) {
    const char *issuer = leaf->facts.issuer_name;
    const struct cert_file *file = &leaf->certificate;
    struct tls_subject wanted = describe(run, item, authority);
    if (run->settings->renewal != CERTS_RENEW_DUE || certs_plan_is_own_authority(issuer) ||
        /* Of what is not as wanted, only this one matters here, and it comes first. */
        tls_issued_check(file->data, file->len, &wanted, authority->point, authority->point,
                         run->now) != TLS_UNFIT_ISSUER)
        return 0;
    return error_set(error,
                     "%s/cert.pem comes from another CA (%s); it is left alone. Take it "
                     "away, or have it replaced with --renew certs",
                     leaf->folder.path, issuer);
}

static int write_key(struct certs_run *run, const struct certs_item *item, struct leaf *leaf,
                     struct error *error) {
    char pem[TLS_EC_PEM];
    const struct cert_file *old = &leaf->key_file;
    mode_t mode = CERTS_MODE_KEY;
    tls_ec_key_free(leaf->key);
    leaf->key = tls_ec_key_generate();
    int len = leaf->key != NULL ? tls_ec_key_write(leaf->key, pem) : -1;
    if (old->data != NULL) /* a group that may read it shall go on */
        mode = (old->status.st_mode & MODE_KEY_AT_MOST) | 0400;
    int result = len < 0 ? error_set(error, "%s: cannot make a key", leaf->folder.path)
                         : cert_file_write(&leaf->folder, "key.pem", pem, (size_t)len, mode,
                                           item->owner, old, error);
    explicit_bzero(pem, sizeof pem);
    if (result == 0)
        certs_report(run, true, leaf->folder.path, "key.pem", "made");
    return result;
}

static int write_certificate(struct certs_run *run, const struct certs_item *item,
                             const struct certs_authority *authority, struct leaf *leaf,
                             struct error *error) {
    char pem[TLS_ISSUE_PEM], date[CERTS_DATE];
    struct tls_subject subject = describe(run, item, authority);
    const struct tls_issuer issuer = {authority->certificate.data, authority->certificate.len,
                                      authority->key};
    int len = tls_issue(&subject, leaf->key, &issuer, pem);
    if (len < 0)
        return error_set(error, "%s: cannot sign its certificate", leaf->folder.path);
    if (cert_file_write(&leaf->folder, "cert.pem", pem, (size_t)len, CERTS_MODE_CERTIFICATE,
                        item->owner, &leaf->certificate, error) != 0)
        return -1;
    certs_report(run, true, leaf->folder.path, "cert.pem", "made (%s), valid until %s",
                 leaf->reason, certs_date(subject.not_after, date));
    return 0;
}

static int renew(struct certs_run *run, const struct certs_item *item,
                 const struct certs_authority *authority, struct leaf *leaf, struct error *error) {
    char date[CERTS_DATE];
    if (run->settings->check) {
        if (leaf->new_key)
            certs_report(run, true, leaf->folder.path, "key.pem", "would be made");
        certs_report(run, true, leaf->folder.path, "cert.pem", "would be made: %s", leaf->reason);
        return 0;
    }
    /* Services that could start shall not be kept from it. */
    if (authority->key == NULL && leaf->can_wait) {
        certs_report(run, false, leaf->folder.path, "cert.pem",
                     "valid until %s; due, and the key of its CA is not here",
                     certs_date(leaf->facts.not_after, date));
        return 0;
    }
    if (authority->key == NULL)
        return error_set(error, "%s/cert.pem must be made (%s), and the key of its CA is not here",
                         leaf->folder.path, leaf->reason);
    /* The key first: should we be killed between the two, the next run makes a certificate for the
     * key that it finds. */
    if (leaf->new_key && write_key(run, item, leaf, error) != 0)
        return -1;
    return write_certificate(run, item, authority, leaf, error);
}

static int keep_authority(struct certs_run *run, const struct certs_item *item,
                          const struct certs_authority *authority, const struct leaf *leaf,
                          struct error *error) {
    const struct cert_file *old = &leaf->authority, *wanted = &authority->certificate;
    if (old->data != NULL && wanted->data != NULL && old->len == wanted->len &&
        memcmp(old->data, wanted->data, old->len) == 0)
        return certs_settle(run, &leaf->folder, "ca.pem", old, CERTS_MODE_CERTIFICATE,
                            CERTS_MODE_CERTIFICATE, item->owner, error);
    certs_report(run, true, leaf->folder.path, "ca.pem",
                 run->settings->check ? "would be copied from its CA" : "copied from its CA");
    if (run->settings->check)
        return 0;
    return cert_file_write(&leaf->folder, "ca.pem", wanted->data, wanted->len,
                           CERTS_MODE_CERTIFICATE, item->owner, old, error);
}

static int keep(struct certs_run *run, const struct certs_item *item,
                const struct certs_authority *authority, struct leaf *leaf, struct error *error) {
    char date[CERTS_DATE];
    const struct cert_file *certificate = &leaf->certificate;
    if (leaf->key_file.data != NULL)
        leaf->key = tls_ec_key_read(leaf->key_file.data, leaf->key_file.len);
    leaf->new_key = leaf->key == NULL || run->settings->renewal != CERTS_RENEW_DUE;
    bool readable = certificate->data != NULL &&
                    tls_issued_read(certificate->data, certificate->len, &leaf->facts) == 0;
    if (readable && refuse_foreign(run, item, authority, leaf, error) != 0)
        return -1;
    leaf->reason = judge(run, item, authority, leaf);
    if (keep_authority(run, item, authority, leaf, error) != 0)
        return -1;
    if (!leaf->new_key && certs_settle(run, &leaf->folder, "key.pem", &leaf->key_file,
                                       MODE_KEY_AT_MOST, 0400, item->owner, error) != 0)
        return -1;
    if (leaf->reason != NULL)
        return renew(run, item, authority, leaf, error);
    certs_report(run, false, leaf->folder.path, "cert.pem", "kept, valid until %s",
                 certs_date(leaf->facts.not_after, date));
    return certs_settle(run, &leaf->folder, "cert.pem", certificate, CERTS_MODE_CERTIFICATE,
                        CERTS_MODE_CERTIFICATE, item->owner, error);
}

int certs_leaf_keep(struct certs_run *run, const struct certs_item *item,
                    const struct certs_authority *authority, struct error *error) {
    __attribute__((cleanup(free_leaf))) struct leaf leaf = {.folder.fd = -1};
    return cert_folder_open(item->folder, run->settings->check ? 0 : 0755, &leaf.folder, error) ==
                       0 &&
                   read_files(&leaf, error) == 0
               ? keep(run, item, authority, &leaf, error)
               : -1;
}
