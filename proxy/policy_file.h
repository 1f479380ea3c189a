/* Where the rules come from: the policy file, or the options. */
#ifndef DIND_PROXY_PROXY_POLICY_FILE_H
#define DIND_PROXY_PROXY_POLICY_FILE_H

#include "filter/rules.h"
#include "proxy/config.h"
#include "proxy/error.h"

enum { POLICY_FILE_MAX = 1024 * 1024 }; /* bytes */

/* Reads --policy-file if there is one, else makes one policy of the options. NULL with `error`, in
 * which a fault of the file is "FILE:LINE:COLUMN: …". Free with filter_rules_free. */
struct filter_rules *policy_file_load(const struct config *config, struct error *error);

#endif
