/* Gateways from the kernel's routing tables. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/doctor_doors.h"

enum { ROUTE_UP = 1, ROUTE_GATEWAY = 2 }; /* RTF_UP, RTF_GATEWAY of linux/route.h */

static const char *next_line(const char *text) {
    const char *end = strchr(text, '\n');
    return end != NULL ? end + 1 : text + strlen(text);
}

size_t doctor_gateways_v4(const char *text, unsigned *addresses, size_t size) {
    size_t count = 0;
    for (; *text != '\0' && count < size; text = next_line(text)) {
        unsigned gateway = 0, flags = 0;
        /* Interface, destination, gateway, flags; numbers are in the machine's order. */
        if (sscanf(text, "%*15s %*8x %8x %4x", &gateway, &flags) != 2 || (flags & ROUTE_UP) == 0 ||
            (flags & ROUTE_GATEWAY) == 0)
            continue;
        addresses[count++] = gateway;
    }
    return count;
}

static bool read_hex(const char *text, unsigned char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned value = 0;
        char digits[3] = {text[2 * i], text[2 * i] != '\0' ? text[2 * i + 1] : '\0', '\0'};
        if (strspn(digits, "0123456789abcdefABCDEF") != 2 || sscanf(digits, "%2x", &value) != 1)
            return false;
        bytes[i] = (unsigned char)value;
    }
    return true;
}

size_t doctor_gateways_v6(const char *text, struct doctor_gateway_v6 *gateways, size_t size) {
    size_t count = 0;
    for (; *text != '\0' && count < size; text = next_line(text)) {
        char gateway[33] = "", interface[16] = "";
        unsigned flags = 0;
        /* Destination and its prefix, source and its prefix, next hop, metric, two counters, flags,
         * interface. */
        if (sscanf(text, "%*32s %*2x %*32s %*2x %32s %*8x %*8x %*8x %8x %15s", gateway, &flags,
                   interface) != 3 ||
            (flags & ROUTE_UP) == 0 || (flags & ROUTE_GATEWAY) == 0 ||
            !read_hex(gateway, gateways[count].address, sizeof gateways[count].address))
            continue;
        memcpy(gateways[count].interface, interface, sizeof interface);
        count++;
    }
    return count;
}
