#include "proxy/sandbox_bpf.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE    AUDIT_ARCH_X86_64
#define FOREIGN_NUMBERS 0x40000000u /* from here on: the calls of x32, by the same entry */
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0 /* not known here: no program is made */
#endif

/* Where a word of the data that the program sees begins. The lower half of an argument comes first
 * on both architectures. */
#define AT_NUMBER       offsetof(struct seccomp_data, nr)
#define AT_ARCHITECTURE offsetof(struct seccomp_data, arch)
#define AT_ARGUMENT(n)  (offsetof(struct seccomp_data, args) + (n) * sizeof(uint64_t))

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "an argument's lower half comes first");

static void put(struct sandbox_bpf *bpf, uint16_t code, uint8_t if_true, uint8_t if_false,
                uint32_t operand) {
    if (bpf->count < SANDBOX_BPF_LIMIT)
        bpf->program[bpf->count] = (struct sock_filter){code, if_true, if_false, operand};
    bpf->count++;
}

static void put_load(struct sandbox_bpf *bpf, size_t offset) {
    put(bpf, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* Goes on if equal, else leaves out so many of what follows. */
static void put_unless_equal(struct sandbox_bpf *bpf, uint32_t value, size_t skip) {
    put(bpf, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)skip, value);
}

static void put_return(struct sandbox_bpf *bpf, uint32_t action) {
    put(bpf, BPF_RET | BPF_K, 0, 0, action);
}

static size_t conditions_of(const struct sandbox_call *call) {
    size_t count = 0;
    while (count < SANDBOX_CONDITIONS && call->conditions[count].mask != 0)
        count++;
    return count;
}

/* A load, an AND, and a comparison. */
enum { CONDITION_LENGTH = 3 };

static void put_call(struct sandbox_bpf *bpf, const struct sandbox_call *call) {
    size_t conditions = conditions_of(call);
    size_t left = conditions * CONDITION_LENGTH + 1;
    if (conditions == 0) {
        put_unless_equal(bpf, call->number, left);
        put_return(bpf, SECCOMP_RET_ALLOW);
        return;
    }
    put_unless_equal(bpf, call->number, left + 1);
    for (size_t i = 0; i < conditions; i++) {
        const struct sandbox_condition *condition = &call->conditions[i];
        uint32_t value = condition->value;
        if (i == 0 && (call->when & SANDBOX_WHEN_SELF) != 0)
            value = (uint32_t)getpid();
        put_load(bpf, AT_ARGUMENT(condition->argument));
        put(bpf, BPF_ALU | BPF_AND | BPF_K, 0, 0, condition->mask);
        left -= CONDITION_LENGTH;
        put_unless_equal(bpf, value, left);
    }
    put_return(bpf, SECCOMP_RET_ALLOW);
    put_load(bpf, AT_NUMBER); /* for the next row */
}

int sandbox_bpf_write(struct sandbox_bpf *bpf, const struct sandbox_call *calls, size_t count,
                      unsigned wanted) {
    bpf->count = 0;
    if (ARCHITECTURE == 0)
        return -1;
    put_load(bpf, AT_ARCHITECTURE);
    put(bpf, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCHITECTURE);
    put_return(bpf, SECCOMP_RET_KILL_PROCESS);
    put_load(bpf, AT_NUMBER);
#ifdef FOREIGN_NUMBERS
    put(bpf, BPF_JMP | BPF_JGE | BPF_K, 0, 1, FOREIGN_NUMBERS);
    put_return(bpf, SECCOMP_RET_KILL_PROCESS);
#endif
    for (size_t i = 0; i < count; i++)
        if ((calls[i].when & ~(wanted | SANDBOX_WHEN_SELF)) == 0)
            put_call(bpf, &calls[i]);
    put_return(bpf, SECCOMP_RET_KILL_PROCESS);
    return bpf->count <= SANDBOX_BPF_LIMIT ? 0 : -1;
}
