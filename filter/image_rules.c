#include "filter/image_rules.h"

#include "filter/fields.h"
#include "filter/image_name.h"
#include "filter/quote.h"
#include "filter/remedy.h"

struct body_finding image_rules_judge(const struct image_use *use, struct slice name,
                                      struct arena *arena) {
    if (!use->patterns->given || image_name_any(use->patterns))
        return finding_allow();
    const char *shown = quote(arena, name);
    if (use->by_id && image_name_may_be_id(name))
        return finding_deny(use->rule, arena_printf(arena,
                                                    "%s may be the id of any image, and only named "
                                                    "ones are allowed; write name:tag",
                                                    shown));
    struct image_name image;
    if (!image_name_parse(name, arena, &image) || !image_name_add_tag(&image, use->tag))
        return finding_deny(use->rule,
                            arena_printf(arena, "%s is no image's name; write name:tag", shown));
    if (image.tag.len == 0 && image.digest.len == 0)
        image.tag = use->absent_tag;
    if (image_name_is_listed(use->patterns, &image))
        return finding_allow();
    const char *whole = image_name_text(&image, arena);
    struct body_finding finding = finding_deny(
        use->rule, arena_printf(arena,
                                "%s the image %s is not allowed; use one that the policy "
                                "names",
                                use->deed, whole != NULL ? whole : shown));
    if (whole != NULL)
        finding.remedy = remedy_word(arena, use->key, slice_from_string(whole));
    return finding;
}
