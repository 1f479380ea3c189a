#include "proxy/deadline.h"

#include <stddef.h>
#include <time.h>

void deadline_arm(struct deadline_queue *queue, struct deadline *deadline,
                  enum deadline_class class, uint64_t now) {
    deadline_cancel(queue, deadline);
    deadline->at = now + queue->classes[class].duration;
    deadline->class = class;
    deadline->armed = true;
    deadline->next = NULL;
    deadline->prev = queue->classes[class].last;
    if (deadline->prev != NULL)
        deadline->prev->next = deadline;
    else
        queue->classes[class].first = deadline;
    queue->classes[class].last = deadline;
}

void deadline_cancel(struct deadline_queue *queue, struct deadline *deadline) {
    if (!deadline->armed)
        return;
    if (deadline->prev != NULL)
        deadline->prev->next = deadline->next;
    else
        queue->classes[deadline->class].first = deadline->next;
    if (deadline->next != NULL)
        deadline->next->prev = deadline->prev;
    else
        queue->classes[deadline->class].last = deadline->prev;
    deadline->armed = false;
    deadline->prev = deadline->next = NULL;
}

struct deadline *deadline_expired(struct deadline_queue *queue, uint64_t now) {
    for (int class = 0; class < DEADLINE_CLASSES; class ++) {
        struct deadline *first = queue->classes[class].first;
        if (first != NULL && first->at <= now) {
            deadline_cancel(queue, first);
            return first;
        }
    }
    return NULL;
}

int deadline_wait(const struct deadline_queue *queue, uint64_t now, int limit) {
    int wait = limit;
    for (int class = 0; class < DEADLINE_CLASSES; class ++) {
        const struct deadline *first = queue->classes[class].first;
        if (first == NULL)
            continue;
        uint64_t left = first->at > now ? first->at - now : 0;
        if (left < (uint64_t)wait)
            wait = (int)left;
    }
    return wait;
}

uint64_t deadline_now(void) {
    struct timespec now;
    /* CLOCK_MONOTONIC cannot fail on Linux. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
