/* inspect: what an envelope or an etcd value says about itself; needs no key and no token. */
#include <string.h>

#include "ctl/etcd_value.h"
#include "ctl/inspect_input.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/time_text.h"
#include "keys/envelope.h"
#include "keys/key_id.h"

#define TEXT_MAX 256u

/* Foreign text, cut; bytes that are no printable ASCII become '?'. */
static void add_foreign(json_t *report, const char *name, struct span bytes)
{
    char text[TEXT_MAX + 1];
    span_to_ascii(bytes, text, sizeof(text));
    output_text(report, name, text);
}

static void add_hex(json_t *report, const char *name, const uint8_t *bytes, size_t len)
{
    char hex[2 * ENVELOPE_REALM + 1];
    key_id_hex(span_of(bytes, len), hex);
    output_text(report, name, hex);
}

static void add_time(json_t *report, const char *name, uint32_t s)
{
    char text[TIME_TEXT_LEN];
    time_text_write(s, text);
    output_text(report, name, text);
}

static void add_envelope(json_t *report, const struct envelope *envelope, size_t len)
{
    char key_id[KEY_ID_TEXT_LEN + 1];
    const struct envelope_head *head = &envelope->head;
    key_id_text(head->kek_id, head->activation, key_id);
    output_text(report, "suite", head->suite == ENVELOPE_SEED ? "1 seed" : "2 direct");
    output_text(report, "scheme", "1 AES-256-GCM");
    output_text(report, "api", head->api == ENVELOPE_V1 ? "1 KMS v1" : "2 KMS v2");
    add_hex(report, "realm", head->realm, sizeof(head->realm));
    add_hex(report, "kek_id", head->kek_id, sizeof(head->kek_id));
    add_time(report, "activation", head->activation);
    add_time(report, "born", head->born);
    output_text(report, "key_id", key_id);
    output_number(report, "envelope_bytes", (int64_t)len);
    output_number(report, "wrapped_bytes", (int64_t)envelope->wrapped.len);
    output_number(report, "ciphertext_bytes", (int64_t)envelope->ciphertext.len);
}

static void add_etcd(json_t *report, const struct etcd_value *value)
{
    output_text(report, "etcd_value", value->api == ENVELOPE_V1 ? "KMS v1" : "KMS v2");
    add_foreign(report, "provider", value->name);
    output_number(report, "object_bytes", (int64_t)value->object.len);
    if (value->api == ENVELOPE_V2) {
        add_foreign(report, "etcd_key_id", value->key_id);
        output_text(report, "dek_source",
                    value->source_type == 0   ? "DEK"
                    : value->source_type == 1 ? "HKDF seed"
                                              : "unknown");
        output_number(report, "annotations", value->annotations);
    }
}

/* `etcdctl get` ends what it prints with a newline, which is no byte of the value. */
static err_t parse_value(struct span bytes, struct etcd_value *ret_value)
{
    err_t err = etcd_value_parse(bytes, ret_value);
    if (err.code == E_INVALID && bytes.len > 0 && bytes.ptr[bytes.len - 1] == '\n') {
        err = etcd_value_parse(span_part(bytes, 0, bytes.len - 1), ret_value);
    }
    return err;
}

static err_t inspect(struct span bytes, json_t *report)
{
    struct etcd_value value;
    struct envelope envelope;
    struct span inner = bytes;
    err_t err = parse_value(bytes, &value);
    if (failed(err) && err.code != E_NOT_FOUND) {
        return err;
    }
    if (!failed(err)) {
        add_etcd(report, &value);
        inner = value.envelope;
    }
    TRY(envelope_parse(inner, &envelope));
    add_envelope(report, &envelope, inner.len);
    return OK;
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
    CLEANUP(inspect_input_done) struct inspect_input input = {0};
    OWN_JSON *report = json_object();
    err_t err = inspect_input_read(operand, encoding, &input);
    if (!failed(err)) {
        err = inspect(input.bytes, report);
    }
    if (failed(err)) {
        (void)ctl_failed(ctl, err);
        return err.code == E_INVALID ? CTL_FINDING : CTL_FAILED;
    }
    return output_print(ctl, report) ? CTL_OK : CTL_FAILED;
}
