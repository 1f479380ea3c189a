#include "proxy/http.h"

#include <llhttp.h>
#include <stdint.h>

#include "filter/word.h"

/* What llhttp's callbacks gather. */
struct head_fields {
    struct slice method;
    struct slice target;
    struct filter_header *headers;
    size_t count;
    size_t room; /* of `headers` */
    bool complete;
};

static struct head_fields *fields_of(llhttp_t *parser) {
    return parser->data;
}

/* A span may come in pieces, but only side by side: the head is fed in one call. */
static int extend(struct slice *slice, const char *at, size_t len) {
    if (slice->len == 0) {
        *slice = slice_of(at, len);
        return 0;
    }
    if (slice->data + slice->len != at)
        return -1;
    slice->len += len;
    return 0;
}

static int on_method(llhttp_t *parser, const char *at, size_t len) {
    return extend(&fields_of(parser)->method, at, len);
}

static int on_url(llhttp_t *parser, const char *at, size_t len) {
    return extend(&fields_of(parser)->target, at, len);
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len) {
    struct head_fields *fields = fields_of(parser);
    if (fields->count == fields->room)
        return -1;
    return extend(&fields->headers[fields->count].name, at, len);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len) {
    struct head_fields *fields = fields_of(parser);
    return fields->count == fields->room ? -1
                                         : extend(&fields->headers[fields->count].value, at, len);
}

static int on_header_value_complete(llhttp_t *parser) {
    struct head_fields *fields = fields_of(parser);
    if (fields->count == fields->room)
        return -1;
    fields->headers[fields->count].value = slice_trim(fields->headers[fields->count].value);
    fields->count++;
    return 0;
}

static int on_headers_complete(llhttp_t *parser) {
    fields_of(parser)->complete = true;
    return HPE_PAUSED;
}

size_t http_head_end(struct slice data, size_t *seen) {
    /* An empty line is LF LF or LF CR LF; step back so that one cut in two is found. */
    size_t from = *seen > 2 ? *seen - 2 : 0;
    while (from < data.len) {
        const char *lf = memchr(data.data + from, '\n', data.len - from);
        if (lf == NULL)
            break;
        size_t at = (size_t)(lf - data.data) + 1;
        if (at < data.len && data.data[at] == '\n')
            return at + 1;
        if (at + 1 < data.len && data.data[at] == '\r' && data.data[at + 1] == '\n')
            return at + 2;
        from = at;
    }
    *seen = data.len;
    return 0;
}

/* How many bytes at the front are no control bytes. */
static size_t text_run(struct slice text) {
    size_t at = 0;
    while (text.len - at >= sizeof(text_word)) {
        text_word word = word_load(text.data + at);
        size_t run = word_first(word_any_below(word, 0x20) | word_any_equal(word, 0x7f));
        at += run;
        if (run < sizeof word)
            return at;
    }
    while (at < text.len && (unsigned char)text.data[at] >= 0x20 && text.data[at] != 0x7f)
        at++;
    return at;
}

/* Line ends, folding and control bytes: what parsers are lenient about, each in its own way. */
static const char *check_lines(struct slice head) {
    if (head.len == 0 || head.data[0] == '\r' || head.data[0] == '\n')
        return "an empty line stands before the message";
    for (size_t i = text_run(head); i < head.len; i += 1 + text_run(slice_from(head, i + 1))) {
        char next = i + 1 < head.len ? head.data[i + 1] : '\0';
        switch (head.data[i]) {
        case '\n':
            if (head.data[i - 1] != '\r')
                return "a line ends without CR";
            if (next == ' ' || next == '\t')
                return "a header line is folded";
            break;
        case '\r':
            if (next != '\n')
                return "a CR stands inside a line";
            break;
        case '\t':
            break;
        default:
            return "the head has a control byte";
        }
    }
    return NULL;
}

/* Exactly "METHOD SP target SP HTTP/1.x": Go splits at single spaces, others skip runs of them. */
static const char *check_request_line(struct slice head, bool *http_1_0) {
    const char *cr = memchr(head.data, '\r', head.len);
    struct slice line = slice_first(head, cr == NULL ? head.len : (size_t)(cr - head.data));
    size_t spaces = 0;
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] == '\t')
            return "the request line has a tab";
        spaces += line.data[i] == ' ';
    }
    if (spaces != 2 || line.data[0] == ' ')
        return "the request line is not METHOD TARGET HTTP/1.1";
    *http_1_0 = slice_ends_with(line, SLICE(" HTTP/1.0"));
    if (!*http_1_0 && !slice_ends_with(line, SLICE(" HTTP/1.1")))
        return "the protocol is not HTTP/1.1 or HTTP/1.0";
    return NULL;
}

/* How many header lines a checked head has at the most: all its lines but the first and the last.
 */
static size_t count_lines(struct slice head) {
    size_t count = 0;
    const char *end = head.data + head.len;
    for (const char *at = head.data; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        count++;
    return count > 2 ? count - 2 : 0;
}

static const char *parse_fields(struct slice head, llhttp_type_t type, struct head_fields *fields,
                                llhttp_t *parser, struct arena *arena) {
    fields->room = count_lines(head);
    if (fields->room > HTTP_MAX_HEADERS)
        return "the head has too many header lines";
    fields->headers = arena_alloc(arena, (fields->room + 1) * sizeof fields->headers[0]);
    if (fields->headers == NULL)
        return "out of memory";
    memset(fields->headers, 0, (fields->room + 1) * sizeof fields->headers[0]);

    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_method = on_method;
    settings.on_url = on_url;
    settings.on_header_field = on_header_field;
    settings.on_header_value = on_header_value;
    settings.on_header_value_complete = on_header_value_complete;
    settings.on_headers_complete = on_headers_complete;
    llhttp_init(parser, type, &settings);
    parser->data = fields;
    llhttp_errno_t result = llhttp_execute(parser, head.data, head.len);
    if (result != HPE_PAUSED || !fields->complete)
        return "the head is not well-formed HTTP/1.1";
    return NULL;
}

/* Calls the header's name by value: how often it stands there, and its first value. */
static size_t find_header(const struct head_fields *fields, struct slice name,
                          struct slice *value) {
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        if (!slice_equal_ignoring_case(fields->headers[i].name, name))
            continue;
        if (count++ == 0)
            *value = fields->headers[i].value;
    }
    return count;
}

/* Whether a comma-separated list header holds a token (RFC 9110 section 5.6.1), over all lines. */
static bool has_token(const struct head_fields *fields, struct slice name, struct slice token) {
    for (size_t i = 0; i < fields->count; i++) {
        if (!slice_equal_ignoring_case(fields->headers[i].name, name))
            continue;
        struct slice rest = fields->headers[i].value;
        while (rest.len > 0) {
            const char *comma = memchr(rest.data, ',', rest.len);
            size_t len = comma == NULL ? rest.len : (size_t)(comma - rest.data);
            if (slice_equal_ignoring_case(slice_trim(slice_first(rest, len)), token))
                return true;
            rest = slice_from(rest, len + 1);
        }
    }
    return false;
}

static bool parse_length(struct slice text, uint64_t *length) {
    enum { MAX_DIGITS = 18 }; /* below 2^60: nothing overflows */
    if (text.len == 0 || text.len > MAX_DIGITS)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *length = value;
    return true;
}

/* RFC 9112 section 6.3, without its leeway: one Content-Length or one exact "chunked", never both.
 * `absent` is what holds when neither is there. */
static const char *find_framing(const struct head_fields *fields, bool http_1_0,
                                struct framing absent, struct framing *framing) {
    struct slice length = {0};
    struct slice coding = {0};
    size_t lengths = find_header(fields, SLICE("Content-Length"), &length);
    size_t codings = find_header(fields, SLICE("Transfer-Encoding"), &coding);
    if (lengths + codings > 1)
        return "Content-Length and Transfer-Encoding stand together or more than once";
    *framing = absent;
    if (lengths == 1) {
        uint64_t value = 0;
        if (!parse_length(length, &value))
            return "Content-Length is not a plain decimal number";
        *framing = framing_length(value);
    }
    if (codings == 1) {
        if (http_1_0)
            return "Transfer-Encoding in HTTP/1.0";
        if (!slice_equal_ignoring_case(coding, SLICE("chunked")))
            return "Transfer-Encoding is not chunked";
        *framing = framing_chunked();
    }
    return NULL;
}

/* HTTP/1.1 wants exactly one Host (RFC 9112 section 3.2); the engine refuses others likewise. */
static const char *check_host(const struct head_fields *fields, bool http_1_0) {
    struct slice host = {0};
    size_t hosts = find_header(fields, SLICE("Host"), &host);
    if (hosts > 1 || (hosts == 0 && !http_1_0))
        return "the request needs exactly one Host header";
    return NULL;
}

/* An upgrade to HTTP/2 (RFC 7540 section 3.2) would take later requests out of our sight. No Docker
 * client asks for one; an engine that granted it must not be asked. */
static const char *check_http2(const struct head_fields *fields) {
    struct slice settings = {0};
    return find_header(fields, SLICE("HTTP2-Settings"), &settings) > 0
               ? "the request asks for HTTP/2, which is not spoken here"
               : NULL;
}

static const char *check_expect(const struct head_fields *fields, bool *expects_continue) {
    struct slice value = {0};
    size_t count = find_header(fields, SLICE("Expect"), &value);
    *expects_continue = count == 1 && slice_equal_ignoring_case(value, SLICE("100-continue"));
    if (count > 0 && !*expects_continue)
        return "Expect is not 100-continue";
    return NULL;
}

const char *http_request_parse(struct slice head, struct http_request *request,
                               struct arena *arena) {
    *request = (struct http_request){0};
    bool http_1_0 = false;
    struct head_fields fields = {0};
    llhttp_t parser;
    const char *fault = check_lines(head);
    if (fault == NULL)
        fault = check_request_line(head, &http_1_0);
    if (fault == NULL)
        fault = parse_fields(head, HTTP_REQUEST, &fields, &parser, arena);
    if (fault == NULL)
        fault = find_framing(&fields, http_1_0, framing_none(), &request->framing);
    if (fault == NULL)
        fault = check_host(&fields, http_1_0);
    if (fault == NULL)
        fault = check_http2(&fields);
    if (fault == NULL)
        fault = check_expect(&fields, &request->expects_continue);
    if (fault != NULL)
        return fault;

    request->judged = (struct filter_request){
        .method = fields.method,
        .target = fields.target,
        .headers = fields.headers,
        .header_count = fields.count,
        .may_have_body = !request->framing.done,
    };
    request->keep_alive = !http_1_0 && !has_token(&fields, SLICE("Connection"), SLICE("close"));
    request->is_head = slice_equal(fields.method, SLICE("HEAD"));
    return NULL;
}

/* The engine's hijack answers: 101 with the protocol it switches to, or, to a client that asked for
 * no upgrade, 200 with a raw stream type and no length (moby, hijack of attach and exec start). */
static bool is_hijack(const struct head_fields *fields, unsigned status, bool framed,
                      enum filter_hijack expected) {
    static const char *const protocols[] = {
        [FILTER_HIJACK_RAW] = "tcp",
        [FILTER_HIJACK_WEBSOCKET] = "websocket",
        [FILTER_HIJACK_H2C] = "h2c",
        [FILTER_HIJACK_GRPC] = "h2c",
    };
    static const char *const types[] = {"application/vnd.docker.raw-stream",
                                        "application/vnd.docker.multiplexed-stream"};
    struct slice value = {0};
    if (framed || expected == FILTER_HIJACK_NONE)
        return false;
    if (status == 101)
        return find_header(fields, SLICE("Upgrade"), &value) == 1 &&
               has_token(fields, SLICE("Connection"), SLICE("upgrade")) &&
               slice_equal_ignoring_case(value, slice_from_string(protocols[expected]));
    if (status != 200 || expected != FILTER_HIJACK_RAW ||
        find_header(fields, SLICE("Content-Type"), &value) != 1)
        return false;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (slice_equal_ignoring_case(value, slice_from_string(types[i])))
            return true;
    return false;
}

const char *http_response_parse(struct slice head, const struct http_request *request,
                                enum filter_hijack hijack, struct http_response *response,
                                struct arena *arena) {
    *response = (struct http_response){0};
    struct head_fields fields = {0};
    llhttp_t parser;
    const char *fault = check_lines(head);
    if (fault == NULL)
        fault = parse_fields(head, HTTP_RESPONSE, &fields, &parser, arena);
    if (fault != NULL)
        return fault;
    unsigned status = parser.status_code;
    bool http_1_0 = parser.http_major == 1 && parser.http_minor == 0;
    if (parser.http_major != 1 || parser.http_minor > 1 || status < 100 || status > 599)
        return "the status line is not HTTP/1.1 with a status from 100 to 599";

    fault = find_framing(&fields, http_1_0, framing_until_close(), &response->framing);
    if (fault != NULL)
        return fault;
    bool framed = response->framing.kind != FRAMING_UNTIL_CLOSE;
    response->status = status;
    response->hijack = is_hijack(&fields, status, framed, hijack);
    if (status == 101 && !response->hijack)
        return "it switches protocols where nothing asked for that";
    response->interim = status < 200 && status != 101;
    if (!response->hijack &&
        (request->is_head || response->interim || status == 204 || status == 304))
        response->framing = framing_none();
    response->keep_alive = !http_1_0 && response->framing.kind != FRAMING_UNTIL_CLOSE &&
                           !has_token(&fields, SLICE("Connection"), SLICE("close"));
    return NULL;
}

const char *http_reason(unsigned status) {
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Error";
}
