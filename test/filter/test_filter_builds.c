/* The verdicts on BuildKit's own routes and parameters, by each setting of --buildkit. */
#include "head_cases.h"

static void buildkit_follows_its_switch(void **state) {
    (void)state;
    static const struct head_case denied[] = {
        {{"POST", "/session", false, {"Connection: Upgrade", "Upgrade: h2c"}},
         {DENY_, "endpoint.session", false}},
        {{"POST", "/v1.47/grpc", false, {"Connection: Upgrade", "Upgrade: h2c"}},
         {DENY_, "endpoint.grpc", false}},
        {{"POST", "/build?version=2", true, {TAR}}, {DENY_, "build.buildkit", false}},
        {{"POST", "/build?version=3", true, {TAR}}, {DENY_, "build.buildkit", false}},
        {{"POST", "/build?session=abc", true, {TAR}}, {DENY_, "build.buildkit", false}},
        {{"POST", "/build?outputs=%5B%5D", true, {TAR}}, {DENY_, "build.buildkit", false}},
        {{"POST", "/build?remote=client-session&session=a&version=2", false, {0}},
         {DENY_, "build.buildkit", false}},
        {{"POST", "/build?remote=client-session", false, {0}}, {DENY_, "build.remote", false}},
        {{"POST", "/build?version=1", true, {TAR}}, {ALLOW_, "endpoint.build", false}},
    };
    static const struct head_case opaque[] = {
        {{"POST", "/session", false, {"Connection: Upgrade", "Upgrade: h2c"}},
         {ALLOW_, "endpoint.session", FILTER_HIJACK_H2C}},
        {{"POST", "/v1.47/grpc", false, {"Connection: Upgrade", "Upgrade: h2c"}},
         {ALLOW_, "endpoint.grpc", FILTER_HIJACK_H2C}},
        {{"POST", "/build?version=2&session=a&remote=client-session&outputs=%5B%5D", false, {0}},
         {ALLOW_, "endpoint.build", false}},
        {{"POST", "/build?version=2&remote=upload-request&buildid=x", false, {0}},
         {ALLOW_, "endpoint.build", false}},
        {{"POST", "/build?version=2&session=a&remote=client-session&networkmode=host", false, {0}},
         {DENY_, "build.networkmode", false}},
        {{"POST", "/build?version=2&session=a&remote=https://example.org/x", false, {0}},
         {DENY_, "build.remote", false}},
    };
#define OFFERS(method) "X-Docker-Expose-Session-Grpc-Method: " method
    static const struct head_case inspected[] = {
        {{"POST",
          "/session",
          false,
          {"Upgrade: h2c", OFFERS("/moby.buildkit.secrets.v1.Secrets/GetSecret")}},
         {ALLOW_, "endpoint.session", FILTER_HIJACK_H2C}},
        {{"POST", "/v1.47/grpc", false, {"Connection: Upgrade", "Upgrade: h2c"}},
         {ALLOW_, "endpoint.grpc", FILTER_HIJACK_GRPC}},
        {{"POST", "/build?version=2&session=a&remote=client-session&outputs=%5B%5D", false, {0}},
         {ALLOW_, "endpoint.build", false}},
        {{"POST", "/build?version=2&session=a&remote=client-session&networkmode=host", false, {0}},
         {DENY_, "build.networkmode", false}},
        {{"POST", "/build?version=2&session=a&remote=client-session&cgroupparent=x", false, {0}},
         {DENY_, "build.cgroupparent", false}},
        {{"POST", "/build?version=2&session=a&remote=https://example.org/x", false, {0}},
         {DENY_, "build.remote", false}},
    };
    static const struct head_case session_denied[] = {
        {{"POST",
          "/session",
          false,
          {OFFERS("/moby.filesync.v1.FileSync/DiffCopy"),
           OFFERS("/moby.buildkit.secrets.v1.Secrets/GetSecret")}},
         {DENY_, "session.secrets", false}},
        {{"POST",
          "/session",
          false,
          {"x-docker-expose-session-grpc-method: /MOBY.filesync.v1.Auth/Credentials"}},
         {DENY_, "session.auth", false}},
        {{"POST", "/session", false, {OFFERS("/moby.sshforward.v1.SSH/ForwardAgent")}},
         {ALLOW_, "endpoint.session", FILTER_HIJACK_H2C}},
    };
    for (int preset = FILTER_BLOCKLIST; preset <= FILTER_ALLOWLIST; preset++) {
        struct filter_settings settings = {.preset = (enum filter_preset)preset};
        check_all(&settings, denied, COUNT(denied));
        settings.buildkit = FILTER_BUILDKIT_OPAQUE;
        check_all(&settings, opaque, COUNT(opaque));
        settings.buildkit = FILTER_BUILDKIT_INSPECT;
        check_all(&settings, inspected, COUNT(inspected));
        settings.session_deny = FILTER_SESSION_SECRETS | FILTER_SESSION_AUTH;
        check_all(&settings, session_denied, COUNT(session_denied));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buildkit_follows_its_switch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
