#include "filter/exec_rules.h"

#include <cjson/cJSON.h>

#include "filter/glob.h"
#include "filter/policy.h"
#include "filter/quote.h"
#include "filter/remedy.h"

/* The last pattern "**" stands for any further arguments, or none. */
static bool command_matches(const struct filter_words *pattern, const cJSON *command) {
    const cJSON *argument = command->child;
    for (size_t i = 0; i < pattern->count; i++) {
        if (i + 1 == pattern->count && strcmp(pattern->items[i], "**") == 0)
            return true;
        if (argument == NULL ||
            !glob_matches(slice_from_string(pattern->items[i]), fields_text(argument)))
            return false;
        argument = argument->next;
    }
    return argument == NULL;
}

static bool allows_any(const struct filter_exec *exec) {
    for (size_t i = 0; i < exec->command_count; i++)
        if (exec->commands[i].count == 1 && strcmp(exec->commands[i].items[0], "**") == 0)
            return true;
    return !exec->commands_given;
}

/* The command as JSON; NULL when memory is out, or where it cannot be written. A star would be a
 * pattern's, which lets more pass than this command. */
static const char *command_text(const cJSON *command, struct arena *arena) {
    const char *text = "";
    for (const cJSON *argument = command->child; argument != NULL && text != NULL;
         argument = argument->next) {
        bool plain = strchr(argument->valuestring, '*') == NULL;
        const char *quoted = plain ? remedy_quote(arena, fields_text(argument)) : NULL;
        text = quoted != NULL
                   ? arena_printf(arena, "%s%s%s", text, *text != '\0' ? "," : "", quoted)
                   : NULL;
    }
    return text != NULL ? arena_printf(arena, "[%s]", text) : NULL;
}

/* What is longer is not written into a policy by anybody. */
static bool is_short(const cJSON *command) {
    enum { MOST_ARGUMENTS = 32, MOST_BYTES = 4096 };
    size_t count = 0;
    size_t bytes = 0;
    for (const cJSON *argument = command->child; argument != NULL; argument = argument->next) {
        count++;
        bytes += strlen(argument->valuestring);
    }
    return count <= MOST_ARGUMENTS && bytes <= MOST_BYTES;
}

/* FIELD_STRINGS, of which the engine takes a list only. */
static struct body_finding judge_command(const struct field_context *context,
                                         const struct field *field, const cJSON *value) {
    const struct filter_exec *exec = &context->policy->exec;
    if (!cJSON_IsArray(value))
        return finding_bad_request("body.type", "Cmd must be a list of strings");
    if (allows_any(exec))
        return finding_allow();
    for (size_t i = 0; i < exec->command_count; i++)
        if (command_matches(&exec->commands[i], value))
            return finding_allow();
    struct slice first = value->child != NULL ? fields_text(value->child) : SLICE("");
    struct body_finding finding = finding_deny(
        field->rule, arena_printf(context->arena,
                                  "running %s with these arguments is not allowed here; use a "
                                  "command that the policy names",
                                  quote(context->arena, first)));
    if (value->child != NULL && is_short(value))
        finding.remedy = remedy_json("exec.commands", command_text(value, context->arena));
    return finding;
}

/* Variables such as LD_PRELOAD or PATH make another command of one that is allowed by name. What
 * comes without a value, the engine unsets. */
static struct body_finding judge_environment(const struct field_context *context,
                                             const struct field *field, const cJSON *value) {
    if (allows_any(&context->policy->exec))
        return finding_allow();
    for (const cJSON *variable = fields_first_string(value); variable != NULL;
         variable = fields_next_string(value, variable)) {
        struct slice text = fields_text(variable);
        struct slice name = slice_first(text, strcspn(text.data, "="));
        if (text.len > 0 && !field_opens(context, field, name))
            return field_deny_word(context, field, name, field->reason);
    }
    return finding_allow();
}

/* Without a command there is nothing that a pattern could have matched. */
static struct body_finding judge_exec(const struct field_context *context, const cJSON *object) {
    if (fields_member(object, SLICE("Cmd")) != NULL)
        return finding_allow();
    (void)context;
    return finding_bad_request("exec.command", "the exec names no command; send Cmd");
}

static const struct field create_fields[] = {
    FIELD_JUDGED("Cmd", FIELD_STRINGS, judge_command, "exec.command", NULL),
    FIELD_SWITCHED("Privileged", FIELD_BOOL, field_judge_not_true, "exec.privileged",
                   "a privileged exec is not allowed; drop --privileged", "exec.privileged",
                   exec.privileged),
    FIELD_OPENED("Env", FIELD_STRINGS, judge_environment, "exec.env",
                 "not every variable is allowed where only some commands are, as some change what "
                 "a command does; drop --env",
                 "exec.variables", exec.variables),
    FIELD("User", FIELD_STRING),
    FIELD("WorkingDir", FIELD_STRING),
    FIELD("Tty", FIELD_BOOL),
    FIELD("ConsoleSize", FIELD_ANY),
    FIELD("AttachStdin", FIELD_BOOL),
    FIELD("AttachStdout", FIELD_BOOL),
    FIELD("AttachStderr", FIELD_BOOL),
    FIELD("Detach", FIELD_BOOL),
    FIELD("DetachKeys", FIELD_STRING),
    FIELD("Container", FIELD_STRING), /* of old clients; the engine goes by the path */
};
const struct field_table exec_create_table = {
    .name = "the exec",
    .fields = create_fields,
    .count = FIELD_COUNT(create_fields),
    .unknown_rule = "exec.unknown-field",
    .strict = true,
    .whole = judge_exec,
};

static const struct field start_fields[] = {
    FIELD("Detach", FIELD_BOOL),
    FIELD("Tty", FIELD_BOOL),
    FIELD("ConsoleSize", FIELD_ANY),
};
const struct field_table exec_start_table = {
    .name = "the exec's start",
    .fields = start_fields,
    .count = FIELD_COUNT(start_fields),
    .unknown_rule = "exec.unknown-field",
    .strict = true,
};
