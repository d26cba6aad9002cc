/* Opens every frozen envelope under tests/kit/golden (their folder is the first argument). */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "keys/key_id.h"
#include "tests/kit/unit.h"
#include "tests/unit/keys/sample.h"

#define FILES_FROZEN 22

static const char *folder;

struct golden {
    uint8_t kek[32];
    char ring[16];
    uint8_t cka_id[16];
    uint8_t fingerprint[16];
    uint8_t kek_id[16];
    char key_id[80];
    uint8_t plain[ENVELOPE_PLAIN_MAX];
    size_t plain_len;
    uint8_t envelope[ENVELOPE_MAX];
    size_t envelope_len;
};

static size_t read_hex(const char *text, uint8_t *out, size_t room)
{
    size_t n = strlen(text) / 2;
    assert_true(n <= room);
    for (size_t i = 0; i < n; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return n;
}

static void read_line(const char *name, const char *value, struct golden *g)
{
    if (strcmp(name, "test-kek") == 0) {
        (void)read_hex(value, g->kek, sizeof(g->kek));
    } else if (strcmp(name, "ring") == 0) {
        assert_in_range(snprintf(g->ring, sizeof(g->ring), "%s", value), 1, sizeof(g->ring) - 1);
    } else if (strcmp(name, "cka-id") == 0) {
        (void)read_hex(value, g->cka_id, sizeof(g->cka_id));
    } else if (strcmp(name, "fingerprint") == 0) {
        (void)read_hex(value, g->fingerprint, sizeof(g->fingerprint));
    } else if (strcmp(name, "kek-id") == 0) {
        (void)read_hex(value, g->kek_id, sizeof(g->kek_id));
    } else if (strcmp(name, "key-id") == 0) {
        assert_in_range(snprintf(g->key_id, sizeof(g->key_id), "%s", value), 1,
                        sizeof(g->key_id) - 1);
    } else if (strcmp(name, "plaintext") == 0) {
        g->plain_len = read_hex(value, g->plain, sizeof(g->plain));
    } else {
        assert_string_equal(name, "envelope");
        g->envelope_len = read_hex(value, g->envelope, sizeof(g->envelope));
    }
}

static struct golden read_golden(const char *file_name)
{
    struct golden g = {0};
    char path[512];
    char name[32];
    char value[2 * ENVELOPE_MAX + 1];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, file_name);
    OWN_FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fscanf(file, "%31s %2048s", name, value) == 2) {
        read_line(name, value, &g);
    }
    return g;
}

static void check_names(const struct golden *g, const struct soft_kek *kek)
{
    uint8_t fingerprint[16];
    uint8_t kek_id[KEK_ID_LEN];
    uint8_t realm[ENVELOPE_REALM];
    char key_id[KEY_ID_TEXT_LEN + 1];
    struct envelope e;
    assert_ok(soft_kek_fingerprint(kek, fingerprint));
    assert_memory_equal(fingerprint, g->fingerprint, sizeof(fingerprint));
    assert_ok(
        key_id_kek(ENVELOPE_AES_GCM, span_of(g->cka_id, 16), span_of(fingerprint, 16), kek_id));
    assert_memory_equal(kek_id, g->kek_id, sizeof(kek_id));
    assert_ok(envelope_parse(span_of(g->envelope, g->envelope_len), &e));
    assert_memory_equal(e.head.kek_id, kek_id, sizeof(kek_id));
    assert_ok(key_id_realm(g->ring, realm));
    assert_memory_equal(e.head.realm, realm, sizeof(realm));
    key_id_text(kek_id, e.head.activation, key_id);
    assert_string_equal(key_id, g->key_id);
}

static void test_open_every_frozen_envelope_returns_its_plaintext(void **state)
{
    (void)state;
    CLEANUP(seal_free_p) struct seal *seal = NULL;
    assert_ok(secret_init(&secret_budget_ctl));
    assert_ok(seal_new(&seal));
    DIR *listing = opendir(folder);
    assert_non_null(listing);
    int opened = 0;
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        if (strstr(entry->d_name, ".txt") == NULL) {
            continue;
        }
        struct golden g = read_golden(entry->d_name);
        struct soft_kek kek;
        uint8_t out[ENVELOPE_PLAIN_MAX];
        size_t len = 0;
        memcpy(kek.value, g.kek, sizeof(kek.value));
        check_names(&g, &kek);
        assert_ok(soft_kek_open(&kek, seal, span_of(g.envelope, g.envelope_len),
                                span_mut_of(out, 512), &len));
        assert_int_equal(len, g.plain_len);
        assert_memory_equal(out, g.plain, len);
        opened++;
    }
    (void)closedir(listing);
    assert_true(opened >= FILES_FROZEN);
}

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : GOLDEN_FOLDER;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_every_frozen_envelope_returns_its_plaintext),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
