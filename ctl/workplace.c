#define _GNU_SOURCE
#include "ctl/workplace.h"

#include <grp.h>
#include <pwd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/role.h"
#include "keys/key_id.h"

#define GENERATE_MIN_S 10u /* a start_timeout of seconds is no word on how long a key takes */

static err_t become(uid_t uid, gid_t gid)
{
    const struct passwd *user = getpwuid(uid);
    int groups = user != NULL ? initgroups(user->pw_name, gid) : setgroups(1, &gid);
    if (groups != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
        return FAIL_ERRNO("cannot become the owner of state_dir");
    }
    return OK;
}

/* A folder that root makes here the daemon could neither write nor, later, read. */
static err_t drop_to_owner(const char *state_dir)
{
    struct stat st;
    if (geteuid() != 0) {
        return OK;
    }
    if (stat(state_dir, &st) != 0) {
        return errno == ENOENT
                   ? FAIL(E_STATE,
                          "state_dir is not there, and root does not make it, for the daemon "
                          "could not use it: run `systemd-tmpfiles --create p11-kms.conf`, or "
                          "make it with mode 0700 for the user that p11-kmsd runs as")
                   : FAIL_ERRNO("cannot examine state_dir");
    }
    return st.st_uid == 0 ? OK : become(st.st_uid, st.st_gid);
}

static err_t enter(const struct config *config, bool create, struct workplace *ret_workplace)
{
    uint8_t realm[ENVELOPE_REALM];
    char realm_hex[2 * ENVELOPE_REALM + 1];
    struct workplace workplace = {.config = config};
    TRY(drop_to_owner(config->state_dir));
    TRY(role_harden());
    TRY(key_id_realm(config->ring, realm));
    key_id_hex(span_of(realm, sizeof(realm)), realm_hex);
    TRY(state_open(config->state_dir, realm_hex, create, &workplace.state));
    *ret_workplace = workplace;
    return OK;
}

err_t workplace_look(const struct config *config, struct workplace *ret_workplace)
{
    return enter(config, false, ret_workplace);
}

/* The folder is another's, and closed to us or not for us to use. */
static bool is_of_another(const char *state_dir, err_t err)
{
    struct stat st;
    bool seen = stat(state_dir, &st) == 0;
    return (err.code == E_SYSTEM && err.detail == EACCES) ||
           (err.code == E_DENIED && seen && st.st_uid != geteuid());
}

err_t workplace_open_state(const struct config *config, struct workplace *ret_workplace)
{
    bool root = geteuid() == 0;
    err_t err = enter(config, true, ret_workplace);
    if (failed(err) && !root && is_of_another(config->state_dir, err)) {
        return FAIL(E_DENIED, "this user may not use state_dir: run this as root or as its owner");
    }
    return err;
}

/* Says on ctl->err what to mend. */
static err_t open_session(const struct ctl *ctl, struct workplace *workplace)
{
    char mend[sizeof(((struct ipc_status *)0)->text)] = "";
    err_t err = token_session_open(&ctl->config, &workplace->program, &workplace->state, ctl->err,
                                   mend, &workplace->session);
    if (failed(err) && mend[0] != '\0') {
        (void)fprintf(ctl->err, "p11-kmsctl: %s: %s\n", err.what, mend);
        err.what = ""; /* the advice is the last word */
    }
    return err;
}

err_t workplace_open(const struct ctl *ctl, struct workplace *ret_workplace)
{
    if (clock_real_s() < clock_build_s()) {
        return FAIL(E_STATE, "the clock is before the build of this program: set it first");
    }
    /*
     * First of all: the owner of the state folder may not reach a program below root's own folder.
     */
    CLEANUP(role_program_close) struct role_program program = {.fd = -1};
    err_t opened = role_program_open("p11-kms-token", &program);
    if (failed(opened)) {
        (void)fprintf(ctl->err, "p11-kmsctl: p11-kms-token cannot be started:\n");
        return opened;
    }
    TRY(workplace_open_state(&ctl->config, ret_workplace));
    ret_workplace->program = program;
    program.fd = -1;
    err_t err = open_session(ctl, ret_workplace);
    if (failed(err)) {
        workplace_close(ret_workplace);
    }
    return err;
}

void workplace_close(struct workplace *workplace)
{
    token_session_close(workplace->session);
    workplace->session = NULL;
    if (workplace->program.name[0] != '\0') {
        role_program_close(&workplace->program);
    }
    state_close(&workplace->state);
}

/* With the ring's name: its keys alone are probed for what their attributes do not tell. */
static struct ipc_list list_of_ring(const struct config *config, bool all)
{
    struct ipc_list list = {.all = all};
    (void)span_copy(span_mut_of(list.ring, sizeof(list.ring) - 1), span_of_text(config->ring));
    return list;
}

err_t workplace_view(const struct workplace *workplace, struct ring_view *ret_view)
{
    const struct ipc_list list = list_of_ring(workplace->config, false);
    const struct ipc_key *keys = NULL;
    size_t n = 0;
    TRY(token_session_list(workplace->session, &list, &keys, &n));
    return ring_view_new(workplace->config, keys, n, clock_real_s(), ret_view);
}

/* The choices of `scheme` stand in the order of the envelope's numbers. */
_Static_assert(CONFIG_SCHEME_AES_GCM == 0 && ENVELOPE_AES_GCM == 1, "schemes are counted alike");

err_t workplace_name_key(const struct workplace *workplace, struct ipc_generate *generate)
{
    uint32_t limit_s = workplace->config->tokens[0].start_timeout_s;
    if (getrandom(generate->id, sizeof(generate->id), 0) != (ssize_t)sizeof(generate->id)) {
        return FAIL_ERRNO("cannot draw a CKA_ID");
    }
    (void)span_copy(span_mut_of(generate->ring, sizeof(generate->ring) - 1),
                    span_of_text(workplace->config->ring));
    generate->scheme = (uint8_t)(ENVELOPE_AES_GCM + workplace->config->tokens[0].scheme);
    generate->limit_s = limit_s < GENERATE_MIN_S ? GENERATE_MIN_S : limit_s;
    return OK;
}

static err_t find_listed(const struct workplace *workplace, struct span id, struct ipc_key *ret_key)
{
    const struct ipc_list list = list_of_ring(workplace->config, true);
    const struct ipc_key *keys = NULL;
    size_t n = 0;
    TRY(token_session_list(workplace->session, &list, &keys, &n));
    bool any_unnamed = false;
    for (size_t i = 0; i < n; i++) {
        if (span_equal(span_of(keys[i].ref.id, keys[i].ref.id_len), id)) {
            *ret_key = keys[i];
            return OK;
        }
        any_unnamed |= keys[i].state == IPC_KEY_UNREADABLE && keys[i].ref.id_len == 0;
    }
    return any_unnamed ? FAIL(E_UNAVAILABLE, "a key whose CKA_ID cannot be read is on the token")
                       : FAIL(E_NOT_FOUND, "no key with this CKA_ID is on the token");
}

err_t workplace_find(const struct ctl *ctl, struct workplace *workplace, struct span id,
                     struct ipc_key *ret_key)
{
    err_t err = find_listed(workplace, id, ret_key);
    if (!failed(err) || err.code == E_NOT_FOUND) {
        return err;
    }
    token_session_close(workplace->session);
    workplace->session = NULL;
    TRY(open_session(ctl, workplace));
    return find_listed(workplace, id, ret_key);
}

const char *workplace_proof(const struct workplace *workplace, const struct ipc_key_ref *key)
{
    if (key->id_len == 0 || key->fingerprint_len == 0) {
        return "not possible";
    }
    err_t err = token_session_prove(workplace->session, key);
    return failed(err) ? err.what : "ok";
}
