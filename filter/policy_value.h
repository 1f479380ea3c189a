/* The values of a policy file's keys, by kind. */
#ifndef DIND_PROXY_FILTER_POLICY_VALUE_H
#define DIND_PROXY_FILTER_POLICY_VALUE_H

#include <stdbool.h>

#include "filter/filter.h"
#include "filter/policy_keys.h"
#include "filter/policy_read.h"

/* Reads the value of one key into its place in `settings`. False with the error written. */
bool policy_value_read(const struct policy_reader *reader, const struct policy_key *key,
                       const cJSON *value, struct filter_settings *settings);

#endif
