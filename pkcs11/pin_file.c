#define _GNU_SOURCE
#include "pkcs11/pin_file.h"

#include <stdio.h>
#include <string.h>

#include "pkcs11/pin_read.h"

#define PATH_LEN (CONFIG_PATH_LEN + 64)

bool pin_file_is_credential(const struct config_token *config)
{
    return config->pin_file[0] == '\0';
}

static void find_path(const struct config_token *config, char to[PATH_LEN])
{
    if (pin_file_is_credential(config)) {
        (void)snprintf(to, PATH_LEN, "%s/%s", config->credentials_dir, config->pin_credential);
    } else {
        (void)snprintf(to, PATH_LEN, "%s", config->pin_file);
    }
}

struct pin_look pin_file_look(const struct config_token *config)
{
    char path[PATH_LEN];
    struct pin_look look = {0};
    find_path(config, path);
    look.there = lstat(path, &look.stat) == 0;
    return look;
}

static bool times_equal(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool pin_look_equal(const struct pin_look *a, const struct pin_look *b)
{
    return a->there == b->there && a->stat.st_dev == b->stat.st_dev &&
           a->stat.st_ino == b->stat.st_ino && a->stat.st_size == b->stat.st_size &&
           times_equal(&a->stat.st_mtim, &b->stat.st_mtim) &&
           times_equal(&a->stat.st_ctim, &b->stat.st_ctim);
}

err_t pin_file_read(const struct config_token *config, struct secret **ret_pin,
                    struct pin_source *ret_source, char *why, size_t why_len)
{
    char path[PATH_LEN];
    bool credential = pin_file_is_credential(config);
    if (credential && config->credentials_dir[0] == '\0') {
        (void)snprintf(
            why, why_len,
            "pin_credential \"%s\": $CREDENTIALS_DIRECTORY is not set; systemd sets it for "
            "the service, elsewhere set it to the folder that holds the file",
            config->pin_credential);
        return FAIL(E_INVALID, "no folder of credentials");
    }
    find_path(config, path);
    err_t err = pin_read(path, credential, ret_pin, ret_source);
    if (failed(err)) {
        (void)snprintf(why, why_len, "%s: %s%s%s", path, err.what, err.code == E_SYSTEM ? ": " : "",
                       err.code == E_SYSTEM ? strerrordesc_np((int)err.detail) : "");
    }
    return err;
}
