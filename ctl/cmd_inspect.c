/* inspect: what an envelope or an etcd value says about itself; needs no key and no token. */
#include <errno.h>
#include <string.h>

#include "ctl/etcd_list.h"
#include "ctl/inspect_input.h"
#include "ctl/inspect_report.h"
#include "ctl/options.h"
#include "ctl/output.h"

/* One row an object. */
static err_t inspect_list(const json_t *list, json_t *rows, bool *ret_ours)
{
    bool ours = true;
    for (size_t i = 0; i < json_array_size(list); i++) {
        CLEANUP(etcd_item_done) struct etcd_item item = {0};
        TRY(etcd_list_item(list, i, &item));
        json_t *row = json_object();
        ours = inspect_row(item.key, item.value, row) && ours;
        output_row(rows, row);
    }
    *ret_ours = ours;
    return OK;
}

static err_t inspect(const struct ctl *ctl, struct span bytes, int *ret_exit)
{
    OWN_JSON *list = NULL;
    OWN_JSON *report = NULL;
    bool ours = false;
    if (failed(etcd_list_parse(bytes, &list))) {
        report = json_object();
        TRY(inspect_report(bytes, report, &ours));
    } else {
        report = json_array();
        TRY(inspect_list(list, report, &ours));
    }
    *ret_exit = !output_print(ctl, report) ? CTL_FAILED : ours ? CTL_OK : CTL_FINDING;
    return OK;
}

static int fail(const struct ctl *ctl, const char *operand, err_t err)
{
    if (operand != NULL && err.code == E_SYSTEM) {
        (void)fprintf(ctl->err, "p11-kmsctl: %.200s: ", operand);
        (void)fprintf(ctl->err, "%s%s%s\n", err.what, err.detail == ENOENT ? "" : ": ",
                      err.detail == ENOENT ? "" : strerror((int)err.detail));
        return CTL_FAILED;
    }
    (void)ctl_failed(ctl, err);
    return err.code == E_INVALID ? CTL_FINDING : CTL_FAILED;
}

int ctl_inspect(struct ctl *ctl)
{
    const char *operand = NULL;
    bool hex = false;
    bool base64 = false;
    bool raw = false;
    bool guess = false;
    const struct option_flag flags[] = {{"--hex", &hex, NULL},
                                        {"--base64", &base64, NULL},
                                        {"--raw", &raw, NULL},
                                        {"--auto", &guess, NULL}};
    if (!options_command(ctl, flags, 4, &operand)) {
        return CTL_USAGE;
    }
    if (hex + base64 + raw + guess > 1) {
        (void)fprintf(ctl->err, "p11-kmsctl: one of --hex, --base64, --raw and --auto\n");
        return CTL_USAGE;
    }
    enum inspect_encoding encoding = hex      ? INSPECT_HEX
                                     : base64 ? INSPECT_BASE64
                                     : raw    ? INSPECT_RAW
                                              : INSPECT_AUTO;
    int code = CTL_FAILED;
    CLEANUP(inspect_input_done) struct inspect_input input = {0};
    err_t err = inspect_input_read(operand, encoding, &input);
    if (!failed(err)) {
        err = inspect(ctl, input.bytes, &code);
    }
    return failed(err) ? fail(ctl, operand, err) : code;
}
