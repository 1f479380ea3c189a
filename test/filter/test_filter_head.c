/* What filter_judge_head says, and how filter_judge_body builds on it. The rules for bodies have
 * tests of their own. */
#include "head_cases.h"

static void ordinary_work_passes(void **state) {
    (void)state;
    static const struct head_case cases[] = {
        {{"GET", "/_ping", false, {0}}, {ALLOW_, "endpoint.ping", false}},
        {{"HEAD", "/_ping", false, {0}}, {ALLOW_, "endpoint.ping", false}},
        {{"GET", "/v1.41/version", false, {0}}, {ALLOW_, "endpoint.version", false}},
        {{"GET", "/v1.24/info", false, {0}}, {ALLOW_, "endpoint.info", false}},
        {{"GET", "/v1.99/info", false, {0}}, {ALLOW_, "endpoint.info", false}},
        {{"GET", "/v1.47/containers/json?all=1&filters=%zz", false, {0}},
         {ALLOW_, "endpoint.container-list", false}},
        {{"POST", "/v1.41/containers/create?name=web1", true, {JSON}},
         {BODY_, "endpoint.container-create", false}},
        {{"POST", "/containers/create", true, {"content-type: Application/JSON; charset=utf-8"}},
         {BODY_, "endpoint.container-create", false}},
        {{"POST", "/containers/create", true, {JSON, "Content-Encoding: identity"}},
         {BODY_, "endpoint.container-create", false}},
        {{"POST", "/v1.41/containers/web1/start", false, {0}},
         {ALLOW_, "endpoint.container-start", false}},
        {{"POST", "/v1.41/containers/web1/start?checkpoint=&checkpoint-dir=", false, {0}},
         {ALLOW_, "endpoint.container-start", false}},
        {{"GET", "/v1.41/containers/web1/top", false, {0}},
         {ALLOW_, "endpoint.container-top", false}},
        {{"GET", "/containers/web1/top?ps_args=", false, {0}},
         {ALLOW_, "endpoint.container-top", false}},
        {{"GET", "/containers/web1/top?ps_args=aux", false, {0}},
         {ALLOW_, "endpoint.container-top", false}},
        {{"GET", "/containers/web1/top?ps_args=-o+pid%2Cargs+-o+user%3A20", false, {0}},
         {ALLOW_, "endpoint.container-top", false}},
        {{"GET", "/containers/web1/top?ps_args=-eopid,lstart", false, {0}},
         {ALLOW_, "endpoint.container-top", false}},
        /* Chunked: it may yet turn out empty. */
        {{"POST", "/v1.41/containers/web1/start", true, {0}},
         {BODY_, "endpoint.container-start", false}},
        {{"POST",
          "/v1.41/containers/web1/attach?stream=1",
          false,
          {"Connection: Upgrade", "Upgrade: tcp", TEXT}},
         {ALLOW_, "endpoint.container-attach", FILTER_HIJACK_RAW}},
        {{"GET", "/v1.41/containers/web1/attach/ws?stream=1", false, {"Upgrade: websocket"}},
         {ALLOW_, "endpoint.container-attach-ws", FILTER_HIJACK_WEBSOCKET}},
        {{"HEAD", "/v1.41/containers/web1/attach/ws", false, {0}},
         {ALLOW_, "endpoint.container-attach-ws", false}},
        /* Upgrade on an ordinary route means nothing. */
        {{"POST", "/v1.41/containers/web1/stop", false, {"Upgrade: tcp"}},
         {ALLOW_, "endpoint.container-stop", false}},
        {{"POST", "/v1.41/build?t=a&t=b&version=1&networkmode=default", true, {TAR}},
         {ALLOW_, "endpoint.build", false}},
        {{"POST",
          "/v1.41/build?networkmode=ci_default&cgroupparent=&remote=&session=",
          true,
          {TAR}},
         {ALLOW_, "endpoint.build", false}},
        {{"POST", "/v1.41/build?networkmode=", true, {0}}, {ALLOW_, "endpoint.build", false}},
        {{"POST", "/v1.41/build?networkmode=none", true, {0}}, {ALLOW_, "endpoint.build", false}},
        {{"POST",
          "/v1.41/images/create?fromImage=registry.example%3A5000%2Fnope&tag=1",
          false,
          {0}},
         {ALLOW_, "endpoint.image-create", false}},
        {{"POST", "/images/create?fromSrc=-&repo=x&changes=a&changes=b", true, {TEXT}},
         {ALLOW_, "endpoint.image-create", false}},
        {{"POST", "/images/load?quiet=1", true, {TAR}}, {ALLOW_, "endpoint.image-load", false}},
        {{"POST", "/images/registry.example:5000/a/b/push?tag=4", false, {0}},
         {ALLOW_, "endpoint.image-push", false}},
        {{"DELETE", "/containers/web12?force=1&v=1", false, {0}},
         {ALLOW_, "endpoint.container-remove", false}},
        {{"HEAD", "/containers/web1/archive?path=%2Fdata", false, {0}},
         {ALLOW_, "endpoint.container-archive-stat", false}},
        {{"POST", "/networks/shop_front/connect", true, {JSON}},
         {BODY_, "endpoint.network-connect", false}},
        {{"POST", "/v1.47/auth", true, {JSON}}, {ALLOW_, "endpoint.auth", false}},
        {{"OPTIONS", "/containers/create", false, {0}}, {ALLOW_, "endpoint.options", false}},
        /* Unlisted reads pass. */
        {{"GET", "/v1.60/something/new", false, {0}}, {ALLOW_, "endpoint.unlisted", false}},
        {{"HEAD", "/something/new", false, {0}}, {ALLOW_, "endpoint.unlisted", false}},
        {{"GET", "/session", false, {"Upgrade: h2c"}}, {ALLOW_, "endpoint.unlisted", false}},
    };
    check_all(&(struct filter_settings){0}, cases, COUNT(cases));
}

static void breakouts_are_refused(void **state) {
    (void)state;
    static const struct head_case cases[] = {
        {{"POST", "/containers/web1/exec", true, {JSON}}, {DENY_, "endpoint.exec-create", false}},
        {{"POST", "/v1.47/containers/a/b/exec", true, {JSON}},
         {DENY_, "endpoint.exec-create", false}},
        {{"POST", "/exec/3f1c/start", true, {JSON, "Upgrade: tcp"}},
         {DENY_, "endpoint.exec-start", false}},
        {{"POST", "/exec/3f1c/resize?h=1&w=1", false, {0}}, {DENY_, "endpoint.exec-resize", false}},
        /* A refusal stands whatever else is wrong. */
        {{"POST", "/containers/web1/exec", true, {FORM, FORM}},
         {DENY_, "endpoint.exec-create", false}},
        {{"POST", "/containers/web1/update", true, {JSON}},
         {DENY_, "endpoint.container-update", false}},
        {{"PUT", "/containers/web1/archive?path=%2F", true, {TAR}},
         {DENY_, "endpoint.container-archive-put", false}},
        {{"PUT", "/containers/a/b/archive?path=%2F", false, {0}},
         {DENY_, "endpoint.container-archive-put", false}},
        {{"POST", "/containers/web1/copy", true, {JSON}},
         {DENY_, "endpoint.container-copy", false}},
        {{"GET", "/containers/a/checkpoints?dir=%2Fetc", false, {0}},
         {DENY_, "endpoint.checkpoint-list", false}},
        {{"HEAD", "/containers/a/checkpoints?dir=%2Fetc", false, {0}},
         {DENY_, "endpoint.checkpoint-list", false}},
        {{"POST", "/containers/a/checkpoints", true, {JSON}},
         {DENY_, "endpoint.checkpoint-create", false}},
        /* Falls under container removal too. */
        {{"DELETE", "/containers/a/checkpoints/c", false, {0}},
         {DENY_, "endpoint.checkpoint-remove", false}},
        /* Another number under the title PID, of all the engine's processes. */
        {{"GET", "/containers/a/top?ps_args=-oetimes%3DPID+-oargs+axfe", false, {0}},
         {DENY_, "container.ps-arguments", false}},
        {{"GET", "/containers/a/top?ps_args=-o+lstart,user,tty,cls,pid", false, {0}},
         {DENY_, "container.ps-arguments", false}},
        {{"GET", "/containers/a/top?ps_args=-o+pid%3DX,vsz%3DPID", false, {0}},
         {DENY_, "container.ps-arguments", false}},
        {{"GET", "/containers/a/top?ps_args=-o+args+-o+pid", false, {0}},
         {DENY_, "container.ps-arguments", false}},
        {{"GET", "/containers/a/top?ps_args=-o%09pid", false, {0}},
         {DENY_, "container.ps-arguments", false}},
        {{"GET", "/containers/a/top?ps_args=-o", false, {0}},
         {DENY_, "container.ps-arguments", false}},
        {{"GET", "/containers/a/top?ps_args=-o+", false, {0}},
         {DENY_, "container.ps-arguments", false}},
        {{"GET", "/containers/a/top?ps_args=-opid+m", false, {0}},
         {DENY_, "container.ps-arguments", false}},
        {{"POST", "/containers/a/start?checkpoint=c", false, {0}},
         {DENY_, "start.checkpoint", false}},
        {{"POST", "/containers/a/start?checkpoint-dir=%2Fetc", false, {0}},
         {DENY_, "start.checkpoint", false}},
        {{"POST", "/containers/a/start?%63heckpoint=c", true, {0}},
         {DENY_, "start.checkpoint", false}},
        {{"GET", "/debug/pprof/profile?seconds=300", false, {0}}, {DENY_, "endpoint.debug", false}},
        {{"POST", "/v1.48/debug/vars", false, {0}}, {DENY_, "endpoint.debug", false}},
        {{"OPTIONS", "/debug/vars", false, {0}}, {DENY_, "endpoint.debug", false}},
        {{"GET", "/swarm/unlockkey", false, {0}}, {DENY_, "endpoint.swarm-unlock-key", false}},
        {{"HEAD", "/swarm/unlockkey", false, {0}}, {DENY_, "endpoint.swarm-unlock-key", false}},
        {{"POST", "/swarm/init", true, {JSON}}, {DENY_, "endpoint.swarm-init", false}},
        {{"POST", "/services/create", true, {JSON}}, {DENY_, "endpoint.service-create", false}},
        {{"POST", "/services/a/update?version=1", true, {JSON}},
         {DENY_, "endpoint.service-update", false}},
        {{"POST", "/secrets/create", true, {JSON}}, {DENY_, "endpoint.secret-create", false}},
        {{"POST", "/configs/create", true, {JSON}}, {DENY_, "endpoint.config-create", false}},
        {{"POST", "/nodes/a/update", true, {JSON}}, {DENY_, "endpoint.node-update", false}},
        {{"GET", "/plugins/privileges?remote=x", false, {0}},
         {DENY_, "endpoint.plugin-privileges", false}},
        {{"POST", "/plugins/pull?remote=x", true, {JSON}}, {DENY_, "endpoint.plugin-pull", false}},
        {{"POST", "/plugins/a/b/enable", false, {0}}, {DENY_, "endpoint.plugin-enable", false}},
        {{"DELETE", "/plugins/x", false, {0}}, {DENY_, "endpoint.plugin-remove", false}},
        {{"PUT", "/volumes/v?version=1", true, {JSON}}, {DENY_, "endpoint.volume-update", false}},
        {{"POST", "/networks/host/connect", true, {JSON}}, {DENY_, "network.connect-host", false}},
        {{"POST", "/moby.buildkit.v1.Control/Solve", true, {0}},
         {DENY_, "endpoint.buildkit-grpc", false}},
        /* What no row names may change things. */
        {{"POST", "/containers/create/", true, {JSON}}, {DENY_, "endpoint.unlisted", false}},
        {{"POST", "/Containers/Create", true, {JSON}}, {DENY_, "endpoint.unlisted", false}},
        {{"PUT", "/containers/create", true, {JSON}}, {DENY_, "endpoint.unlisted", false}},
        {{"PATCH", "/containers/a", true, {JSON}}, {DENY_, "endpoint.unlisted", false}},
        {{"POST", "/v1.41/v1.41/info", true, {JSON}}, {DENY_, "endpoint.unlisted", false}},
        {{"POST", "/grpc.health.v1.Health/Check", true, {0}}, {DENY_, "endpoint.unlisted", false}},
    };
    check_all(&(struct filter_settings){0}, cases, COUNT(cases));
    /* BuildKit's switch opens none of it. */
    check_all(&(struct filter_settings){.buildkit = FILTER_BUILDKIT_OPAQUE}, cases, COUNT(cases));
}

static void query_parameters_are_judged_as_the_engine_decodes_them(void **state) {
    (void)state;
    static const struct head_case cases[] = {
        {{"POST", "/build?networkmode=host", true, {TAR}}, {DENY_, "build.networkmode", false}},
        {{"POST", "/build?networkmode=Host", true, {TAR}}, {DENY_, "build.networkmode", false}},
        {{"POST", "/build?network%6dode=h%6fst", true, {TAR}}, {DENY_, "build.networkmode", false}},
        {{"POST", "/build?networkmode=container:abc", true, {TAR}},
         {DENY_, "build.networkmode", false}},
        {{"POST", "/build?networkmode=container%3Aabc", true, {TAR}},
         {DENY_, "build.networkmode", false}},
        {{"POST", "/build?networkmode=+host", true, {TAR}}, {DENY_, "build.networkmode", false}},
        {{"POST", "/build?networkmode=%2Fproc%2F1%2Fns%2Fnet", true, {TAR}},
         {DENY_, "build.networkmode", false}},
        /* Keys are case-sensitive: this one the engine does not know. */
        {{"POST", "/build?NetworkMode=host", true, {TAR}}, {ALLOW_, "endpoint.build", false}},
        {{"POST", "/build?networkmode=none&networkmode=none", true, {TAR}},
         {BAD_, "request.query", false}},
        /* Go takes the first; whichever is meant, it is refused. */
        {{"POST", "/build?networkmode=none&networkmode=host", true, {TAR}},
         {DENY_, "build.networkmode", false}},
        {{"POST", "/build?networkmode=host%", true, {TAR}}, {BAD_, "request.query", false}},
        {{"POST", "/build?t=a;networkmode=host", true, {TAR}}, {BAD_, "request.query", false}},
        {{"POST", "/build?t=%zz", true, {TAR}}, {BAD_, "request.query", false}},
        {{"POST", "/build?networkmode=%00host", true, {TAR}}, {BAD_, "request.query", false}},
        {{"POST", "/build?cgroupparent=%2F..%2Fx", true, {TAR}},
         {DENY_, "build.cgroupparent", false}},
        {{"POST", "/build?securityopt=seccomp%3Dunconfined", true, {TAR}},
         {DENY_, "build.securityopt", false}},
        {{"POST", "/build?securityopt", true, {TAR}}, {DENY_, "build.securityopt", false}},
        {{"POST", "/build?remote=https%3A%2F%2Fexample.org%2Fx.git", false, {0}},
         {DENY_, "build.remote", false}},
        {{"POST", "/build?remote=x", false, {0}}, {DENY_, "build.remote", false}},
        {{"POST", "/images/create?fromSrc=http%3A%2F%2F127.0.0.1%3A2375%2Fx&repo=y", false, {0}},
         {DENY_, "image.import-url", false}},
        {{"POST", "/images/create?fromSrc=example.org", false, {0}},
         {DENY_, "image.import-url", false}},
        {{"POST", "/images/create?fromImage=a&fromSrc=http://x/", false, {0}},
         {DENY_, "image.import-url", false}},
        {{"POST", "/images/create?fromSrc=-&fromSrc=http://x/", false, {0}},
         {DENY_, "image.import-url", false}},
        {{"POST", "/images/create?fromSrc=-&fromSrc=-", false, {0}},
         {BAD_, "request.query", false}},
        {{"POST", "/images/create?fromImage=a&fromImage=", false, {0}},
         {BAD_, "request.query", false}},
        {{"POST", "/images/create", false, {0}}, {BAD_, "request.query", false}},
        {{"POST", "/images/create?fromSrc=&fromImage=", false, {0}},
         {BAD_, "request.query", false}},
        {{"GET", "/containers/a/top?ps_args=aux&ps_args=aux", false, {0}},
         {BAD_, "request.query", false}},
        {{"POST", "/containers/a/start?checkpoint=&checkpoint=", false, {0}},
         {BAD_, "request.query", false}},
    };
    check_all(&(struct filter_settings){0}, cases, COUNT(cases));
}

static void malformed_requests_are_bad(void **state) {
    (void)state;
    static const struct head_case cases[] = {
        {{"", "/info", false, {0}}, {BAD_, "request.method", false}},
        {{"get", "/info", false, {0}}, {BAD_, "request.method", false}},
        {{"post", "/containers/create", true, {JSON}}, {BAD_, "request.method", false}},
        {{"Post", "/containers/web1/exec", true, {JSON}}, {BAD_, "request.method", false}},
        {{"GET ", "/info", false, {0}}, {BAD_, "request.method", false}},
        {{"CONNECT", "x:2376", false, {0}}, {BAD_, "request.target", false}},
        {{"OPTIONS", "*", false, {0}}, {BAD_, "request.target", false}},
        {{"PRI", "*", false, {0}}, {BAD_, "request.target", false}},
        {{"POST", "http://x/containers/create", true, {JSON}}, {BAD_, "request.target", false}},
        {{"POST", "/containers/%63reate", true, {JSON}}, {BAD_, "request.target", false}},
        {{"POST", "/containers//create", true, {JSON}}, {BAD_, "request.target", false}},
        {{"POST", "/v01.47/containers/create", true, {JSON}}, {BAD_, "request.version", false}},
        {{"POST", "/v1.47.0/containers/create", true, {JSON}}, {BAD_, "request.version", false}},
        {{"POST", "/v1.23/containers/web1/start", true, {JSON}}, {BAD_, "request.version", false}},
        {{"GET", "/v1.0/info", false, {0}}, {BAD_, "request.version", false}},

        {{"POST", "/containers/create", false, {JSON}}, {BAD_, "request.body-missing", false}},
        {{"POST", "/containers/create", true, {0}}, {BAD_, "request.body-headers", false}},
        {{"POST", "/containers/create", true, {TEXT}}, {BAD_, "request.body-headers", false}},
        {{"POST", "/containers/create", true, {"Content-Type:"}},
         {BAD_, "request.body-headers", false}},
        {{"POST", "/containers/create", true, {"Content-Type: application/json; x"}},
         {BAD_, "request.body-headers", false}},
        {{"POST", "/containers/create", true, {JSON, JSON}}, {BAD_, "request.body-headers", false}},
        {{"POST", "/containers/create", true, {JSON, "content-type: text/plain"}},
         {BAD_, "request.body-headers", false}},
        {{"POST", "/containers/create", true, {JSON, "Content-Encoding: gzip"}},
         {BAD_, "request.body-headers", false}},
        {{"POST", "/containers/create", true, {JSON, "Content-Encoding: identity, gzip"}},
         {BAD_, "request.body-headers", false}},
        {{"POST",
          "/volumes/create",
          true,
          {JSON, "Content-Encoding: identity", "Content-Encoding: gzip"}},
         {BAD_, "request.body-headers", false}},
        {{"POST", "/networks/create", true, {FORM}}, {BAD_, "request.body-headers", false}},
        /* Forms on any route: the engine would let them override the query. */
        {{"POST", "/images/create?fromSrc=-", true, {FORM}}, {BAD_, "request.body-headers", false}},
        {{"POST", "/build", true, {"Content-Type: multipart/form-data; boundary=x"}},
         {BAD_, "request.body-headers", false}},
        {{"POST", "/build", true, {"Content-Type: Application/X-WWW-Form-URLEncoded; x"}},
         {BAD_, "request.body-headers", false}},
        {{"POST", "/containers/a/start", true, {FORM}}, {BAD_, "request.body-headers", false}},
        {{"POST", "/containers/a/kill", true, {FORM}}, {BAD_, "request.body-headers", false}},
        {{"GET", "/unlisted", true, {FORM}}, {BAD_, "request.body-headers", false}},
        /* Without a body a form says nothing. */
        {{"POST", "/containers/a/kill", false, {FORM}}, {ALLOW_, "endpoint.container-kill", false}},
    };
    check_all(&(struct filter_settings){0}, cases, COUNT(cases));
}

/* In the name of an image an escaped slash is a slash: the engine decodes before it routes. So the
 * verdict is the plain path's, whatever route the decoded path falls under. */
static void escaped_slashes_in_image_names_change_no_verdict(void **state) {
    (void)state;
    static const struct head_case cases[] = {
        {{"GET", "/v1.41/images/testcontainers%2Fx:1/json", false, {0}},
         {ALLOW_, "endpoint.image-inspect", false}},
        {{"GET", "/images/a%2fb/history", false, {0}}, {ALLOW_, "endpoint.image-history", false}},
        {{"GET", "/images/a%2Fget", false, {0}}, {ALLOW_, "endpoint.image-save-one", false}},
        {{"POST", "/images/a%2Fb/tag?repo=x", false, {0}}, {ALLOW_, "endpoint.image-tag", false}},
        {{"POST", "/images/localhost:5000%2Fa%2Fb/push", false, {0}},
         {ALLOW_, "endpoint.image-push", false}},
        {{"POST", "/images/create%2Fpush", false, {0}}, {ALLOW_, "endpoint.image-push", false}},
        {{"DELETE", "/images/a%2Fb", false, {0}}, {ALLOW_, "endpoint.image-remove", false}},
        {{"GET", "/distribution/a%2Fb/json", false, {0}}, {ALLOW_, "endpoint.distribution", false}},
        /* Judged like the plain path, where that is no image's route. */
        {{"POST", "/images/create%2Fx", false, {0}}, {DENY_, "endpoint.unlisted", false}},
        {{"POST", "/images/x%2Fcreate?fromSrc=http://x/", false, {0}},
         {DENY_, "endpoint.unlisted", false}},
        {{"POST", "/images/v1.41%2Fcontainers%2Fcreate", true, {JSON}},
         {DENY_, "endpoint.unlisted", false}},
        {{"POST", "/images/a%2Fexec", true, {JSON}}, {DENY_, "endpoint.unlisted", false}},
        {{"PUT", "/images/a%2Farchive", true, {TAR}}, {DENY_, "endpoint.unlisted", false}},
        {{"POST", "/distribution/containers%2Fcreate", true, {JSON}},
         {DENY_, "endpoint.unlisted", false}},
        /* Form bodies, and versions below the floor, as everywhere. */
        {{"POST", "/images/a%2Fb/push", true, {FORM}}, {BAD_, "request.body-headers", false}},
        {{"GET", "/v1.23/images/a%2Fb/json", false, {0}}, {BAD_, "request.version", false}},
        /* Out of the name, or out of the prefix. */
        {{"POST", "/images/a%2F..%2F..%2Fcontainers%2Fcreate", true, {JSON}},
         {BAD_, "request.target", false}},
        {{"POST", "/images/..%2Fcontainers/create", true, {JSON}}, {BAD_, "request.target", false}},
        {{"POST", "/containers%2fcreate", true, {JSON}}, {BAD_, "request.target", false}},
        {{"POST", "/containers/a%2Fstart", false, {0}}, {BAD_, "request.target", false}},
        {{"POST", "/images%2F..%2Fcontainers%2Fcreate", true, {JSON}},
         {BAD_, "request.target", false}},
        {{"POST", "/images/%2Fcontainers/create", true, {JSON}}, {BAD_, "request.target", false}},
    };
    for (int preset = FILTER_BLOCKLIST; preset <= FILTER_ALLOWLIST; preset++)
        check_all(&(struct filter_settings){.preset = (enum filter_preset)preset}, cases,
                  COUNT(cases));
}

static void the_allowlist_lets_only_its_own_through(void **state) {
    (void)state;
    static const struct head_case cases[] = {
        {{"GET", "/version", false, {0}}, {ALLOW_, "endpoint.version", false}},
        {{"GET", "/events", false, {0}}, {ALLOW_, "endpoint.events", false}},
        {{"POST", "/build", true, {TAR}}, {ALLOW_, "endpoint.build", false}},
        {{"POST", "/containers/create", true, {JSON}}, {BODY_, "endpoint.container-create", false}},
        {{"POST", "/containers/a/attach", false, {0}},
         {ALLOW_, "endpoint.container-attach", FILTER_HIJACK_RAW}},
        {{"POST", "/images/create?fromImage=a", false, {0}},
         {ALLOW_, "endpoint.image-create", false}},
        {{"POST", "/volumes/create", true, {JSON}}, {BODY_, "endpoint.volume-create", false}},
        {{"POST", "/networks/a/connect", true, {JSON}}, {BODY_, "endpoint.network-connect", false}},
        {{"POST", "/networks/host/connect", true, {JSON}}, {DENY_, "network.connect-host", false}},
        {{"POST", "/build?networkmode=host", true, {TAR}}, {DENY_, "build.networkmode", false}},

        {{"POST", "/containers/prune", false, {0}}, {DENY_, "endpoint.container-prune", false}},
        {{"POST", "/commit", false, {0}}, {DENY_, "endpoint.commit", false}},
        {{"POST", "/containers/a/exec", true, {JSON}}, {DENY_, "endpoint.exec-create", false}},
        {{"GET", "/swarm", false, {0}}, {DENY_, "endpoint.swarm-inspect", false}},
        {{"GET", "/services/a", false, {0}}, {DENY_, "endpoint.service-inspect", false}},
        {{"OPTIONS", "/info", false, {0}}, {DENY_, "endpoint.options", false}},
        {{"GET", "/unlisted", false, {0}}, {DENY_, "endpoint.unlisted", false}},
        {{"HEAD", "/unlisted", false, {0}}, {DENY_, "endpoint.unlisted", false}},
        {{"POST", "/unlisted", false, {0}}, {DENY_, "endpoint.unlisted", false}},
    };
    check_all(&(struct filter_settings){.preset = FILTER_ALLOWLIST}, cases, COUNT(cases));
    /* The switch for unlisted endpoints is the blocklist's. */
    check_all(&(struct filter_settings){.preset = FILTER_ALLOWLIST, .allow_unknown = true}, cases,
              COUNT(cases));
}

static void unlisted_endpoints_can_be_let_through(void **state) {
    (void)state;
    static const struct head_case cases[] = {
        {{"POST", "/something/new", true, {JSON}}, {ALLOW_, "endpoint.unlisted", false}},
        {{"PATCH", "/something/new", false, {0}}, {ALLOW_, "endpoint.unlisted", false}},
        /* But neither what is listed nor what is malformed. */
        {{"POST", "/something/new", true, {FORM}}, {BAD_, "request.body-headers", false}},
        {{"POST", "/something/../new", true, {JSON}}, {BAD_, "request.target", false}},
        {{"POST", "/containers/a/exec", true, {JSON}}, {DENY_, "endpoint.exec-create", false}},
        {{"POST", "/session", false, {0}}, {DENY_, "endpoint.session", false}},
        {{"PUT", "/debug/vars", false, {0}}, {DENY_, "endpoint.debug", false}},
    };
    check_all(&(struct filter_settings){.allow_unknown = true}, cases, COUNT(cases));
}

static void the_api_floor_can_be_raised(void **state) {
    (void)state;
    static const struct head_case cases[] = {
        {{"GET", "/v1.39/info", false, {0}}, {BAD_, "request.version", false}},
        {{"GET", "/v1.40/info", false, {0}}, {ALLOW_, "endpoint.info", false}},
        {{"GET", "/info", false, {0}}, {ALLOW_, "endpoint.info", false}},
    };
    check_all(&(struct filter_settings){.api_floor_minor = 40}, cases, COUNT(cases));
}

static void settings_without_sense_are_refused(void **state) {
    (void)state;
    static const char *const binds[] = {"/workspace", "relative"};
    const struct filter_settings cases[] = {
        {.preset = (enum filter_preset)7},
        {.buildkit = (enum filter_buildkit)7},
        {.api_floor_minor = 23},
        {.api_floor_minor = 10000},
        {.allow_binds = binds, .allow_bind_count = 2},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char error[256] = "";
        assert_null(filter_policy_new(&cases[i], error, sizeof(error)));
        assert_true(strlen(error) > 10);
    }
    filter_policy_free(NULL);
}

static void verdicts_name_class_and_route(void **state) {
    (void)state;
    struct filter_policy *policy = make_policy(&(struct filter_settings){0});
    struct arena arena = {0};
    struct filter_request request = {.method = SLICE("POST"),
                                     .target = SLICE("/v1.41/containers/a/b/attach")};
    struct filter_verdict verdict = filter_judge_head(policy, &request, &arena);
    assert_string_equal(verdict.endpoint_class, "hijack");
    assert_string_equal(verdict.endpoint, "POST /containers/{name}/attach");

    request.target = SLICE("/nothing");
    verdict = filter_judge_head(policy, &request, &arena);
    assert_string_equal(verdict.endpoint_class, "unknown");
    assert_null(verdict.endpoint);
    arena_reset(&arena);
    filter_policy_free(policy);
}

static void bodies_are_judged_by_their_endpoint(void **state) {
    (void)state;
    static const struct {
        struct request_spec request;
        const char *body;
        enum filter_decision decision;
    } cases[] = {
        {{"POST", "/containers/a/start", true, {0}}, "", ALLOW_},
        {{"POST", "/containers/a/start", true, {0}}, "{}", ALLOW_},
        {{"POST", "/containers/a/start", true, {JSON}}, "{\"Privileged\":true}", DENY_},
        {{"POST", "/containers/create", true, {JSON}}, "{\"Image\":\"a\"}", ALLOW_},
        {{"POST", "/containers/create", true, {JSON}},
         "{\"HostConfig\":{\"Privileged\":true}}",
         DENY_},
        {{"POST", "/containers/create", true, {JSON}}, "{", BAD_},
        {{"POST", "/volumes/create", true, {JSON}}, "{\"Driver\":\"sshfs\"}", DENY_},
        {{"POST", "/networks/create", true, {JSON}},
         "{\"Name\":\"n\",\"Driver\":\"macvlan\"}",
         DENY_},
        /* The head's verdict stands when nothing in the body could change it. */
        {{"POST", "/containers/a/exec", true, {JSON}}, "{}", DENY_},
        {{"POST", "/containers/create", true, {TEXT}}, "{\"Image\":\"a\"}", BAD_},
        {{"GET", "/info", true, {0}}, "anything", ALLOW_},
        {{"GET", "/../info", true, {0}}, "anything", BAD_},
    };
    struct filter_policy *policy = make_policy(&(struct filter_settings){0});
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct filter_header headers[MAX_HEADERS];
        struct filter_request request = {
            .method = slice_from_string(cases[i].request.method),
            .target = slice_from_string(cases[i].request.target),
            .headers = headers,
            .header_count = read_headers(&cases[i].request, headers),
            .may_have_body = true,
        };
        struct arena arena = {0};
        struct filter_verdict verdict =
            filter_judge_body(policy, &request, slice_from_string(cases[i].body), &arena);
        print_message("%s %s -> %d %s %s\n", cases[i].request.target, cases[i].body,
                      (int)verdict.decision, verdict.rule, verdict.reason ? verdict.reason : "");
        assert_sound(&verdict);
        assert_int_equal(verdict.decision, cases[i].decision);
        arena_reset(&arena);
    }
    filter_policy_free(policy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_work_passes),
        cmocka_unit_test(breakouts_are_refused),
        cmocka_unit_test(query_parameters_are_judged_as_the_engine_decodes_them),
        cmocka_unit_test(malformed_requests_are_bad),
        cmocka_unit_test(escaped_slashes_in_image_names_change_no_verdict),
        cmocka_unit_test(the_allowlist_lets_only_its_own_through),
        cmocka_unit_test(unlisted_endpoints_can_be_let_through),
        cmocka_unit_test(the_api_floor_can_be_raised),
        cmocka_unit_test(settings_without_sense_are_refused),
        cmocka_unit_test(verdicts_name_class_and_route),
        cmocka_unit_test(bodies_are_judged_by_their_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
