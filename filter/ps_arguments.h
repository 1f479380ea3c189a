/* Which arguments `docker top` may give ps. */
#ifndef DIND_PROXY_FILTER_PS_ARGUMENTS_H
#define DIND_PROXY_FILTER_PS_ARGUMENTS_H

#include <stdbool.h>

#include "filter/slice.h"

/* The engine runs ps with them on its own side, over all processes there are, and keeps the lines
 * whose column "PID" holds a number that is one of the container's (moby, daemon/top_unix.go). With
 * a renamed column ("-oetimes=PID"), or one of several words before that one ("-o lstart,pid"), the
 * number is another, and lines of foreign processes pass, environment and all.
 *
 * True where that column is certain: none (the engine takes -ef), the usual lists, and formats of
 * plain words that begin with pid. */
bool ps_arguments_are_harmless(struct slice arguments);

#endif
