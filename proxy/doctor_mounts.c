/* Lines of /proc/self/mountinfo. */
#include <stdio.h>
#include <string.h>

#include "proxy/doctor_scan.h"

/* File systems that the kernel fills. */
static const char *const kernel_types[] = {
    "autofs", "binfmt_misc", "bpf",       "cgroup",    "cgroup2", "configfs", "debugfs",
    "devpts", "efivarfs",    "fusectl",   "hugetlbfs", "mqueue",  "nsfs",     "proc",
    "pstore", "securityfs",  "selinuxfs", "sysfs",     "tracefs", "devtmpfs", "rpc_pipefs",
};

static const char *const kernel_folders[] = {"/proc", "/sys", "/dev"};

static bool is_kernels(const char *path, const char *type) {
    for (size_t i = 0; i < sizeof kernel_types / sizeof *kernel_types; i++)
        if (strcmp(type, kernel_types[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof kernel_folders / sizeof *kernel_folders; i++) {
        size_t length = strlen(kernel_folders[i]);
        if (strncmp(path, kernel_folders[i], length) == 0 &&
            (path[length] == '/' || path[length] == '\0'))
            return true;
    }
    return strcmp(path, "/") == 0;
}

/* Three octal digits; -1 if they are none or too many for a byte. */
static int read_octal(const char *text, size_t length) {
    enum { DIGITS = 3, BITS = 3 };
    int value = 0;
    if (length < DIGITS)
        return -1;
    for (size_t i = 0; i < DIGITS; i++) {
        if (text[i] < '0' || text[i] > '7')
            return -1;
        value = value << BITS | (text[i] - '0');
    }
    return value <= 0xff ? value : -1;
}

/* Blanks, line breaks and backslashes stand there as \040 and so on. */
static bool unescape(const char *text, size_t length, char path[PATH_MAX]) {
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int value = (unsigned char)text[i];
        if (text[i] == '\\') {
            value = read_octal(text + i + 1, length - i - 1);
            i += 3;
        }
        if (value < 0 || used + 1 >= PATH_MAX)
            return false;
        path[used++] = (char)value;
    }
    path[used] = '\0';
    return used > 0;
}

bool doctor_read_mount(const char *line, char path[PATH_MAX], bool *holds_files) {
    enum { BEFORE_POINT = 4 };
    char type[32] = "";
    for (int i = 0; i < BEFORE_POINT; i++) {
        line = strchr(line, ' ');
        if (line == NULL)
            return false;
        line++;
    }
    const char *separator = strstr(line, " - ");
    if (separator == NULL || sscanf(separator, " - %31s", type) != 1 ||
        !unescape(line, strcspn(line, " "), path))
        return false;
    *holds_files = !is_kernels(path, type);
    return true;
}
