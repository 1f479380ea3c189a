/* Listening on a unix socket: its file's birth, rights and end. */
#ifndef DIND_PROXY_PROXY_LISTENER_UNIX_H
#define DIND_PROXY_PROXY_LISTENER_UNIX_H

#include "proxy/listener.h"

/* As listener_open, for one unix listener. 0, or -1 with `error` filled. */
int listener_open_unix(const struct config_listener *config, struct listener *listener,
                       struct error *error);

/* Unlinks the socket's file if it is still the one that was made. */
void listener_remove_unix(const struct listener *listener);

#endif
