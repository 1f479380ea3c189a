#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filter/media_type.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void types_are_told_apart(void **state) {
    (void)state;
    static const struct {
        struct slice value;
        enum media_type type;
    } cases[] = {
        {{NULL, 0}, MEDIA_TYPE_MISSING},
        {SLICE(" \t "), MEDIA_TYPE_MISSING},

        {SLICE("application/json"), MEDIA_TYPE_JSON},
        {SLICE("Application/JSON"), MEDIA_TYPE_JSON},
        {SLICE(" application/json "), MEDIA_TYPE_JSON},
        {SLICE("application/json; charset=utf-8"), MEDIA_TYPE_JSON},
        {SLICE("application/json;charset=\"utf-8\""), MEDIA_TYPE_JSON},
        {SLICE("application/json ; charset=utf-8 ; v=1"), MEDIA_TYPE_JSON},
        {SLICE("application/json;"), MEDIA_TYPE_JSON},
        {SLICE("application/json; "), MEDIA_TYPE_JSON},
        {SLICE("application/json; a=\"; b=c, \""), MEDIA_TYPE_JSON},

        {SLICE("application/x-www-form-urlencoded"), MEDIA_TYPE_FORM},
        {SLICE("APPLICATION/X-WWW-Form-Urlencoded; charset=utf-8"), MEDIA_TYPE_FORM},
        {SLICE("multipart/form-data; boundary=x"), MEDIA_TYPE_FORM},
        {SLICE("multipart/form-data"), MEDIA_TYPE_FORM},
        {SLICE("Multipart/Mixed; boundary=\"x y\""), MEDIA_TYPE_FORM},
        {SLICE("multipart/whatever"), MEDIA_TYPE_FORM},

        {SLICE("text/plain"), MEDIA_TYPE_OTHER},
        {SLICE("application/x-tar"), MEDIA_TYPE_OTHER},
        {SLICE("application/json-seq"), MEDIA_TYPE_OTHER},
        {SLICE("application/jsonx"), MEDIA_TYPE_OTHER},
        {SLICE("text/json"), MEDIA_TYPE_OTHER},
        {SLICE("application/problem+json"), MEDIA_TYPE_OTHER},
        {SLICE("application/vnd.docker.raw-stream"), MEDIA_TYPE_OTHER},

        {SLICE("json"), MEDIA_TYPE_MALFORMED},
        {SLICE("/json"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/"), MEDIA_TYPE_MALFORMED},
        {SLICE("application /json"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/ json"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json/x"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json, text/plain"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json charset=utf-8"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json;;"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json; charset"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json; charset="), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json; =utf-8"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json; charset = utf-8"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json; charset=\"utf-8"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json; charset=\"utf\\-8\""), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json; charset=\"utf-8\"x"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json; a=b; A=b"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json; a*=utf-8''b"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json; a*0=b; a*1=c"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json; a=1; b=1; c=1; d=1; e=1; f=1; g=1; h=1; i=1"),
         MEDIA_TYPE_MALFORMED},
        {SLICE("application/json\0"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json\v"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/json\xc2\xa0"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/\xc5\xbfon"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/x-www-form-urlencoded; x"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/x-www-form-urlencoded;;"), MEDIA_TYPE_MALFORMED},
        {SLICE("application/x-www-form-urlencoded\v"), MEDIA_TYPE_MALFORMED},
        {SLICE("*/*"), MEDIA_TYPE_MALFORMED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        print_message("%.*s\n", SLICE_ARGS(cases[i].value));
        assert_int_equal(media_type_parse(cases[i].value), cases[i].type);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
