/* What lies about in the files that `dind-proxy doctor` can see: unix sockets, and keys of CAs. */
#ifndef DIND_PROXY_PROXY_DOCTOR_SCAN_H
#define DIND_PROXY_PROXY_DOCTOR_SCAN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/doctor.h"
#include "proxy/doctor_doors.h"

enum {
    DOCTOR_MAX_KEYS = 128,
    DOCTOR_MAX_AUTHORITIES = 64,
    DOCTOR_MAX_ENTRIES = 20000, /* of folders */
};

/* A text that was found in a file; owned. */
struct doctor_found {
    char *path;
    unsigned char *text;
    size_t len;
    bool is_authority_key;
    char authority[256]; /* of a key: its CA's name, or what else shows it to be one */
};

/* Zero-initialised is ready for use. */
struct doctor_scan {
    struct doctor_found keys[DOCTOR_MAX_KEYS];
    size_t key_count;
    struct doctor_found authorities[DOCTOR_MAX_AUTHORITIES];
    size_t authority_count;
    size_t entries;
    bool cut_short; /* one of the limits was met */
};

/* Looks for sockets in /run and below every mount of /proc/self/mountinfo but the root, and adds
 * them to `doors`; looks for keys in the settings' folders, in /certs, and in mounts whose names
 * speak of certificates. Marks those keys that belong to the certificate of a CA seen in the same
 * places, or whose names say that they are a CA's. */
void doctor_scan(const struct doctor_settings *settings, struct doctor_doors *doors,
                 struct doctor_scan *scan);
void doctor_scan_free(struct doctor_scan *scan);

/* Reads one line of mountinfo (proc_pid_mountinfo(5)): the mount point, unescaped, and whether it
 * may hold files that somebody put there. False if the line is not understood. */
bool doctor_read_mount(const char *line, char path[PATH_MAX], bool *holds_files);

#endif
