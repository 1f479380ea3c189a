#include "proxy/doctor_scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/cleanup.h"
#include "tls/certificate.h"
#include "tls/pair.h"

enum { DEPTH = 4, MAX_PEM = 64 << 10 };

struct walk {
    struct doctor_doors *doors;
    struct doctor_scan *scan;
    bool keys; /* look for keys too */
};

static void free_text(unsigned char **text) {
    if (*text != NULL)
        explicit_bzero(*text, strlen((const char *)*text));
    free(*text);
}

static void close_folder(DIR **folder) {
    if (*folder != NULL)
        (void)closedir(*folder);
}

static void add_found(struct doctor_scan *scan, struct doctor_found *list, size_t *count,
                      size_t limit, const char *path, const unsigned char *text, size_t len) {
    if (*count == limit) {
        scan->cut_short = true;
        return;
    }
    struct doctor_found found = {.path = strdup(path), .text = malloc(len + 1), .len = len};
    if (found.path == NULL || found.text == NULL) {
        free(found.path);
        free(found.text);
        scan->cut_short = true;
        return;
    }
    memcpy(found.text, text, len);
    found.text[len] = '\0';
    list[(*count)++] = found;
}

/* Every certificate of a file that belongs to a CA, and its first private key. */
static void read_pem(struct doctor_scan *scan, const char *path, const unsigned char *text) {
    const char *begin = (const char *)text;
    while ((begin = strstr(begin, "-----BEGIN CERTIFICATE-----")) != NULL) {
        struct tls_certificate_facts facts;
        if (tls_certificate_read_pem((const unsigned char *)begin, strlen(begin), &facts) == 0 &&
            facts.is_authority) {
            size_t before = scan->authority_count;
            add_found(scan, scan->authorities, &scan->authority_count, DOCTOR_MAX_AUTHORITIES, path,
                      (const unsigned char *)begin, strlen(begin));
            if (scan->authority_count > before)
                (void)snprintf(scan->authorities[before].authority,
                               sizeof scan->authorities[before].authority, "%.200s",
                               facts.common_name);
        }
        begin++;
    }
    if (strstr((const char *)text, "PRIVATE KEY-----") != NULL)
        add_found(scan, scan->keys, &scan->key_count, DOCTOR_MAX_KEYS, path, text,
                  strlen((const char *)text));
}

static void look_into(struct walk *walk, int folder, const char *name, const char *path) {
    struct stat status;
    __attribute__((cleanup(free_text))) unsigned char *text = NULL;
    __attribute__((cleanup(cleanup_fd))) int fd =
        openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    /* What this process cannot read, is closed to whoever runs beside it with the same rights. */
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > MAX_PEM)
        return;
    text = calloc(1, MAX_PEM + 1);
    if (text == NULL || read(fd, text, MAX_PEM) <= 0)
        return;
    if (strstr((const char *)text, "-----BEGIN ") != NULL)
        read_pem(walk->scan, path, text);
}

static bool may_be_pem(const char *name) {
    static const char *const endings[] = {".pem", ".key", ".crt", ".cer", ".cert"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t ending = strlen(endings[i]);
        if (length > ending && strcasecmp(name + length - ending, endings[i]) == 0)
            return true;
    }
    return false;
}

static void visit(struct walk *walk, int at, const char *name, const char *path, unsigned depth);

static void visit_folder(struct walk *walk, int fd, const char *path, unsigned depth) {
    __attribute__((cleanup(close_folder))) DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        (void)close(fd);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        char below[PATH_MAX];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (++walk->scan->entries > DOCTOR_MAX_ENTRIES) {
            walk->scan->cut_short = true;
            return;
        }
        int length = snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (length > 0 && (size_t)length < sizeof below)
            visit(walk, dirfd(folder), entry->d_name, below, depth);
    }
}

/* Links are not followed: what they lead to is found where it is, or is not mounted. */
static void visit(struct walk *walk, int at, const char *name, const char *path, unsigned depth) {
    struct stat status;
    if (fstatat(at, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (S_ISSOCK(status.st_mode)) {
        doctor_doors_add_socket(walk->doors, path, false);
    } else if (S_ISREG(status.st_mode) && walk->keys && may_be_pem(name)) {
        look_into(walk, at, name, path);
    } else if (S_ISDIR(status.st_mode) && depth > 0) {
        int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
            visit_folder(walk, fd, path, depth - 1);
    }
}

/* A root may be a link itself, as /var/run is. */
static void visit_root(struct walk *walk, const char *path, bool keys) {
    char real[PATH_MAX];
    walk->keys = keys;
    if (realpath(path, real) != NULL)
        visit(walk, AT_FDCWD, real, real, DEPTH);
}

static bool speaks_of_certificates(const char *path) {
    static const char *const words[] = {"cert", "docker", "tls", "ssl", "pki", "secret"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(path, words[i]) != NULL)
            return true;
    return false;
}

static void visit_mounts(struct walk *walk) {
    char *line = NULL, path[PATH_MAX];
    size_t size = 0;
    bool holds_files = false;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (file == NULL) {
        walk->scan->cut_short = true;
        return;
    }
    while (getline(&line, &size, file) > 0)
        if (doctor_read_mount(line, path, &holds_files) && holds_files)
            visit_root(walk, path, speaks_of_certificates(path));
    free(line);
    (void)fclose(file);
}

/* The same file may have been met on several ways. */
static bool seen_before(const struct doctor_scan *scan, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(scan->keys[i].path, scan->keys[index].path) == 0)
            return true;
    return false;
}

static bool is_named_as_authority(const char *path) {
    static const char *const names[] = {"/ca/key.pem", "/ca-key.pem", "/ca.key", "/cakey.pem",
                                        "/agent-ca/key.pem"};
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t ending = strlen(names[i]);
        if (length >= ending && strcasecmp(path + length - ending, names[i]) == 0)
            return true;
    }
    return false;
}

static void judge_key(const struct doctor_scan *scan, struct doctor_found *key) {
    for (size_t i = 0; i < scan->authority_count; i++) {
        const struct doctor_found *authority = &scan->authorities[i];
        if (!tls_pair_matches((struct tls_pem){authority->text, authority->len},
                              (struct tls_pem){key->text, key->len}))
            continue;
        key->is_authority_key = true;
        memcpy(key->authority, authority->authority, sizeof key->authority);
        return;
    }
    if (is_named_as_authority(key->path)) {
        key->is_authority_key = true;
        (void)snprintf(key->authority, sizeof key->authority, "by its name");
    }
}

void doctor_scan(const struct doctor_settings *settings, struct doctor_doors *doors,
                 struct doctor_scan *scan) {
    struct walk walk = {doors, scan, false};
    for (size_t i = 0; i < settings->certificates.count; i++)
        visit_root(&walk, settings->certificates.list[i], true);
    visit_root(&walk, "/certs", true);
    visit_root(&walk, "/run", false);
    visit_root(&walk, "/var/run", false);
    visit_mounts(&walk);
    for (size_t i = 0; i < scan->key_count; i++)
        if (!seen_before(scan, i))
            judge_key(scan, &scan->keys[i]);
}

static void free_found(struct doctor_found *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (list[i].text != NULL)
            explicit_bzero(list[i].text, list[i].len);
        free(list[i].text);
        free(list[i].path);
    }
}

void doctor_scan_free(struct doctor_scan *scan) {
    free_found(scan->keys, scan->key_count);
    free_found(scan->authorities, scan->authority_count);
    *scan = (struct doctor_scan){0};
}
