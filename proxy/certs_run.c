#include "proxy/certs_run.h"

#include <stdarg.h>
#include <stdio.h>

void certs_report(struct certs_run *run, bool change, const char *folder, const char *name,
                  const char *format, ...) {
    va_list arguments;
    if (change)
        run->changes++;
    printf("%s/%s: ", folder, name);
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)putchar('\n');
}

const char *certs_date(time_t when, char text[CERTS_DATE]) {
    struct tm calendar = {0};
    text[0] = '\0';
    if (gmtime_r(&when, &calendar) != NULL)
        (void)strftime(text, CERTS_DATE, "%Y-%m-%dT%H:%M:%SZ", &calendar);
    return text;
}

bool certs_is_due(const struct tls_issued *issued, time_t now) {
    return (issued->not_after - now) * 3 < issued->not_after - issued->not_before;
}

int certs_settle(struct certs_run *run, const struct cert_folder *folder, const char *name,
                 const struct cert_file *file, mode_t allowed, mode_t needed,
                 const struct certs_owner *owner, struct error *error) {
    bool changed = false;
    bool dry = run->settings->check;
    if (cert_file_settle(folder, name, file, allowed, needed, owner, dry, &changed, error) != 0)
        return -1;
    if (changed)
        certs_report(run, true, folder->path, name,
                     dry ? "owner or mode is wrong (%u:%u, %04o)"
                         : "owner or mode mended (was %u:%u, %04o)",
                     (unsigned)file->status.st_uid, (unsigned)file->status.st_gid,
                     (unsigned)(file->status.st_mode & 07777));
    return 0;
}
