/* What doctor reads of the kernel's tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "proxy/doctor_doors.h"
#include "proxy/doctor_scan.h"

static void routes_v4(void **state) {
    (void)state;
    /* As in a container: a default route, the network itself, a route to a host, one that is down.
     */
    static const char text[] =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "eth1\t0A0B0C0D\t02001FAC\t0007\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n"
        "eth2\t00000000\t03001FAC\t0002\t0\t0\t0\t00000000\t0\t0\t0\n"
        "torn\t0000";
    unsigned found[8] = {0};
    char shown[INET_ADDRSTRLEN];
    assert_int_equal(doctor_gateways_v4(text, found, 8), 2);
    /* The kernel prints the number that it holds in network order. */
    unsigned expected = 0x010011AC;
    assert_int_equal(found[0], expected);
    if (htonl(1) != 1) /* the text above comes from a little-endian machine */
        assert_string_equal(inet_ntop(AF_INET, &found[0], shown, sizeof shown), "172.17.0.1");
    assert_int_equal(doctor_gateways_v4(text, found, 1), 1);
    assert_int_equal(doctor_gateways_v4("", found, 8), 0);
}

static void routes_v6(void **state) {
    (void)state;
    static const char text[] =
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
        "fd770000000000000000000000000001 00000400 00000001 00000000 00000003       v1\n"
        "fd770000000000000000000000000000 40 00000000000000000000000000000000 00 "
        "00000000000000000000000000000000 00000100 00000001 00000000 00000001       v1\n"
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
        "fe80000000000000004a0bfffe000001 00000400 00000001 00000000 00450003     eth0\n"
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
        "zz80000000000000004a0bfffe000001 00000400 00000001 00000000 00450003     eth0\n"
        "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
        "fe80 00000400 00000001 00000000 00450003     eth0\n";
    struct doctor_gateway_v6 found[8];
    char shown[INET6_ADDRSTRLEN];
    assert_int_equal(doctor_gateways_v6(text, found, 8), 2);
    assert_string_equal(inet_ntop(AF_INET6, found[0].address, shown, sizeof shown), "fd77::1");
    assert_string_equal(found[0].interface, "v1");
    assert_string_equal(inet_ntop(AF_INET6, found[1].address, shown, sizeof shown),
                        "fe80::4a:bff:fe00:1");
    assert_string_equal(found[1].interface, "eth0");
}

static void mounts(void **state) {
    (void)state;
    static const struct {
        const char *line;
        const char *path; /* NULL: not understood */
        bool holds_files;
    } cases[] = {
        {"36 35 98:0 /mnt1 /certs/client ro,noatime master:1 - ext4 /dev/root rw\n",
         "/certs/client", true},
        {"36 35 0:5 / /run rw - tmpfs tmpfs rw\n", "/run", true},
        {"36 35 98:0 /a /with\\040blank\\011tab\\134 rw shared:1 master:2 - xfs /dev/x rw\n",
         "/with blank\ttab\\", true},
        {"21 30 0:20 / /proc rw - proc proc rw\n", "/proc", false},
        {"21 30 0:20 /bus /proc/bus ro - tmpfs proc rw\n", "/proc/bus", false},
        {"21 30 0:20 / /processes rw - ext4 /dev/x rw\n", "/processes", true},
        {"21 30 0:20 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "/sys/fs/cgroup", false},
        {"30 1 0:30 / / rw - overlay overlay rw\n", "/", false},
        {"", NULL, false},
        {"36 35 98:0 /mnt1", NULL, false},
        {"36 35 98:0 /mnt1 /x rw", NULL, false},
        {"36 35 98:0 /mnt1 /x\\04 - ext4 x rw", NULL, false},
        {"36 35 98:0 /mnt1 /x\\9zz - ext4 x rw", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[PATH_MAX] = "";
        bool holds_files = false;
        bool read = doctor_read_mount(cases[i].line, path, &holds_files);
        if (read != (cases[i].path != NULL))
            fail_msg("%s: %s", cases[i].line, read ? "understood" : "not understood");
        if (!read)
            continue;
        assert_string_equal(path, cases[i].path);
        assert_int_equal(holds_files, cases[i].holds_files);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_v4),
        cmocka_unit_test(routes_v6),
        cmocka_unit_test(mounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
