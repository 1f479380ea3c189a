#include "body_cases.h"

#include "filter/tmpfs.h"
#include "filter/volume_rules.h"

static const struct filter_policy policy = {.preset = FILTER_BLOCKLIST};
static const struct filter_policy allowlist = {.preset = FILTER_ALLOWLIST};

#define OPTIONS(options) "{\"Name\":\"v\",\"DriverOpts\":{" options "}}"

static void volumes(void **state) {
    (void)state;
    static const struct body_case cases[] = {
        {"{}", ALLOW},
        {"{\"Driver\":\"local\",\"Name\":\"civolA\"}\n", ALLOW},
        {"{\"Name\":\"v\",\"Labels\":{\"a\":\"1\",\"A\":\"2\"},\"DriverOpts\":null}", ALLOW},
        {"{\"Name\":\"v\",\"Driver\":\"\",\"DriverOpts\":{},\"ClusterVolumeSpec\":null}", ALLOW},
        {"{\"Driver\":\"sshfs\"}", DENY("volume.driver")},
        {"{\"driver\":\"vieux/sshfs:latest\"}", DENY("volume.driver")},
        {"{\"Driver\":\"LOCAL\"}", DENY("volume.driver")},
        {"{\"Driver\":[\"local\"]}", BAD("body.type")},
        {"{\"Driver\":\"local\",\"driver\":\"sshfs\"}", BAD("body.duplicate-key")},
        {"{\"ClusterVolumeSpec\":{}}", DENY("volume.cluster")},
        {"{\"New\":{\"a\":1}}", ALLOW},
        {OPTIONS("\"type\":\"tmpfs\",\"device\":\"tmpfs\",\"o\":\"size=100m,uid=1000\""), ALLOW},
        {OPTIONS("\"type\":\"tmpfs\",\"device\":\"none\""), ALLOW},
        {OPTIONS("\"type\":\"tmpfs\",\"device\":\"tmpfs\",\"o\":\"\""), ALLOW},
        {OPTIONS("\"size\":\"10G\""), ALLOW},
        {OPTIONS("\"type\":\"none\",\"o\":\"bind\",\"device\":\"/\""), DENY("volume.options")},
        {OPTIONS("\"type\":\"none\",\"o\":\"rbind\",\"device\":\"/etc\""), DENY("volume.options")},
        {OPTIONS("\"type\":\"tmpfs\",\"o\":\"bind\",\"device\":\"/\""), DENY("volume.options")},
        {OPTIONS("\"type\":\"tmpfs\",\"o\":\"bind\",\"device\":\"tmpfs\""), DENY("volume.options")},
        {OPTIONS("\"type\":\"tmpfs\",\"o\":\"size=1m,bind\",\"device\":\"tmpfs\""),
         DENY("volume.options")},
        {OPTIONS("\"type\":\"tmpfs\",\"device\":\"/dev/vda\""), DENY("volume.options")},
        {OPTIONS("\"type\":\"ext4\",\"device\":\"/dev/vda\""), DENY("volume.options")},
        {OPTIONS("\"type\":\"overlay\",\"device\":\"overlay\",\"o\":\"lowerdir=/\""),
         DENY("volume.options")},
        {OPTIONS("\"type\":\"nfs\",\"device\":\":/x\",\"o\":\"addr=10.0.0.1\""),
         DENY("volume.options")},
        {OPTIONS("\"type\":\"cifs\",\"device\":\"//h/x\""), DENY("volume.options")},
        {OPTIONS("\"type\":\"proc\",\"device\":\"proc\""), DENY("volume.options")},
        {OPTIONS("\"type\":\"TMPFS\",\"device\":\"tmpfs\""), DENY("volume.options")},
        {OPTIONS("\"device\":\"tmpfs\""), DENY("volume.options")},
        {OPTIONS("\"o\":\"size=1m\""), DENY("volume.options")},
        {OPTIONS("\"type\":\"tmpfs\",\"Type\":\"none\",\"device\":\"tmpfs\""),
         DENY("volume.options")},
        {OPTIONS("\"type\":\"tmpfs\",\"device\":\"tmpfs\",\"x\":\"y\""), DENY("volume.options")},
        {OPTIONS("\"type\":\"tmpfs\",\"type\":\"none\",\"device\":\"tmpfs\""),
         BAD("body.duplicate-key")},
        {OPTIONS("\"size\":\"1,bind\""), DENY("volume.options")},
        {OPTIONS("\"type\":null"), BAD("body.type")},
        {"{\"name\":\"v\",\"driveropts\":{\"type\":\"none\",\"o\":\"bind\",\"device\":\"/etc\"}}",
         DENY("volume.options")},
        {"{\"DriverOpt\xC5\xBF\":{\"device\":\"/\"}}", DENY("volume.options")},
        {"{\"DriverOpts\":{},\"driverOpts\":{\"device\":\"/\"}}", BAD("body.duplicate-key")},
        {"{\"DriverOpts\":[]}", BAD("body.type")},
        {"", BAD("body.json")},
    };
    assert_cases(&policy, BODY_VOLUME_CREATE, cases, COUNT(cases));
}

static void allowlist_refuses_unknown_fields(void **state) {
    (void)state;
    static const struct body_case cases[] = {
        {"{\"New\":{\"a\":1}}", DENY("volume.unknown-field")},
        {"{\"Name\":\"v\",\"New\":null}", ALLOW},
    };
    assert_cases(&allowlist, BODY_VOLUME_CREATE, cases, COUNT(cases));
}

static void names(void **state) {
    (void)state;
    assert_true(volume_name_is_valid(SLICE("a")));
    assert_true(volume_name_is_valid(SLICE("0a_B.c-d")));
    assert_false(volume_name_is_valid(SLICE("")));
    assert_false(volume_name_is_valid(SLICE(".a")));
    assert_false(volume_name_is_valid(SLICE("-a")));
    assert_false(volume_name_is_valid(SLICE("a/b")));
    assert_false(volume_name_is_valid(SLICE("a b")));
    assert_false(volume_name_is_valid(SLICE("a\xC3\xA9")));
}

static void tmpfs_options(void **state) {
    (void)state;
    assert_true(tmpfs_options_are_harmless(SLICE("")));
    assert_true(tmpfs_options_are_harmless(SLICE("ro,nosuid,nodev,size=10%,nr_inodes=5k,gid=0")));
    assert_false(tmpfs_options_are_harmless(SLICE("remount")));
    assert_false(tmpfs_options_are_harmless(SLICE("size")));
    assert_false(tmpfs_options_are_harmless(SLICE("size=")));
    assert_false(tmpfs_options_are_harmless(SLICE("size=1=2")));
    assert_false(tmpfs_options_are_harmless(SLICE("xsize=1")));
    assert_false(tmpfs_options_are_harmless(SLICE("ro,")));
    assert_false(tmpfs_options_are_harmless(SLICE("ro, rw")));
    assert_false(tmpfs_options_are_harmless(SLICE("mode=01\\054bind")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(volumes),
        cmocka_unit_test(allowlist_refuses_unknown_fields),
        cmocka_unit_test(names),
        cmocka_unit_test(tmpfs_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
