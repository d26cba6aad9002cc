/*
 * config: /etc/p11-kms/config.yaml as one flat struct. The schema is closed: an unknown or doubled
 * key, a wrong type or a value out of range is refused with file:line, the value and what is
 * accepted. One table drives the checks, the help and the man page. The struct holds no pointer, so
 * it can be handed to the other processes in a sealed memfd; it holds no secret (the PIN is named,
 * not kept).
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/log.h"

#define CONFIG_DEFAULT_PATH "/etc/p11-kms/config.yaml"
#define CONFIG_MAGIC        0x70313163u
#define CONFIG_VERSION      1u

#define CONFIG_PATH_LEN    256u /* with NUL, as all lengths here */
#define CONFIG_TEXT_LEN    512u
#define CONFIG_RING_LEN    10u
#define CONFIG_SETTING_LEN 48u /* the path of one */
#define CONFIG_UIDS_MAX    32u
#define CONFIG_ENV_MAX     8u
#define CONFIG_WAIVE_MAX   16u
#define CONFIG_TOKENS_MAX  4u

/* In the order of the choices in the schema. */
enum config_mode { CONFIG_MODE_SEED };
enum config_rotation { CONFIG_ROTATION_MANUAL };
enum config_status_version { CONFIG_STATUS_AUTO, CONFIG_STATUS_V2, CONFIG_STATUS_V2BETA1 };
enum config_kms_v1 { CONFIG_V1_ON, CONFIG_V1_OFF };
enum config_token_loss { CONFIG_LOSS_COAST, CONFIG_LOSS_SOFT, CONFIG_LOSS_HARD };
enum config_scheme { CONFIG_SCHEME_AES_GCM };
enum config_iv_mode { CONFIG_IV_HOST };

struct config_listen {
    char socket[CONFIG_PATH_LEN]; /* "@name": abstract */
    uint32_t mode;
    uint32_t owner; /* uid; CONFIG_ID_OWN: the daemon's own */
    uint32_t group;
    uint32_t allowed_uids[CONFIG_UIDS_MAX];
    uint32_t allowed_uids_n;
};
#define CONFIG_ID_OWN UINT32_MAX

/* A KEK that is used in spite of what its attributes say. */
struct config_waiver {
    uint8_t kek_id[16];
};

struct config_token {
    char name[32];
    char module[CONFIG_PATH_LEN];
    char uri[CONFIG_TEXT_LEN];             /* RFC 7512, checked strictly by the token process */
    char pin_file[CONFIG_PATH_LEN];        /* exactly one of pin_file and pin_credential is set */
    char pin_credential[64];               /* name below $CREDENTIALS_DIRECTORY */
    char credentials_dir[CONFIG_PATH_LEN]; /* filled in from the environment by config_load */
    uint32_t sessions;
    enum config_scheme scheme; /* of the KEKs that are made here */
    enum config_iv_mode iv_mode;
    uint32_t start_timeout_s;
    char env[CONFIG_ENV_MAX][CONFIG_TEXT_LEN]; /* "NAME=value", for the token process only */
    uint32_t env_n;
    char init_args[CONFIG_TEXT_LEN]; /* string for pReserved of C_Initialize (NSS) */
    struct config_waiver waive[CONFIG_WAIVE_MAX];
    uint32_t waive_n;
};

struct config {
    uint32_t magic;
    uint32_t version;
    char build_id[64]; /* a role of another build refuses it */
    char path[CONFIG_PATH_LEN];
    char ring[CONFIG_RING_LEN];
    enum config_mode mode;
    enum config_rotation rotation;
    uint32_t seed_life_s;
    uint32_t activation_delay_s;
    uint32_t derived_keys;
    enum config_status_version status_version;
    enum config_kms_v1 kms_v1;
    struct config_listen listen;
    /* The first makes new KEKs. A token process is given its own as tokens[0]. */
    struct config_token tokens[CONFIG_TOKENS_MAX];
    uint32_t tokens_n; /* 1 in this release */
    enum config_token_loss on_token_loss;
    uint32_t coast_s; /* as configured; on_token_loss is applied by health */
    uint32_t soft_max_s;
    char state_dir[CONFIG_PATH_LEN];
    enum log_format log_format;
    enum log_level log_level;
};

/* "FILE:LINE: KEY: value "V" …: accepted …", ready to print. Never holds a secret. */
struct config_problem {
    char text[512];
};

/*
 * E_INVALID with the text in *problem (what is wrong with the content), or E_SYSTEM when
 * unreadable.
 */
MUST_USE err_t config_load(const char *path, struct config *ret_config,
                           struct config_problem *problem);
/* The same over bytes in memory; `name` stands for the file in texts. For tests and fuzzing. */
MUST_USE err_t config_parse(const char *name, const char *text, size_t len,
                            struct config *ret_config, struct config_problem *problem);

/*
 * False: `to` may replace `from` in place. True: a setting that cannot change differs; *ret_path is
 * the first of them, "listen.socket", in a list of several "tokens[1].module".
 */
bool config_fixed_difference(const struct config *from, const struct config *to,
                             char ret_path[CONFIG_SETTING_LEN]);

/* True when the verdict on this KEK (16 bytes), found on this token, is waived. */
bool config_waives(const struct config_token *token, const uint8_t kek_id[16]);

/*
 * The schema as help text: key, type, range, default, meaning; one line each. For --help and the
 * man page.
 */
void config_print_schema(FILE *out);

#endif
