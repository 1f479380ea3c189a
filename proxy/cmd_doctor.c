#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/cert_files.h"
#include "proxy/command.h"
#include "proxy/doctor_doors.h"
#include "proxy/doctor_scan.h"

enum { IDENTITY_FILES = 2 };

/* What is gathered in a run. */
struct examination {
    const struct doctor_settings *settings;
    struct doctor_doors doors;
    struct doctor_scan scan;
    size_t known; /* doors that are shown whatever is found; those behind were found in files */
    struct cert_file files[DOCTOR_MAX_NAMES][IDENTITY_FILES];
    struct doctor_identity identities[DOCTOR_MAX_NAMES];
    size_t identity_count;
};

static void free_examination(struct examination **examination) {
    if (*examination == NULL)
        return;
    doctor_scan_free(&(*examination)->scan);
    for (size_t i = 0; i < DOCTOR_MAX_NAMES; i++)
        for (size_t j = 0; j < IDENTITY_FILES; j++)
            cert_file_wipe(&(*examination)->files[i][j]);
    free(*examination);
}

/* Names of files and of hosts may hold anything. */
static void print_safe(const char *text) {
    for (; *text != '\0'; text++)
        (void)putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

/* `aside` goes in parentheses; NULL: none. */
static void print_line(const char *word, const char *name, const char *detail, const char *aside) {
    printf("%-8s ", word);
    print_safe(name);
    printf(": ");
    print_safe(detail);
    if (aside != NULL) {
        printf(" (");
        print_safe(aside);
        printf(")");
    }
    (void)putchar('\n');
}

/* The agent's certificates. Whoever may read a key is no matter here, unlike where the proxy reads
 * its own: docker:dind leaves the client's open to all. */
static void read_identities(struct examination *examination) {
    static const char *const names[IDENTITY_FILES] = {"cert.pem", "key.pem"};
    const struct doctor_strings *folders = &examination->settings->certificates;
    for (size_t i = 0; i < folders->count; i++) {
        __attribute__((cleanup(cert_folder_close))) struct cert_folder folder = {.fd = -1};
        struct error error = {""};
        struct cert_file *files = examination->files[examination->identity_count];
        int result = cert_folder_open(folders->list[i], 0, &folder, &error);
        for (size_t j = 0; result == 0 && j < IDENTITY_FILES; j++) {
            result = cert_file_read(&folder, names[j], true, &files[j], &error);
            if (result == 0 && files[j].data == NULL)
                result = error_set(&error, "no %s", names[j]);
        }
        if (result != 0) {
            print_line("note", folders->list[i], "no certificate to try", error.text);
            for (size_t j = 0; j < IDENTITY_FILES; j++)
                cert_file_wipe(&files[j]);
            continue;
        }
        examination->identities[examination->identity_count++] = (struct doctor_identity){
            folders->list[i], {files[0].data, files[0].len}, {files[1].data, files[1].len}};
    }
}

struct visitor {
    struct examination *examination;
    struct doctor_door *door;
    pthread_t thread;
    bool started;
};

static void *visit(void *argument) {
    const struct visitor *visitor = argument;
    const struct examination *examination = visitor->examination;
    doctor_try(visitor->door, examination->identities, examination->identity_count,
               examination->settings->timeout);
    return NULL;
}

/* All at once: most doors answer at once or never. */
static void try_doors(struct examination *examination) {
    static struct visitor visitors[DOCTOR_MAX_DOORS];
    size_t count = examination->doors.count;
    for (size_t i = 0; i < count; i++) {
        visitors[i] = (struct visitor){examination, &examination->doors.list[i], 0, false};
        visitors[i].started = pthread_create(&visitors[i].thread, NULL, visit, &visitors[i]) == 0;
        if (!visitors[i].started) /* out of threads: then one after the other */
            (void)visit(&visitors[i]);
    }
    for (size_t i = 0; i < count; i++)
        if (visitors[i].started)
            (void)pthread_join(visitors[i].thread, NULL);
}

static bool is_open(const struct examination *examination, const struct doctor_door *door) {
    return door->state == DOCTOR_OPEN ||
           (examination->settings->strict && !door->is_proxy && door->state == DOCTOR_REFUSES);
}

static size_t print_doors(const struct examination *examination) {
    static const char *const words[] = {[DOCTOR_CLOSED] = "closed",
                                        [DOCTOR_OTHER] = "other",
                                        [DOCTOR_REFUSES] = "refuses",
                                        [DOCTOR_PROXY] = "proxy",
                                        [DOCTOR_OPEN] = "OPEN"};
    size_t open = 0, unshown = 0;
    for (size_t i = 0; i < examination->doors.count; i++) {
        const struct doctor_door *door = &examination->doors.list[i];
        bool dull = door->state == DOCTOR_CLOSED || door->state == DOCTOR_OTHER;
        if (i >= examination->known && dull) {
            unshown++;
            continue;
        }
        bool counts = is_open(examination, door);
        print_line(counts ? "OPEN" : words[door->state], door->name, door->detail, NULL);
        open += counts ? 1 : 0;
    }
    if (unshown > 0)
        printf("note     %zu more unix sockets: no engine\n", unshown);
    return open;
}

static size_t print_keys(const struct examination *examination) {
    size_t open = 0;
    for (size_t i = 0; i < examination->scan.key_count; i++) {
        const struct doctor_found *key = &examination->scan.keys[i];
        if (!key->is_authority_key)
            continue;
        print_line("OPEN", key->path, "the key of a CA, with which certificates can be made",
                   key->authority);
        open++;
    }
    return open;
}

/* What root in this container could do to the firewall that closes a door. */
static void print_rights(void) {
    enum { NET_ADMIN = 12, SYS_ADMIN = 21 }; /* linux/capability.h */
    static const struct {
        unsigned number;
        const char *text;
    } rights[] = {{NET_ADMIN, "CAP_NET_ADMIN: it can take firewall rules away"},
                  {SYS_ADMIN, "CAP_SYS_ADMIN: it can leave its namespaces"}};
    char line[256];
    unsigned long long effective = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "CapEff:", 7) == 0)
            effective = strtoull(line + 7, NULL, 16);
    if (file != NULL)
        (void)fclose(file);
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++)
        if ((effective >> rights[i].number & 1) != 0)
            printf("note     this process has %s\n", rights[i].text);
}

/* NULL when the filter answers at DOCKER_HOST and an engine behind it; else why nothing is proven.
 */
static const char *check_proxy(const struct examination *examination) {
    bool seen = false, refused = false;
    for (size_t i = 0; i < examination->doors.count; i++) {
        const struct doctor_door *door = &examination->doors.list[i];
        if (!door->is_proxy)
            continue;
        if (door->state == DOCTOR_PROXY && door->engine_answers)
            return NULL;
        seen = seen || door->state == DOCTOR_PROXY;
        refused = refused || door->state == DOCTOR_REFUSES;
    }
    if (refused && !seen)
        return "the proxy wants another certificate: closed doors prove nothing";
    return seen ? "the engine behind the proxy does not answer: a door may be closed only for now"
                : "the proxy does not answer: closed doors prove nothing";
}

int command_doctor(const struct options *options) {
    struct error error = {""};
    __attribute__((cleanup(free_examination))) struct examination *examination =
        calloc(1, sizeof *examination);
    if (examination == NULL) {
        (void)error_set(&error, "out of memory");
        return command_fail(EXIT_STATUS_USAGE, &error);
    }
    examination->settings = &options->config.doctor;
    read_identities(examination);
    doctor_doors_collect(examination->settings, &examination->doors);
    examination->known = examination->doors.count;
    doctor_scan(examination->settings, &examination->doors, &examination->scan);
    try_doors(examination);
    size_t open = print_doors(examination) + print_keys(examination);
    print_rights();
    if (examination->scan.cut_short || examination->doors.full)
        printf("note     there was more to look at than is looked at\n");

    const char *doubt = check_proxy(examination);
    if (open > 0) {
        printf("%zu open\n", open);
        return EXIT_STATUS_FAILED;
    }
    if (doubt != NULL) {
        (void)error_set(&error, "could not check: %s", doubt);
        return command_fail(EXIT_STATUS_USAGE, &error);
    }
    printf("nothing is open\n");
    return EXIT_STATUS_OK;
}
