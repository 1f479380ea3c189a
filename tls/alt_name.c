#include "tls/alt_name.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LABEL_MAX = 63 };

static bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Labels of letters, digits, '-' and '_' (which container names may have). */
static bool is_host_name(const char *text) {
    if (strncmp(text, "*.", 2) == 0)
        text += 2;
    for (;;) {
        size_t length = strcspn(text, ".");
        if (length == 0 || length > LABEL_MAX || !is_letter_or_digit(text[0]) ||
            !is_letter_or_digit(text[length - 1]))
            return false;
        for (size_t i = 0; i < length; i++)
            if (!is_letter_or_digit(text[i]) && text[i] != '-' && text[i] != '_')
                return false;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

static bool read_address(const char *text, struct tls_alt_name *name) {
    static const struct {
        int family;
        size_t len;
    } kinds[] = {{AF_INET, 4}, {AF_INET6, 16}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (inet_pton(kinds[i].family, text, name->address) != 1)
            continue;
        name->address_len = kinds[i].len;
        return inet_ntop(kinds[i].family, name->address, name->text, sizeof name->text) != NULL;
    }
    return false;
}

static bool read_host(const char *text, struct tls_alt_name *name) {
    size_t length = strlen(text);
    if (length >= sizeof name->text)
        return false;
    for (size_t i = 0; i <= length; i++)
        name->text[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    return is_host_name(name->text);
}

bool tls_alt_name_read(const char *text, struct tls_alt_name *name) {
    *name = (struct tls_alt_name){0};
    if (strncasecmp(text, "IP:", 3) == 0)
        return read_address(text + 3, name);
    if (strncasecmp(text, "DNS:", 4) == 0)
        return read_host(text + 4, name);
    return read_address(text, name) || read_host(text, name);
}

bool tls_alt_name_equal(const struct tls_alt_name *a, const struct tls_alt_name *b) {
    return a->address_len == b->address_len && strcmp(a->text, b->text) == 0;
}

const char *tls_alt_name_format(const struct tls_alt_name *name, char *text, size_t size) {
    (void)snprintf(text, size, "%s:%s", name->address_len > 0 ? "IP" : "DNS", name->text);
    return text;
}

void tls_alt_name_encode(const struct tls_alt_name *name, struct tls_der *der) {
    enum { DNS_NAME = 2, IP_ADDRESS = 7 };
    if (name->address_len > 0)
        tls_der_value(der, TLS_DER_CONTEXT | IP_ADDRESS, name->address, name->address_len);
    else
        tls_der_value(der, TLS_DER_CONTEXT | DNS_NAME, name->text, strlen(name->text));
}
