#include "ctl/inspect_report.h"

#include <stdio.h>
#include <string.h>

#include "ctl/etcd_value.h"
#include "ctl/output.h"
#include "ctl/time_text.h"
#include "keys/envelope.h"
#include "keys/key_id.h"

#define TEXT_MAX    256u
#define ETCD_KEY_MAX 512u
#define OTHER_PLUGIN "another KMS plugin"

static void add_foreign(json_t *report, const char *name, struct span bytes)
{
    char text[TEXT_MAX + 1];
    (void)span_to_text(bytes, text, sizeof(text));
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
    char scheme[64];
    const struct envelope_head *head = &envelope->head;
    key_id_text(head->kek_id, head->activation, key_id);
    output_text(report, "suite", head->suite == ENVELOPE_SEED ? "1 seed" : "2 direct");
    (void)snprintf(scheme, sizeof(scheme), "%u %s", head->scheme,
                   envelope_scheme_name(head->scheme));
    output_text(report, "scheme", scheme);
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

static void add_kms(json_t *report, const struct etcd_value *value)
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

static void add_plain(json_t *report, const struct etcd_value *value)
{
    output_text(report, "etcd_value", value->json ? "plain JSON" : "plain protobuf");
    if (value->kind.len > 0) {
        add_foreign(report, "api_version", value->api_version);
        add_foreign(report, "kind", value->kind);
    }
    output_number(report, "object_bytes", (int64_t)value->object.len);
}

/* By a transformer of the API server itself, or one that is not known here. */
static void add_transformed(json_t *report, const struct etcd_value *value)
{
    add_foreign(report, "etcd_value", value->transformer);
    if (value->form == ETCD_NATIVE) {
        add_foreign(report, "key_name", value->name);
    }
    output_number(report, "object_bytes", (int64_t)value->object.len);
}

static const char *sealer(const struct etcd_value *value, bool ours)
{
    switch (value->form) {
    case ETCD_PLAIN:
        return "nobody: not encrypted";
    case ETCD_NATIVE:
        return "the API server, with a key of its EncryptionConfiguration";
    case ETCD_KMS:
        return ours ? "p11-kms" : OTHER_PLUGIN;
    case ETCD_UNKNOWN:
        break;
    }
    return "a transformer that is not known here";
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

static bool is_ours(struct span envelope)
{
    return span_equal(span_part(envelope, 0, 4), span_of_text("P11K"));
}

/* A bare envelope is taken for a value of no provider. */
static err_t parse_any(struct span bytes, struct etcd_value *ret_value, bool *ret_bare)
{
    err_t err = parse_value(bytes, ret_value);
    *ret_bare = err.code == E_NOT_FOUND && is_ours(bytes);
    if (*ret_bare) {
        *ret_value = (struct etcd_value){.form = ETCD_KMS, .envelope = bytes};
        return OK;
    }
    return err.code == E_NOT_FOUND
               ? FAIL(E_INVALID, "no envelope of p11-kms and no value that kube-apiserver writes")
               : err;
}

err_t inspect_report(struct span bytes, json_t *report, bool *ret_ours)
{
    struct etcd_value value;
    struct envelope envelope;
    bool bare = false;
    TRY(parse_any(bytes, &value, &bare));
    bool ours = value.form == ETCD_KMS && is_ours(value.envelope);
    if (ours) {
        TRY(envelope_parse(value.envelope, &envelope));
    }
    output_text(report, "sealed_by", sealer(&value, ours));
    if (value.form == ETCD_PLAIN) {
        add_plain(report, &value);
    } else if (value.form != ETCD_KMS) {
        add_transformed(report, &value);
    } else if (!bare) {
        add_kms(report, &value);
    }
    if (ours) {
        add_envelope(report, &envelope, value.envelope.len);
    }
    *ret_ours = ours;
    return OK;
}

static void add_names(json_t *row, const json_t *report, const char *fault)
{
    const char *columns[][3] = {{"sealed_by", "sealed_by", NULL},
                                {"etcd_value", "etcd_value", NULL},
                                {"name", "provider", "key_name"},
                                {"key_id", "key_id", "etcd_key_id"}};
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        const json_t *value = json_object_get(report, columns[i][1]);
        if (value == NULL && columns[i][2] != NULL) {
            value = json_object_get(report, columns[i][2]);
        }
        output_text(row, columns[i][0], value == NULL ? "" : json_string_value(value));
    }
    output_text(row, "problem", fault);
}

bool inspect_row(struct span key, struct span value, json_t *row)
{
    char text[ETCD_KEY_MAX + 1];
    bool ours = false;
    OWN_JSON *report = json_object();
    err_t err = inspect_report(value, report, &ours);
    (void)span_to_text(key, text, sizeof(text));
    output_text(row, "object", text);
    add_names(row, report, failed(err) ? err.what : "");
    return ours;
}
