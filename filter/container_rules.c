#include "filter/container_rules.h"

#include "filter/llb_rules.h"

static const struct message_row container_rows[] = {
    {1, MESSAGE_BYTES, NULL}, /* ContainerID, of the client's choice */
    {2, MESSAGE_LIST, NULL},  /* mounts: as of a step, of nothing of the host */
    {3, MESSAGE_NUMBER, llb_rule_network},
    {4, MESSAGE_BYTES, NULL}, /* platform */
    {5, MESSAGE_BYTES, NULL}, /* constraints: which of the engine's workers */
    {6, MESSAGE_LIST, llb_rule_host},
    {7, MESSAGE_BYTES, NULL}, /* hostname, in a UTS namespace of its own */
};
const struct message_table container_table = {.name = "LLBBridge/NewContainer",
                                              .rows = container_rows,
                                              .count =
                                                  sizeof container_rows / sizeof container_rows[0],
                                              .closed = true};
