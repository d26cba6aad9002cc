#include "base/config_schema.h"

#include <stdio.h>
#include <string.h>

#include "base/config_check.h"

#define FIELD(struct_, member_)                                                                    \
    .offset = offsetof(struct_, member_), .size = MEMBER_SIZE(struct_, member_)
#define MEMBER_SIZE(struct_, member_) sizeof(((struct_ *)NULL)->member_)
/* An array and, under its name with _n, its count. */
#define ARRAY(struct_, member_)                                                                    \
    .offset = offsetof(struct_, member_), .size = MEMBER_SIZE(struct_, member_[0]),                \
    .count = offsetof(struct_, member_##_n),                                                       \
    .room = MEMBER_SIZE(struct_, member_) / MEMBER_SIZE(struct_, member_[0])

#define IN(member_)         FIELD(struct config, member_)
#define LIST(member_)       ARRAY(struct config, member_)
#define IN_TOKEN(member_)   FIELD(struct config_token, member_)
#define TOKEN_LIST(member_) ARRAY(struct config_token, member_)
#define CHECKED_ONLY        .offset = CONFIG_NO_FIELD

/* How many tokens the file may name; the test of lists says more. */
#ifndef TOKENS_ACCEPTED
#define TOKENS_ACCEPTED "1"
#endif

/* In the order of the sample file. A section precedes its settings. */
const struct config_rule config_rules[] = {
    {"version", CONFIG_NUMBER, CHECKED_ONLY, .range = "1", .meaning = "of this file's schema"},
    {"ring", CONFIG_WORD, IN(ring), .range = "1..9",
     .meaning = "name of the cluster's keys on the token; unique per cluster, never changed"},
    {"mode", CONFIG_CHOICE, IN(mode), .range = "seed", .later = "direct", .preset = "seed",
     .meaning = "what the token wraps"},
    {"rotation", CONFIG_CHOICE, IN(rotation), .range = "manual", .later = "automatic|operator",
     .preset = "manual", .meaning = "who makes new KEKs: p11-kmsctl rotate"},
    {"seed_life", CONFIG_DURATION, IN(seed_life_s), .range = "10m..7d", .preset = "24h",
     .live = true, .meaning = "how long one seed seals"},
    {"activation_delay", CONFIG_DURATION, IN(activation_delay_s), .range = "0s..30d",
     .preset = "5m", .meaning = "notice before a new KEK is used"},
    {"derived_keys", CONFIG_NUMBER, IN(derived_keys), .range = "0..1024", .preset = "1024",
     .live = true, .meaning = "derived keys kept in locked memory; 0 keeps none"},
    {"status_version", CONFIG_CHOICE, IN(status_version), .range = "auto|v2|v2beta1",
     .preset = "auto", .live = true,
     .meaning = "version that Status answers; auto fits the caller"},
    {"kms_v1", CONFIG_CHOICE, IN(kms_v1), .range = "on|off", .preset = "on", .live = true,
     .meaning = "whether KMS v1 is answered, which Kubernetes has deprecated; v2 always is"},
    {"listen", CONFIG_SECTION, CHECKED_ONLY, .preset = "",
     .meaning = "the socket of the API server"},
    {"listen.socket", CONFIG_SOCKET, IN(listen.socket), .preset = "/run/p11-kms/kms.sock",
     .meaning = "its path; @name is an abstract socket"},
    {"listen.mode", CONFIG_MODE, IN(listen.mode), .preset = "0600", .meaning = "its permissions"},
    {"listen.owner", CONFIG_USER, IN(listen.owner), .preset = "",
     .meaning = "its owner; default: the daemon's own user"},
    {"listen.group", CONFIG_GROUP, IN(listen.group), .preset = "",
     .meaning = "its group; default: the daemon's own group"},
    {"listen.allowed_uids", CONFIG_UIDS, LIST(listen.allowed_uids), .preset = "[0]", .live = true,
     .meaning = "users that may call"},
    {"tokens", CONFIG_LIST, LIST(tokens), .range = TOKENS_ACCEPTED, .check = config_check_token,
     .meaning = "the token: one entry in this release"},
    {"tokens.name", CONFIG_WORD, IN_TOKEN(name), .range = "1..31", .preset = "main",
     .meaning = "its name in logs and tables"},
    {"tokens.module", CONFIG_PATH, IN_TOKEN(module), .meaning = "the vendor's PKCS#11 module"},
    {"tokens.token", CONFIG_URI, IN_TOKEN(uri), .quiet = true,
     .meaning = "which token, as RFC 7512 URI"},
    {"tokens.pin_file", CONFIG_PATH, IN_TOKEN(pin_file), .preset = "", .quiet = true,
     .meaning = "file with the PIN, readable by its owner alone"},
    {"tokens.pin_credential", CONFIG_FILE, IN_TOKEN(pin_credential), .preset = "", .quiet = true,
     .meaning = "systemd credential with the PIN, instead of pin_file"},
    {"tokens.sessions", CONFIG_NUMBER, IN_TOKEN(sessions), .range = "1..64", .preset = "4",
     .meaning = "PKCS#11 sessions, a thread each"},
    {"tokens.scheme", CONFIG_CHOICE, IN_TOKEN(scheme), .range = "aes-gcm",
     .later = "aes-cbc-hmac|rsa-oaep", .preset = "aes-gcm", .meaning = "how the token wraps"},
    {"tokens.iv_mode", CONFIG_CHOICE, IN_TOKEN(iv_mode), .range = "host",
     .later = "zero-fill|appended", .preset = "host", .meaning = "who makes the IV of a wrap"},
    {"tokens.start_timeout", CONFIG_DURATION, IN_TOKEN(start_timeout_s), .range = "1s..30m",
     .preset = "120s",
     .meaning = "for load, C_Initialize and C_Login together; also for making a KEK"},
    {"tokens.env", CONFIG_ENV, TOKEN_LIST(env), .preset = "", .quiet = true,
     .meaning = "environment of the token process alone"},
    {"tokens.init_args", CONFIG_TEXT, IN_TOKEN(init_args), .preset = "", .quiet = true,
     .meaning = "string given to C_Initialize (NSS)"},
    {"tokens.waive", CONFIG_KEK_IDS, TOKEN_LIST(waive), .preset = "", .live = true,
     .meaning = "kek_ids used in spite of a wrong attribute"},
    {"health", CONFIG_SECTION, CHECKED_ONLY, .preset = "", .meaning = "while the token is lost"},
    {"health.on_token_loss", CONFIG_CHOICE, IN(on_token_loss), .range = "coast|soft|hard",
     .preset = "coast", .live = true, .meaning = "first state of an outage"},
    {"health.coast", CONFIG_DURATION, IN(coast_s), .range = "0s..7d", .preset = "60m", .live = true,
     .meaning = "how long Status stays ok"},
    {"health.soft_max", CONFIG_DURATION, IN(soft_max_s), .range = "0s..30d", .preset = "24h",
     .live = true, .meaning = "how long after that writes go on"},
    {"state_dir", CONFIG_PATH, IN(state_dir), .preset = "/var/lib/p11-kms",
     .meaning = "what is remembered; no secret"},
    {"log", CONFIG_SECTION, CHECKED_ONLY, .preset = "", .meaning = "lines to stderr"},
    {"log.format", CONFIG_CHOICE, IN(log_format), .range = "text|json", .preset = "text",
     .live = true, .meaning = "key=value or JSON"},
    {"log.level", CONFIG_CHOICE, IN(log_level), .range = "debug|info|warn|error", .preset = "info",
     .live = true, .meaning = "the least that is written"},
};
const size_t config_rules_n = sizeof(config_rules) / sizeof(config_rules[0]);

static const char *const later_keys[] = {
    "period", "lead", "accept_direct", "retired", "tokens.rsa_backend", "tokens.pin_prompt",
};

static void accepted_choice(const char *range, char *text, size_t size)
{
    size_t len = 0;
    for (const char *at = range; *at != '\0' && len + 3 < size; at++) {
        if (*at == '|') {
            text[len++] = ',';
        }
        text[len++] = (char)(*at == '|' ? ' ' : *at);
    }
    text[len] = '\0';
}

void config_accepted(const struct config_rule *rule, char *text, size_t size)
{
    static const char *const forms[] = {
        [CONFIG_SECTION] = "a mapping of settings",
        [CONFIG_LIST] = "a list of %s mappings",
        [CONFIG_NUMBER] = "a number in %s",
        [CONFIG_DURATION] = "a duration such as 30s, 5m, 1h or 30d in %s",
        [CONFIG_WORD] = "%s characters of [a-z0-9-]",
        [CONFIG_PATH] = "an absolute path of at most 255 bytes",
        [CONFIG_SOCKET] = "an absolute path or @name of at most 107 bytes",
        [CONFIG_URI] = "a URI \"pkcs11:...\" of at most 511 bytes that names no PIN",
        [CONFIG_FILE] = "a file name of at most 63 bytes without '/'",
        [CONFIG_TEXT] = "a text of at most 511 bytes",
        [CONFIG_MODE] = "a quoted octal number such as \"0600\"",
        [CONFIG_USER] = "a user's name or number",
        [CONFIG_GROUP] = "a group's name or number",
        [CONFIG_UIDS] = "a list of 1..32 user numbers",
        [CONFIG_ENV] = "at most 8 of NAME: value, not LD_* and not *PIN*, 511 bytes each",
        [CONFIG_KEK_IDS] = "a list of at most 16 kek_ids, 32 of [0-9a-f] each",
    };
    if (rule->kind == CONFIG_CHOICE) {
        accepted_choice(rule->range, text, size);
        return;
    }
    bool one = rule->kind == CONFIG_LIST && strcmp(rule->range, "1") == 0;
    const char *form = one ? "a list of exactly one mapping" : forms[rule->kind];
    const char *slot = strstr(form, "%s");
    int before = slot == NULL ? (int)strlen(form) : (int)(slot - form);
    (void)snprintf(text, size, "%.*s%s%s", before, form, slot == NULL ? "" : rule->range,
                   slot == NULL ? "" : slot + 2);
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot == NULL ? path : dot + 1;
}

static bool path_is(const char *path, const char *section, struct span key)
{
    size_t section_len = (size_t)(last_part(path) - path);
    size_t dot = section_len == 0 ? 0 : 1;
    return strlen(section) == section_len - dot && strncmp(path, section, section_len - dot) == 0 &&
           span_equal(span_of_text(path + section_len), key);
}

const char *config_rule_key(const struct config_rule *rule)
{
    return last_part(rule->path);
}

bool config_rule_within(const struct config_rule *rule, const char *section)
{
    return path_is(rule->path, section, span_of_text(last_part(rule->path)));
}

const struct config_rule *config_rule_list(const struct config_rule *rule)
{
    for (size_t i = 0; i < config_rules_n; i++) {
        if (config_rules[i].kind == CONFIG_LIST && config_rule_within(rule, config_rules[i].path)) {
            return &config_rules[i];
        }
    }
    return NULL;
}

const struct config_rule *config_rule_find(const char *section, struct span key)
{
    for (size_t i = 0; i < config_rules_n; i++) {
        if (path_is(config_rules[i].path, section, key)) {
            return &config_rules[i];
        }
    }
    return NULL;
}

bool config_key_is_later(const char *section, struct span key)
{
    for (size_t i = 0; i < sizeof(later_keys) / sizeof(later_keys[0]); i++) {
        if (path_is(later_keys[i], section, key)) {
            return true;
        }
    }
    return false;
}
