/* --listen and --metrics with their parameters, and --upstream. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/accounts.h"
#include "proxy/option_value.h"

static int read_tls(const char *value, struct config_listener *listener, enum listener_tls *tls,
                    struct error *error) {
    (void)listener;
    if (strcmp(value, "on") == 0)
        *tls = LISTENER_TLS_ON;
    else if (strcmp(value, "off") == 0)
        *tls = LISTENER_TLS_OFF;
    else
        return error_set(error, "tls must be on or off");
    return 0;
}

static int read_mode(const char *value, struct config_listener *listener, enum listener_tls *tls,
                     struct error *error) {
    unsigned mode = 0;
    (void)tls;
    size_t length = strlen(value);
    if (length < 3 || length > 4 || strspn(value, "01234567") != length)
        return error_set(error, "mode must be octal, such as 0660");
    for (; *value != '\0'; value++)
        mode = mode * 8 + (unsigned)(*value - '0');
    if (mode > 0777)
        return error_set(error, "mode must be from 0000 to 0777");
    listener->mode = (mode_t)mode;
    return 0;
}

/* The all-ones id means "leave it" to chown(2), so it is nobody's. */
static bool read_id(const char *value, uint32_t *id) {
    uint64_t number;
    if (!option_read_number(value, UINT32_MAX - 1, &number))
        return false;
    *id = (uint32_t)number;
    return true;
}

static int read_owner(const char *value, struct config_listener *listener, enum listener_tls *tls,
                      struct error *error) {
    (void)tls;
    if (read_id(value, &listener->owner))
        return 0;
    if (!account_user(value, &listener->owner))
        return error_set(error, "there is no user \"%.64s\"", value);
    return 0;
}

static int read_group(const char *value, struct config_listener *listener, enum listener_tls *tls,
                      struct error *error) {
    (void)tls;
    if (read_id(value, &listener->group))
        return 0;
    if (!account_group(value, &listener->group))
        return error_set(error, "there is no group \"%.64s\"", value);
    return 0;
}

struct parameter {
    const char *name;
    bool unix_only;
    int (*read)(const char *value, struct config_listener *listener, enum listener_tls *tls,
                struct error *error);
};

static const struct parameter parameters[] = {
    {"tls", false, read_tls},
    {"mode", true, read_mode},
    {"owner", true, read_owner},
    {"group", true, read_group},
};

/* One "name=value"; changes `text`. */
static int read_parameter(char *text, struct config_listener *listener, enum listener_tls *tls,
                          struct error *error) {
    char *equals = strchr(text, '=');
    if (equals != NULL)
        *equals = '\0';
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
        if (strcmp(text, parameters[i].name) != 0)
            continue;
        if (parameters[i].unix_only && listener->address.kind != ADDRESS_UNIX)
            return error_set(error, "%s is for unix sockets only", text);
        if (equals == NULL)
            return error_set(error, "%s needs a value", text);
        return parameters[i].read(equals + 1, listener, tls, error);
    }
    return error_set(error, "unknown parameter \"%.64s\"; there are tls, mode, owner and group",
                     text);
}

static bool same_address(const struct address *a, const struct address *b) {
    return a->kind == b->kind && strcmp(a->path, b->path) == 0 && strcmp(a->host, b->host) == 0 &&
           a->port == b->port;
}

/* A URL with its parameters. Port 0 stands for "not given" until it is known whether TLS is on. */
static int read_listener(const char *value, struct config_listener *listener,
                         enum listener_tls *tls, struct error *error) {
    char text[1024];
    *listener = (struct config_listener){.mode = 0660, .owner = (uid_t)-1, .group = (gid_t)-1};
    *tls = LISTENER_TLS_UNSAID;
    size_t length = strlen(value);
    if (length >= sizeof text)
        return error_set(error, "too long");
    memcpy(text, value, length + 1);

    char *query = strchr(text, '?');
    if (query != NULL)
        *query++ = '\0';
    int result = address_is_descriptor(text)
                     ? address_parse_descriptor(text, &listener->address, error)
                     : address_parse(text, 0, &listener->address, error);
    if (result != 0)
        return -1;
    while (query != NULL) {
        char *next = strchr(query, '&');
        if (next != NULL)
            *next++ = '\0';
        if (read_parameter(query, listener, tls, error) != 0)
            return -1;
        query = next;
    }
    return 0;
}

static int parse_listen(const struct option *option, const char *value, struct options *options,
                        struct error *error) {
    struct config *config = &options->config;
    struct config_listener listener;
    enum listener_tls tls;

    (void)option;
    if (config->listener_count == CONFIG_MAX_LISTENERS)
        return error_set(error, "one too many; there is room for %d", CONFIG_MAX_LISTENERS);
    if (read_listener(value, &listener, &tls, error) != 0)
        return -1;
    for (size_t i = 0; i < config->listener_count; i++)
        if (same_address(&config->listeners[i].address, &listener.address))
            return error_set(error, "given twice");

    options->listener_tls[config->listener_count] = tls;
    config->listeners[config->listener_count++] = listener;
    return 0;
}

static bool format_listener(const struct config_listener *listener, char *text, size_t size) {
    char url[512], owner[64] = "", mode[32] = "";
    if (listener->address.kind == ADDRESS_UNIX) {
        (void)snprintf(mode, sizeof mode, "&mode=%04o", (unsigned)listener->mode);
        int used = 0;
        if (listener->owner != (uid_t)-1)
            used = snprintf(owner, sizeof owner, "&owner=%" PRIu32, (uint32_t)listener->owner);
        if (listener->group != (gid_t)-1)
            (void)snprintf(owner + used, sizeof owner - (size_t)used, "&group=%" PRIu32,
                           (uint32_t)listener->group);
    }
    int length =
        snprintf(text, size, "%s?tls=%s%s%s", address_format(&listener->address, url, sizeof url),
                 listener->tls ? "on" : "off", mode, owner);
    return length > 0 && (size_t)length < size;
}

static bool format_listen(const struct option *option, const struct options *options, size_t index,
                          char *text, size_t size) {
    (void)option;
    return index < options->config.listener_count &&
           format_listener(&options->config.listeners[index], text, size);
}

const struct option_kind option_kind_listen = {true, parse_listen, format_listen};

static int parse_metrics(const struct option *option, const char *value, struct options *options,
                         struct error *error) {
    struct config_listener *listener = &options->config.metrics;
    enum listener_tls tls;
    (void)option;
    if (read_listener(value, listener, &tls, error) != 0)
        return -1;
    if (listener->address.kind == ADDRESS_FD)
        return error_set(error, "metrics are served at unix:///path or tcp://host:port");
    if (tls == LISTENER_TLS_ON)
        return error_set(error, "metrics are served without TLS");
    if (listener->address.kind == ADDRESS_TCP && listener->address.port == 0)
        return error_set(error, "it needs a port");
    options->config.metrics_on = true;
    return 0;
}

static bool format_metrics(const struct option *option, const struct options *options, size_t index,
                           char *text, size_t size) {
    (void)option;
    return index == 0 && options->config.metrics_on &&
           format_listener(&options->config.metrics, text, size);
}

const struct option_kind option_kind_metrics = {false, parse_metrics, format_metrics};

static int parse_upstream(const struct option *option, const char *value, struct options *options,
                          struct error *error) {
    (void)option;
    return address_parse(value, 0, &options->config.upstream, error);
}

static bool format_upstream(const struct option *option, const struct options *options,
                            size_t index, char *text, size_t size) {
    (void)option;
    (void)address_format(&options->config.upstream, text, size);
    return index == 0;
}

const struct option_kind option_kind_upstream = {false, parse_upstream, format_upstream};
