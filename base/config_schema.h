/*
 * config_schema: the one table of settings. Ranges and defaults stand in it as text, in the form a
 * user writes; the checks read that text, the help prints it. Private to base/config*.c.
 */
#ifndef BASE_CONFIG_SCHEMA_H
#define BASE_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"
#include "base/span.h"

enum config_kind {
    CONFIG_SECTION,  /* a mapping of the settings below this path */
    CONFIG_LIST,     /* a list of such mappings, range "1..4": that many */
    CONFIG_NUMBER,   /* range "1..64" or "1" */
    CONFIG_DURATION, /* range "10m..7d" */
    CONFIG_CHOICE,   /* range "text|json"; the field holds the index */
    CONFIG_WORD,     /* range "1..9": that many of [a-z0-9-] */
    CONFIG_PATH,     /* absolute */
    CONFIG_SOCKET,   /* absolute or @name */
    CONFIG_URI,      /* pkcs11: */
    CONFIG_FILE,     /* a file name without '/' */
    CONFIG_TEXT,
    CONFIG_MODE, /* a quoted octal number */
    CONFIG_USER,
    CONFIG_GROUP,
    CONFIG_UIDS,
    CONFIG_ENV,
    CONFIG_KEK_IDS,
};

#define CONFIG_NO_FIELD SIZE_MAX

struct config_place;

/* What the settings of one element must be together; the place is that element's. */
typedef err_t config_check(const struct config_place *place, const struct config *config);

struct config_rule {
    const char *path; /* "listen.socket" */
    enum config_kind kind;
    /* Offsets count from struct config; below a CONFIG_LIST, from the element that it is in. */
    size_t offset; /* of the field, of a list's first item; CONFIG_NO_FIELD: checked, not kept */
    size_t size;   /* of the field, of one item of a list */
    size_t count;  /* lists: offset of the uint32_t that says how many items there are */
    uint32_t room; /* lists: how many items fit into the struct; 0: no list */
    const char *range;   /* of what the kind says, NULL where the kind says all */
    const char *preset;  /* the default as text; NULL: required; "": none */
    const char *later;   /* choices that a later release will have, "a|b" */
    const char *meaning; /* for the help */
    config_check *check; /* of a CONFIG_LIST, once an element is complete */
    bool live;           /* a reload may change it */
    bool quiet;          /* a wrong value is not repeated in messages: it may be a secret */
};

extern const struct config_rule config_rules[];
extern const size_t config_rules_n;

/* What is accepted, for messages and the help: "1..64", "text, json", "an absolute path". */
void config_accepted(const struct config_rule *rule, char *text, size_t size);

/* The rule of `key` within `section` ("" at the top), NULL when there is none. */
const struct config_rule *config_rule_find(const char *section, struct span key);

/* True for a setting that is described but not built: it is refused as such. */
bool config_key_is_later(const char *section, struct span key);

/* The list that this setting is within an element of, NULL for none. */
const struct config_rule *config_rule_list(const struct config_rule *rule);

/* The last part of a path, and whether the rest of it is `section`. */
const char *config_rule_key(const struct config_rule *rule);
bool config_rule_within(const struct config_rule *rule, const char *section);

#endif
