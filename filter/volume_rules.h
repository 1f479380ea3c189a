/* What a volume may be: POST /volumes/create, and the volumes that container create makes inline.
 */
#ifndef DIND_PROXY_FILTER_VOLUME_RULES_H
#define DIND_PROXY_FILTER_VOLUME_RULES_H

#include "filter/fields.h"

/* The body of POST /volumes/create (moby, api/types/volume/create_request.go). */
extern const struct field_table volume_create_table;

/* The volume drivers that run inside the engine. NULL at the end. */
extern const char *const volume_drivers[];

/* FIELD_TEXTS: options of the local driver, which hands them to mount(2). Only a tmpfs passes, as
 * it reaches nothing of the host; everything else may be a bind mount, a block device, an overlay
 * of / or a network share. The row's reason is the whole sentence. */
field_judge volume_judge_local_options;

/* Whether `name` can be nothing but a volume's name (moby, daemon/names). */
bool volume_name_is_valid(struct slice name);

#endif
