/* A judge of HTTP/2 to be fed, the frames to feed it with, and what came out. */
#ifndef DIND_PROXY_TEST_PROXY_H2_RIG_H
#define DIND_PROXY_TEST_PROXY_H2_RIG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/h2.h"
#include "proxy/h2_inspect.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SOLVE   "/moby.buildkit.v1.Control/Solve"
#define INFO    "/moby.buildkit.v1.Control/Info"
#define BAD     "/moby.buildkit.v1.Control/Unknown"

extern struct buffer_pool rig_pool;
extern unsigned rig_reports; /* refusals since rig_make */

int rig_set_up(void **state);
int rig_tear_down(void **state);

struct h2_inspect *rig_make(void);
void rig_add(struct buffer *out, uint8_t type, uint8_t flags, uint32_t stream,
             struct slice payload);
void rig_add_call(struct buffer *out, uint32_t stream, const char *path, bool ends);
/* A message of `len` bytes, a build's; with `host`, of one that asks for the host's network. To be
 * freed. */
struct slice rig_make_message(size_t len, bool host);
void rig_add_message(struct buffer *out, uint32_t stream, struct slice message);
void rig_add_greeting(struct buffer *out);
void rig_add_settings(struct buffer *out, unsigned id, uint32_t value);
/* Feeds all of it; what has to wait stays in the judge. */
void rig_feed(struct h2_inspect *inspect, struct slice bytes, size_t piece);
void rig_feed_engine(struct h2_inspect *inspect, struct slice bytes, size_t piece);
/* Both sides have sent their settings; nothing is left of that in the buffers. */
void rig_greet(struct h2_inspect *inspect);
/* The next frame in a buffer; its payload in `*payload`, until the buffer changes. */
struct h2_frame rig_next(struct slice *rest, struct slice *payload);
/* How many frames of a type there are for a stream, and their payload bytes. */
size_t rig_count(struct buffer *buffer, uint8_t type, uint32_t stream, size_t *bytes);
bool rig_contains(struct slice text, const char *what);
/* The answer to a refused call is there, and says so. */
void rig_assert_refused(struct h2_inspect *inspect, uint32_t stream, const char *text);

#endif
