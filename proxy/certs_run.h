/* One run of `dind-proxy certs`: what its parts share. Each part prints a line for every file. */
#ifndef DIND_PROXY_PROXY_CERTS_RUN_H
#define DIND_PROXY_PROXY_CERTS_RUN_H

#include <stdbool.h>
#include <time.h>

#include "proxy/cert_files.h"
#include "proxy/certs_plan.h"
#include "proxy/error.h"
#include "tls/ec_key.h"
#include "tls/issued.h"

enum {
    CERTS_MODE_KEY = 0600,
    CERTS_MODE_CERTIFICATE = 0644,
    CERTS_DAY = 86400,
};

struct certs_run {
    const struct certs_settings *settings;
    time_t now;
    unsigned changes; /* files written or mended; with --check, those that would be */
};

/* A CA at work. */
struct certs_authority {
    struct tls_ec_key *key;       /* NULL: its key is not here, so it cannot sign */
    struct cert_file certificate; /* `data` NULL: with --check, where there is none yet */
    unsigned char point[TLS_EC_POINT];
    struct tls_issued facts;
};

/* Makes the CA, or renews its certificate with the same key, as far as that is called for. A CA
 * whose key is damaged or belongs to another certificate is left alone: that is an error. 0 or -1.
 */
int certs_authority_keep(struct certs_run *run, const struct certs_item *item,
                         struct certs_authority *authority, struct error *error);
void certs_authority_free(struct certs_authority *authority);

/* Makes or renews key and certificate, and keeps ca.pem the CA's. 0 or -1. */
int certs_leaf_keep(struct certs_run *run, const struct certs_item *item,
                    const struct certs_authority *authority, struct error *error);

/* Copies what dind has made, once it has been verified. 0 or -1. */
int certs_import(struct certs_run *run, const struct certs_item *item, struct error *error);

/* "FOLDER/NAME: text", and counts it as a change if `change`. */
__attribute__((format(printf, 5, 6))) void certs_report(struct certs_run *run, bool change,
                                                        const char *folder, const char *name,
                                                        const char *format, ...);

/* Such as "2028-01-31T12:00:00Z". */
enum { CERTS_DATE = 32 };
const char *certs_date(time_t when, char text[CERTS_DATE]);

/* Whether less than a third of its life is left. */
bool certs_is_due(const struct tls_issued *issued, time_t now);

/* cert_file_settle with a line about it. 0 or -1. */
int certs_settle(struct certs_run *run, const struct cert_folder *folder, const char *name,
                 const struct cert_file *file, mode_t allowed, mode_t needed,
                 const struct certs_owner *owner, struct error *error);

#endif
