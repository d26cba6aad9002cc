#include "tests/unit/token/listing_cases.h"

#include "keys/key_id.h"

#define LABEL "p11k:prod:00000020:00000010"
#define DATED(ring_)                                                                               \
    .activation = {.by = IPC_BY_LABEL,                                                             \
                   .not_before = LISTING_CASE_NOT_BEFORE,                                          \
                   .created = LISTING_CASE_CREATED,                                                \
                   .ring = ring_}
#define BROKEN .label = "p11k:prod:x", .activation = {.by = IPC_BY_BROKEN_LABEL, .ring = "prod"}
#define NAMED  .label = LABEL, DATED("prod")
#define WHOLE                                                                                      \
    .ref = {.id_len = 16,                                                                          \
            .fingerprint_len = 16,                                                                 \
            .id = {1},                                                                             \
            .fingerprint = {2},                                                                    \
            .scheme = ENVELOPE_AES_GCM}
#define NO_ID  "CKA_ID is empty or longer than 64 bytes"

const struct listing_case listing_cases[] = {
    {.name = "good",
     .key = {WHOLE, NAMED},
     .place = LISTING_IN_RING,
     .verdict = RING_GOOD,
     .has_id = true},
    {.name = "of no ring", .key = {WHOLE, .label = "my key"}, .place = LISTING_ELSEWHERE},
    {.name = "of another ring",
     .key = {WHOLE, .label = "p11k:prod-2:00000020:00000010", DATED("prod-2")},
     .place = LISTING_ELSEWHERE},
    {.name = "broken label of another ring",
     .key = {WHOLE,
             .label = "p11k:dev:x",
             .activation = {.by = IPC_BY_BROKEN_LABEL, .ring = "dev"}},
     .place = LISTING_ELSEWHERE},
    {.name = "neither label nor CKA_ID",
     .key = {.state = IPC_KEY_NO_ID},
     .place = LISTING_ELSEWHERE,
     .faults = NO_ID},
    {.name = "label and CKA_ID unread",
     .key = {.state = IPC_KEY_UNREADABLE, .rv = 5},
     .place = LISTING_UNNAMED},
    {.name = "broken label", .key = {WHOLE, BROKEN}, .place = LISTING_BROKEN},
    {.name = "broken label, unread",
     .key = {BROKEN, .state = IPC_KEY_UNREADABLE},
     .place = LISTING_BROKEN},
    {.name = "broken label, no CKA_ID",
     .key = {BROKEN, .state = IPC_KEY_NO_ID},
     .place = LISTING_BROKEN,
     .faults = NO_ID},
    {.name = "no CKA_ID",
     .key = {NAMED, .state = IPC_KEY_NO_ID},
     .place = LISTING_IN_RING,
     .verdict = RING_BAD,
     .faults = NO_ID},
    {.name = "CKA_ID unread",
     .key = {NAMED, .state = IPC_KEY_UNREADABLE},
     .place = LISTING_IN_RING,
     .verdict = RING_UNKNOWN},
    {.name = "fingerprint unread",
     .key = {NAMED, .ref = {.id_len = 16, .id = {1}}, .state = IPC_KEY_UNREADABLE},
     .place = LISTING_IN_RING,
     .verdict = RING_UNKNOWN},
    {.name = "AAD binding unread: its name is known",
     .key = {WHOLE, NAMED, .state = IPC_KEY_UNREADABLE},
     .place = LISTING_IN_RING,
     .verdict = RING_UNKNOWN,
     .has_id = true},
    {.name = "the same, of a waived kek_id: nothing is waived yet",
     .key = {WHOLE, NAMED, .state = IPC_KEY_UNREADABLE, .bad = IPC_ATTR_LOCAL},
     .waive = true,
     .place = LISTING_IN_RING,
     .verdict = RING_UNKNOWN,
     .has_id = true,
     .faults = "CKA_LOCAL"},
    {.name = "an attribute is wrong",
     .key = {WHOLE, NAMED, .bad = IPC_ATTR_SENSITIVE | IPC_ATTR_MODIFIABLE},
     .place = LISTING_IN_RING,
     .verdict = RING_BAD,
     .has_id = true,
     .faults = "CKA_SENSITIVE"},
    {.name = "an attribute is not reported",
     .key = {WHOLE, NAMED, .not_reported = IPC_ATTR_LOCAL},
     .place = LISTING_IN_RING,
     .verdict = RING_BAD,
     .has_id = true,
     .faults = "CKA_LOCAL"},
    {.name = "CKA_MODIFIABLE alone",
     .key = {WHOLE, NAMED, .bad = IPC_ATTR_MODIFIABLE, .not_reported = IPC_ATTR_MODIFIABLE},
     .place = LISTING_IN_RING,
     .verdict = RING_GOOD,
     .has_id = true},
    {.name = "waived",
     .key = {WHOLE, NAMED, .bad = IPC_ATTR_EXTRACTABLE, .not_reported = IPC_ATTR_LOCAL},
     .waive = true,
     .place = LISTING_IN_RING,
     .verdict = RING_GOOD,
     .has_id = true,
     .waived = true,
     .faults = "CKA_LOCAL, CKA_EXTRACTABLE"},
    {.name = "waived, with nothing to waive",
     .key = {WHOLE, NAMED},
     .waive = true,
     .place = LISTING_IN_RING,
     .verdict = RING_GOOD,
     .has_id = true},
    {.name = "no waiver covers how its cryptography works",
     .key = {WHOLE, NAMED, .bad = IPC_ATTR_LOCAL | IPC_ATTR_AAD},
     .waive = true,
     .place = LISTING_IN_RING,
     .verdict = RING_BAD,
     .has_id = true,
     .waived = true,
     .faults = "CKA_LOCAL, AAD binding"},
};
const size_t listing_cases_n = sizeof(listing_cases) / sizeof(listing_cases[0]);

struct config listing_case_config(const struct listing_case *row)
{
    struct config config = {.ring = "prod"};
    struct config_token *token = &config.tokens[0];
    if (row->waive && !failed(listing_kek_id(&row->key, token->waive[0].kek_id))) {
        token->waive_n = 1;
    }
    return config;
}
