#include "proxy/certs_run.h"

#include <string.h>

#include "tls/pair.h"

enum { FILES = 3, MODE_KEY_AT_MOST = 0640 };

static const struct {
    const char *name;
    mode_t mode;    /* of a new file */
    mode_t allowed; /* of one that stays */
    mode_t needed;
} files[FILES] = {
    {"ca.pem", CERTS_MODE_CERTIFICATE, CERTS_MODE_CERTIFICATE, CERTS_MODE_CERTIFICATE},
    {"key.pem", CERTS_MODE_KEY, MODE_KEY_AT_MOST, 0400},
    {"cert.pem", CERTS_MODE_CERTIFICATE, CERTS_MODE_CERTIFICATE, CERTS_MODE_CERTIFICATE},
};

enum { AUTHORITY, KEY, CERTIFICATE };

struct copy {
    struct cert_folder from, to;
    struct cert_file source[FILES], target[FILES];
};

static void free_copy(struct copy *copy) {
    cert_folder_close(&copy->from);
    cert_folder_close(&copy->to);
    for (size_t i = 0; i < FILES; i++) {
        cert_file_wipe(&copy->source[i]);
        cert_file_wipe(&copy->target[i]);
    }
}

static struct tls_pem pem_of(const struct cert_file *file) {
    return (struct tls_pem){file->data, file->len};
}

static int read_source(struct copy *copy, struct error *error) {
    for (size_t i = 0; i < FILES; i++) {
        if (cert_file_read(&copy->from, files[i].name, false, &copy->source[i], error) != 0)
            return -1;
        if (copy->source[i].odd)
            return error_set(error, "%s/%s: not a regular file", copy->from.path, files[i].name);
        if (copy->source[i].data == NULL)
            return error_set(error,
                             "%s/%s: dind has made none; it does so when it starts with "
                             "DOCKER_TLS_CERTDIR set",
                             copy->from.path, files[i].name);
    }
    return 0;
}

/* What the proxy would refuse, or what its clients would, is better told here. */
static int verify(const struct certs_item *item, const struct copy *copy, struct error *error) {
    struct tls_error reason = {""};
    struct tls_pem certificate = pem_of(&copy->source[CERTIFICATE]);
    if (!tls_pair_matches(certificate, pem_of(&copy->source[KEY])))
        return error_set(error, "%s: key.pem does not belong to cert.pem, or one is damaged",
                         copy->from.path);
    if (tls_pair_verify(pem_of(&copy->source[AUTHORITY]), certificate, &reason) != 0)
        return error_set(error, "%s/cert.pem is of no use: %s", copy->from.path, reason.text);
    for (size_t i = 0; item->names != NULL && i < item->names->count; i++)
        if (!tls_pair_covers(certificate, item->names->list[i].text))
            return error_set(error,
                             "%s/cert.pem is not valid for %s; have dind make it so with "
                             "DOCKER_TLS_SAN=DNS:dind,DNS:dind-proxy",
                             copy->from.path, item->names->list[i].text);
    return 0;
}

static int copy_file(struct certs_run *run, const struct certs_item *item, const struct copy *copy,
                     size_t i, struct error *error) {
    const struct cert_file *source = &copy->source[i], *target = &copy->target[i];
    if (target->data != NULL && target->len == source->len &&
        memcmp(target->data, source->data, source->len) == 0)
        return certs_settle(run, &copy->to, files[i].name, target, files[i].allowed,
                            files[i].needed, item->owner, error);
    certs_report(run, true, copy->to.path, files[i].name,
                 run->settings->check ? "would be copied from %s" : "copied from %s",
                 copy->from.path);
    if (run->settings->check)
        return 0;
    mode_t mode = files[i].mode;
    if (target->data != NULL)
        mode = (target->status.st_mode & files[i].allowed) | files[i].needed;
    return cert_file_write(&copy->to, files[i].name, source->data, source->len, mode, item->owner,
                           target, error);
}

static int copy_all(struct certs_run *run, const struct certs_item *item, struct copy *copy,
                    struct error *error) {
    char date[CERTS_DATE];
    struct tls_issued facts;
    unsigned before = run->changes;
    for (size_t i = 0; i < FILES; i++)
        if (cert_file_read(&copy->to, files[i].name, false, &copy->target[i], error) != 0)
            return -1;
    for (size_t i = 0; i < FILES; i++)
        if (copy_file(run, item, copy, i, error) != 0)
            return -1;
    const struct cert_file *source = &copy->source[CERTIFICATE];
    if (tls_issued_read(source->data, source->len, &facts) == 0)
        certs_report(run, false, copy->to.path, "cert.pem", "%s, valid until %s",
                     run->changes == before ? "kept" : "dind's", certs_date(facts.not_after, date));
    return 0;
}

int certs_import(struct certs_run *run, const struct certs_item *item, struct error *error) {
    __attribute__((cleanup(free_copy))) struct copy copy = {.from.fd = -1, .to.fd = -1};
    if (cert_folder_open(item->source, 0, &copy.from, error) != 0 ||
        read_source(&copy, error) != 0 || verify(item, &copy, error) != 0 ||
        cert_folder_open(item->folder, run->settings->check ? 0 : 0755, &copy.to, error) != 0)
        return -1;
    return copy_all(run, item, &copy, error);
}
