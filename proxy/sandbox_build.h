/* Whether the sanitizers are built in, which need more of the kernel than the proxy itself. */
#ifndef DIND_PROXY_PROXY_SANDBOX_BUILD_H
#define DIND_PROXY_PROXY_SANDBOX_BUILD_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

#endif
