/*
 * init: the first KEK of a ring, or with --join the proof that this node can use the ring's keys.
 */
#include <string.h>

#include "ctl/new_key.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/ring_empty.h"
#include "ctl/workplace.h"
#include "keys/key_id.h"

#define BACK_UP "back up this token now: without it every encrypted object is lost"

static err_t create(const struct ctl *ctl, struct workplace *workplace, int *ret_exit)
{
    OWN_JSON *report = json_object();
    struct ipc_generate generate = {0};
    struct ipc_key key;
    bool good = false;
    TRY(new_key_make(ctl, workplace, &generate, &key));
    output_text(report, "ring", ctl->config.ring);
    TRY(new_key_report(workplace, &key, report, &good));
    if (good) {
        output_text(report, "next", BACK_UP);
    }
    bool printed = output_print(ctl, report);
    *ret_exit = !printed ? CTL_UNTOLD : good ? CTL_OK : CTL_FINDING;
    return OK;
}

static bool prove_row(const struct workplace *workplace, const struct ring_view *view, size_t i,
                      json_t *rows)
{
    char text[RING_VIEW_STATE];
    json_t *row = json_object();
    ring_view_key_id(&view->rows[i], text);
    output_text(row, "key_id", text);
    ring_view_state(view, i, text);
    output_text(row, "state", text);
    const char *proof = workplace_proof(workplace, &view->rows[i].key.ref);
    output_text(row, "proof", proof);
    output_row(rows, row);
    return strcmp(proof, "ok") == 0;
}

/* Every key must open, or objects that another node sealed would not open here. */
static err_t join(const struct ctl *ctl, const struct workplace *workplace,
                  const struct ring_view *view, int *ret_exit)
{
    OWN_JSON *report = json_object();
    json_t *rows = json_array();
    bool good = view->choice.selected != NULL;
    for (size_t i = 0; i < view->n; i++) {
        good = prove_row(workplace, view, i, rows) && good;
    }
    output_text(report, "ring", ctl->config.ring);
    output_bool(report, "joined", good);
    output_member(report, "keys", rows);
    output_text(report, "next",
                good ? "start the daemon on this node; " BACK_UP
                     : "this node cannot serve the ring: see the states and proofs above");
    *ret_exit = output_print(ctl, report) ? (good ? CTL_OK : CTL_FINDING) : CTL_FAILED;
    return OK;
}

static void refuse(const struct ctl *ctl, const struct ring_view *view)
{
    const char *next = view->choice.selected == NULL
                           ? "none can seal now, p11-kmsctl keys says why. One that can: "
                             "p11-kmsctl rotate --now"
                           : "if this node is to join it: p11-kmsctl init --join. For a new KEK: "
                             "p11-kmsctl rotate";
    (void)fprintf(ctl->err, "p11-kmsctl: ring %s exists already (keys on the token: %zu); %s\n",
                  ctl->config.ring, view->n + view->broken_labels, next);
}

static err_t decide(const struct ctl *ctl, struct workplace *workplace, bool joins,
                    int *ret_exit)
{
    CLEANUP(ring_view_done) struct ring_view view = {0};
    TRY(workplace_view(workplace, &view));
    struct ring_key lost;
    bool exists = view.n + view.broken_labels > 0;
    if (!exists && view.unnamed > 0) {
        return FAIL(E_UNAVAILABLE, "a key of the token cannot be read, and may be of this ring: "
                                   "nothing is made. See the log lines above, and try again");
    }
    bool known = false;
    TRY(ring_remembered(workplace, &lost, &known));
    *ret_exit = CTL_FINDING;
    if (!exists && (joins || known)) {
        (void)fprintf(ctl->err, "p11-kmsctl: %s\n",
                      joins ? "there is nothing to join" : "nothing was made");
        return ring_empty_say(ctl, workplace);
    }
    if (!joins && exists) {
        refuse(ctl, &view);
        return OK;
    }
    return joins ? join(ctl, workplace, &view, ret_exit) : create(ctl, workplace, ret_exit);
}

int ctl_init(struct ctl *ctl)
{
    bool joins = false;
    const struct option_flag flags[] = {{"--join", &joins, NULL}};
    if (!options_command(ctl, flags, 1, NULL)) {
        return CTL_USAGE;
    }
    int code = CTL_FAILED;
    CLEANUP(workplace_close) struct workplace workplace = {.state = {.fd = -1}};
    err_t err = workplace_open(ctl, &workplace);
    if (!failed(err)) {
        err = decide(ctl, &workplace, joins, &code);
    }
    return failed(err) ? ctl_failed(ctl, err) : code;
}
