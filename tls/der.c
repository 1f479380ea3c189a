#include "tls/der.h"

#include <string.h>

void tls_der_put(struct tls_der *der, const void *bytes, size_t len) {
    if (der->failed || len > der->at) {
        der->failed = true;
        return;
    }
    der->at -= len;
    memcpy(der->bytes + der->at, bytes, len);
}

void tls_der_byte(struct tls_der *der, unsigned char byte) {
    tls_der_put(der, &byte, 1);
}

void tls_der_wrap(struct tls_der *der, unsigned char tag, size_t end) {
    if (der->failed)
        return;
    size_t len = end - der->at;
    /* The short form, or the long one with as few bytes as will do (X.690 sections 8.1.3, 10.1). */
    if (len < 0x80) {
        tls_der_byte(der, (unsigned char)len);
    } else {
        unsigned char count = 0;
        for (size_t rest = len; rest > 0; rest >>= 8, count++)
            tls_der_byte(der, (unsigned char)(rest & 0xff));
        tls_der_byte(der, (unsigned char)(0x80 | count));
    }
    tls_der_byte(der, tag);
}

void tls_der_value(struct tls_der *der, unsigned char tag, const void *bytes, size_t len) {
    size_t end = der->at;
    tls_der_put(der, bytes, len);
    tls_der_wrap(der, tag, end);
}

void tls_der_time(struct tls_der *der, time_t when) {
    enum { FIRST_YEAR = 1950, LAST_UTC_YEAR = 2049, LAST_YEAR = 9999, BASE = 1900 };
    struct tm calendar;
    char text[32];
    if (gmtime_r(&when, &calendar) == NULL || calendar.tm_year < FIRST_YEAR - BASE ||
        calendar.tm_year > LAST_YEAR - BASE) {
        der->failed = true;
        return;
    }
    bool utc = calendar.tm_year <= LAST_UTC_YEAR - BASE;
    size_t len = strftime(text, sizeof text, utc ? "%y%m%d%H%M%SZ" : "%Y%m%d%H%M%SZ", &calendar);
    tls_der_value(der, utc ? TLS_DER_UTC_TIME : TLS_DER_GENERALIZED_TIME, text, len);
}
