/* The one place that includes wolfSSL, and refuses to build against one that lacks what we rely
 * on. */
#ifndef DIND_PROXY_TLS_WOLF_H
#define DIND_PROXY_TLS_WOLF_H

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/hash.h>

#if !defined(WOLFSSL_TLS13) || defined(WOLFSSL_NO_TLS12)
#error "wolfSSL must be built with TLS 1.2 and TLS 1.3"
#endif
#if !defined(HAVE_ALPN) || !defined(HAVE_SNI) || !defined(HAVE_SESSION_TICKET)
#error "wolfSSL must be built with ALPN, SNI and session tickets"
#endif
/* Without it the callback that learns who the peer is would not run for good certificates. */
#ifndef WOLFSSL_ALWAYS_VERIFY_CB
#error "wolfSSL must be built with WOLFSSL_ALWAYS_VERIFY_CB"
#endif
/* The keys of a session, and what the next ones come from, for kernel TLS. */
#if !defined(ATOMIC_USER) || !defined(HAVE_SECRET_CALLBACK)
#error "wolfSSL must be built with --enable-atomicuser and HAVE_SECRET_CALLBACK"
#endif
/* Without it addresses in a certificate are not decoded. */
#if !defined(WOLFSSL_IP_ALT_NAME) && !defined(OPENSSL_ALL)
#error "wolfSSL must be built with --enable-ip-alt-name"
#endif
/* Clients of today refuse a TLS 1.2 server that does not say it is safe (RFC 5746 section 3.6). */
#if !defined(HAVE_SERVER_RENEGOTIATION_INFO) && !defined(HAVE_SECURE_RENEGOTIATION)
#error "wolfSSL must be built with secure renegotiation info (the default of its configure)"
#endif
/* What certificates are written with, and what decodes those that exist. */
#if !defined(WOLFSSL_DER_TO_PEM) || !defined(WOLFSSL_CERT_EXT) || !defined(HAVE_ECC)
#error "wolfSSL must be built with --enable-ecc, --enable-certgen and --enable-certext"
#endif

#endif
