#include <string.h>

#include "base/config.h"
#include "ctl/ctl.h"

static const struct ctl_command commands[] = {
    {"init", "[--join]", "make the first KEK of the ring, or prove that this node can join it",
     "Makes an AES-256 key on the token, active from now on. Refuses a ring that exists already.\n"
     "  --join   make nothing: prove every key of the ring by a wrap and an unwrap\n",
     true, ctl_init},
    {"rotate", "[--at T | --now] [--anyway] [--clock-is-right]",
     "make a new KEK that takes over with notice",
     "The new KEK becomes active after activation_delay, so that every node knows it in time.\n"
     "  --at T             not before T: Unix seconds or 2026-01-31T12:00:00Z\n"
     "  --now              at once: for a KEK that is lost or no longer trusted; what is staged\n"
     "                     then never takes over\n"
     "  --anyway           make one although another is staged already\n"
     "  --clock-is-right   go on although the ring is older than 400 days\n",
     true, ctl_rotate},
    {"keys", "", "list the KEKs of the ring: state, age, proof", "", true, ctl_keys},
    {"status", "[--round-trip]", "ask the running daemon how it is",
     "Asks over the socket as an API server does, and reads the state directory.\n"
     "  --round-trip   also encrypt and decrypt 32 random bytes with KMS v2 and v1\n",
     true, ctl_status},
    {"pin-retry", "", "let the token process try the PIN once more",
     "After a refused PIN no login is tried until the PIN changes, so that a wrong one cannot "
     "lock\n"
     "the token. This allows one try more, for a PIN that was right all along.\n",
     true, ctl_pin_retry},
    {"inspect", "[--hex|--base64|--raw|--auto] [FILE|-|VALUE]",
     "decode an envelope or an etcd value, without any key",
     "Takes a file, standard input or the value itself: a KMS envelope, what etcd holds, or what\n"
     "`etcdctl get --prefix -w json` prints. Exit code 1: not everything is sealed by p11-kms.\n",
     false, ctl_inspect},
};

const struct ctl_command *ctl_find(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static void print_common(FILE *out)
{
    (void)fprintf(out,
                  "\nOptions of every command:\n"
                  "  --config PATH        default %s\n"
                  "  --output table|json  default table\n"
                  "  --help, --version\n"
                  "\nExit codes: 0 ok; 1 works, but something is not as it should be;\n"
                  "2 no answer or failed; 3 done, but the answer could not be written;\n"
                  "64 wrong usage; 78 wrong configuration.\n",
                  CONFIG_DEFAULT_PATH);
}

void ctl_print_help(FILE *out)
{
    (void)fprintf(out, "Usage: p11-kmsctl [OPTIONS] COMMAND [ARGUMENTS]\n\n"
                       "Works on the KEKs of the p11-kms Kubernetes KMS plugin.\n\nCommands:\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        (void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
    print_common(out);
    (void)fprintf(out, "\nThe configuration file:\n");
    config_print_schema(out);
}

void ctl_print_command_help(FILE *out, const struct ctl_command *command)
{
    (void)fprintf(out, "Usage: p11-kmsctl %s %s\n\n%s.\n%s", command->name, command->usage,
                  command->summary, command->help);
    print_common(out);
}

void ctl_error_text(err_t err, char *ret_text, size_t size)
{
    if (err.code == E_SYSTEM) {
        (void)snprintf(ret_text, size, "%s: %s", err.what, strerror((int)err.detail));
    } else if (err.detail != 0) {
        (void)snprintf(ret_text, size, "%s (CK_RV 0x%lx)", err.what, err.detail);
    } else {
        (void)snprintf(ret_text, size, "%s", err.what);
    }
}

int ctl_failed(const struct ctl *ctl, err_t err)
{
    char text[512];
    ctl_error_text(err, text, sizeof(text));
    if (err.what[0] != '\0') {
        (void)fprintf(ctl->err, "p11-kmsctl: %s\n", text);
    }
    return err.code == E_NOT_FOUND || err.code == E_STATE ? CTL_FINDING : CTL_FAILED;
}
