#include <stdio.h>

#include "filter/endpoint_table.h"
#include "proxy/command.h"

int command_endpoints(void) {
    endpoint_table_print(stdout);
    return EXIT_STATUS_OK;
}
