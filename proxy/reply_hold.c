/* Refusals that wait a moment: of a build beside which its client opens a session.
 *
 * Docker's client up to 20.10 (with DOCKER_BUILDKIT=1) sends POST /session and POST /build at the
 * same time. When the build is refused before the session is up, its Session.Close finds no
 * connection to close and waits for Session.Run, which then serves a session that nobody ends: the
 * client hangs until the engine's health checks give the session up, for ten seconds or for
 * minutes. An engine's own refusal comes later, as it has more to do before. So does ours, then.
 * Nothing of the refused request goes anywhere meanwhile. */
#include <string.h>

#include "filter/query.h"
#include "proxy/conn.h"
#include "proxy/worker.h"

static bool names_session(struct conn *conn) {
    struct slice target = conn->request.http.judged.target;
    struct query query;
    struct slice raw = slice_from(target, slice_index(target, '?') + 1);
    return query_parse(raw, &conn->arena, &query) == QUERY_OK &&
           query_first(&query, SLICE("session")).len > 0;
}

/* Where BuildKit is switched off the session is refused too: there is nothing to wait for. */
static bool must_wait(struct conn *conn) {
    const struct filter_verdict *verdict = &conn->request.verdict;
    return verdict->endpoint != NULL && strcmp(verdict->endpoint, "POST /build") == 0 &&
           strcmp(verdict->rule, "build.buildkit") != 0 && names_session(conn);
}

enum progress reply_hold(struct conn *conn) {
    if (conn->state != CONN_REPLY || !must_wait(conn))
        return PROGRESS_NEXT;
    conn->state = CONN_HELD;
    /* From this moment, and not from the beginning of the worker's turn. */
    deadline_arm(&conn->worker->deadlines, &conn->deadline, DEADLINE_HOLD, deadline_now());
    return PROGRESS_WAIT;
}

enum progress reply_held(struct conn *conn) {
    (void)conn;
    return PROGRESS_WAIT;
}

void reply_release(struct conn *conn) {
    conn->state = CONN_REPLY;
    deadline_arm(&conn->worker->deadlines, &conn->deadline, DEADLINE_LINGER, conn->worker->now);
}
