/* Gateways from the kernel's routing tables. */
#include <stdio.h>
#include <string.h>

#include "proxy/doctor_doors.h"

enum { ROUTE_UP = 1, ROUTE_GATEWAY = 2 }; /* RTF_UP, RTF_GATEWAY of linux/route.h */

static const char *next_line(const char *text) {
    const char *end = strchr(text, '\n');
    return end != NULL ? end + 1 : text + strlen(text);
}

/* Nothing but `digits` hexadecimal digits, at most eight. */
static bool read_hex(const char *text, size_t digits, unsigned *value) {
    *value = 0;
    for (size_t i = 0; i < digits; i++) {
        static const char known[] = "0123456789abcdef0123456789ABCDEF";
        const char *found = text[i] != '\0' ? strchr(known, text[i]) : NULL;
        if (found == NULL)
            return false;
        *value = *value << 4 | (unsigned)((found - known) % 16);
    }
    return true;
}

static bool read_number(const char *text, unsigned *value) {
    size_t digits = strlen(text);
    return digits > 0 && digits <= 8 && read_hex(text, digits, value);
}

static bool leads_to_gateway(const char *flags) {
    unsigned value = 0;
    return read_number(flags, &value) && (value & ROUTE_UP) != 0 && (value & ROUTE_GATEWAY) != 0;
}

size_t doctor_gateways_v4(const char *text, unsigned *addresses, size_t size) {
    size_t count = 0;
    for (; *text != '\0' && count < size; text = next_line(text)) {
        char gateway[9] = "", flags[9] = "";
        /* Interface, destination, gateway, flags; numbers are in the machine's order. */
        if (sscanf(text, "%*15s %*8s %8s %8s", gateway, flags) == 2 && leads_to_gateway(flags) &&
            read_number(gateway, &addresses[count]))
            count++;
    }
    return count;
}

static bool read_address(const char *text, unsigned char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned value = 0;
        if (!read_hex(text + 2 * i, 2, &value))
            return false;
        bytes[i] = (unsigned char)value;
    }
    return true;
}

size_t doctor_gateways_v6(const char *text, struct doctor_gateway_v6 *gateways, size_t size) {
    size_t count = 0;
    for (; *text != '\0' && count < size; text = next_line(text)) {
        struct doctor_gateway_v6 *gateway = &gateways[count];
        char address[33] = "", flags[9] = "";
        *gateway = (struct doctor_gateway_v6){0};
        /* Destination and its prefix, source and its prefix, next hop, metric, two counters, flags,
         * interface. */
        if (sscanf(text, "%*32s %*2s %*32s %*2s %32s %*8s %*8s %*8s %8s %15s", address, flags,
                   gateway->interface) == 3 &&
            leads_to_gateway(flags) &&
            read_address(address, gateway->address, sizeof gateway->address))
            count++;
    }
    return count;
}
