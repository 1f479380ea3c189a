/* The endpoint table for people, as Markdown: filter/endpoints.md is made of it. */
#ifndef DIND_PROXY_FILTER_ENDPOINT_TABLE_H
#define DIND_PROXY_FILTER_ENDPOINT_TABLE_H

#include <stdio.h>

/* Every call of the engine's API with its class, what each preset makes of it, and the keys of a
 * policy file that change that. The caller checks the stream for errors. */
void endpoint_table_print(FILE *file);

#endif
