#include "tls/certificate.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "tls/name_match.h"
#include "tls/tls.h"
#include "tls/wolf.h"

int tls_certificate_date(const unsigned char *der, int der_len, time_t *when) {
    const unsigned char *text = NULL;
    unsigned char format = 0;
    int len = 0;
    int result = wc_GetDateInfo(der, der_len, &text, &format, &len);
    if (result != 0)
        return result;
    struct tm calendar = {0};
    result = wc_GetDateAsCalendarTime(text, len, format, &calendar);
    if (result != 0)
        return result;
    *when = timegm(&calendar);
    return 0;
}

static bool matches_any(const DNS_entry *entries, const char *server_name) {
    /* A name that is an address must be listed as an address: "*.0.0.1" as a DNS name is nobody's
     * proof of 127.0.0.1. The subject's common name says nothing about hosts (RFC 9525 section
     * 2), as in Go. */
    bool address = tls_name_is_address(server_name);
    for (const DNS_entry *entry = entries; entry != NULL; entry = entry->next) {
        if (entry->len <= 0 || entry->name == NULL)
            continue;
        size_t len = (size_t)entry->len;
        if (address && entry->type == ASN_IP_TYPE &&
            tls_name_matches_address((const unsigned char *)entry->name, len, server_name))
            return true;
        if (!address && entry->type == ASN_DNS_TYPE &&
            tls_name_matches_dns(entry->name, len, server_name))
            return true;
    }
    return false;
}

static int read_name(const DecodedCert *cert, char *name) {
    name[0] = '\0';
    if (cert->subjectCN == NULL || cert->subjectCNLen <= 0)
        return 0;
    size_t len = (size_t)cert->subjectCNLen;
    if (memchr(cert->subjectCN, '\0', len) != NULL)
        return ASN_PARSE_E;
    if (len > TLS_COMMON_NAME_MAX)
        len = TLS_COMMON_NAME_MAX;
    memcpy(name, cert->subjectCN, len);
    name[len] = '\0';
    return 0;
}

static int read_facts(const DecodedCert *cert, const char *server_name,
                      struct tls_certificate_facts *facts) {
    int result = read_name(cert, facts->common_name);
    if (result == 0)
        result = tls_certificate_date(cert->beforeDate, cert->beforeDateLen, &facts->not_before);
    if (result == 0)
        result = tls_certificate_date(cert->afterDate, cert->afterDateLen, &facts->not_after);
    facts->is_authority = cert->isCA;
    facts->name_matches = server_name == NULL || matches_any(cert->altNames, server_name);
    return result;
}

int tls_certificate_read(const unsigned char *der, size_t len, const char *server_name,
                         struct tls_certificate_facts *facts) {
    *facts = (struct tls_certificate_facts){0};
    if (len > 1 << 24)
        return ASN_PARSE_E;
    DecodedCert cert;
    wc_InitDecodedCert(&cert, der, (word32)len, NULL);
    int result = wc_ParseCert(&cert, CERT_TYPE, NO_VERIFY, NULL);
    if (result == 0)
        result = read_facts(&cert, server_name, facts);
    wc_FreeDecodedCert(&cert);
    return result;
}

/* An entry as text; NULL if it is of a type without one, which is passed over. */
static const char *entry_text(const DNS_entry *entry, char *room, size_t size, size_t *len) {
    *len = (size_t)entry->len;
    switch (entry->type) {
    case ASN_DNS_TYPE:
    case ASN_URI_TYPE:
    case ASN_RFC822_TYPE:
        return entry->name;
    case ASN_IP_TYPE:
        if ((entry->len != 4 && entry->len != 16) ||
            inet_ntop(entry->len == 4 ? AF_INET : AF_INET6, entry->name, room, (socklen_t)size) ==
                NULL)
            return NULL;
        *len = strlen(room);
        return room;
    default:
        return NULL;
    }
}

/* Appends the names of one of wolfSSL's lists. */
static int add_names(const DNS_entry *entries, char *names, size_t *size, size_t *count) {
    for (const DNS_entry *entry = entries; entry != NULL; entry = entry->next) {
        char room[INET6_ADDRSTRLEN];
        size_t len;
        const char *text = entry->len <= 0 || entry->name == NULL
                               ? NULL
                               : entry_text(entry, room, sizeof room, &len);
        if (text == NULL)
            continue;
        if (++*count > TLS_ALT_NAMES || len >= TLS_ALT_NAMES_SIZE - *size ||
            memchr(text, '\0', len) != NULL)
            return ASN_PARSE_E;
        memcpy(names + *size, text, len);
        names[*size + len] = '\0';
        *size += len + 1;
    }
    return 0;
}

int tls_certificate_alt_names(const unsigned char *der, size_t len, char **names, size_t *size) {
    *names = NULL;
    *size = 0;
    if (len > 1 << 24)
        return ASN_PARSE_E;
    char *room = malloc(TLS_ALT_NAMES_SIZE);
    if (room == NULL)
        return MEMORY_E;
    size_t count = 0;
    DecodedCert cert;
    wc_InitDecodedCert(&cert, der, (word32)len, NULL);
    int result = wc_ParseCert(&cert, CERT_TYPE, NO_VERIFY, NULL);
    if (result == 0)
        result = add_names(cert.altNames, room, size, &count);
    if (result == 0)
        result = add_names(cert.altEmailNames, room, size, &count);
    wc_FreeDecodedCert(&cert);
    if (result == 0 && *size > 0) {
        char *fitting = realloc(room, *size);
        *names = fitting != NULL ? fitting : room;
        return 0;
    }
    free(room);
    *size = 0;
    return result;
}

int tls_certificate_read_pem(const unsigned char *pem, size_t len,
                             struct tls_certificate_facts *facts) {
    *facts = (struct tls_certificate_facts){0};
    DerBuffer *der = NULL;
    int result = wc_PemToDer(pem, (long)len, CERT_TYPE, &der, NULL, NULL, NULL);
    if (result == 0)
        result = tls_certificate_read(der->buffer, der->length, NULL, facts);
    wc_FreeDer(&der);
    return result;
}

int tls_certificate_check_authorities(const char *pem) {
    const char *begin = pem;
    while ((begin = strstr(begin, "-----BEGIN ")) != NULL) {
        struct tls_certificate_facts facts;
        int result = tls_certificate_read_pem((const unsigned char *)begin, strlen(begin), &facts);
        if (result == ASN_NO_PEM_HEADER && begin != pem)
            return 0; /* what follows the last certificate is something else */
        if (result != 0)
            return result;
        if (!facts.is_authority)
            return NOT_CA_ERROR;
        begin++;
    }
    return 0;
}
