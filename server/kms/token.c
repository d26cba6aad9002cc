#include "server/kms/token.h"

#include <stdlib.h>

#include "base/log.h"
#include "server/kms/ring_keys.h"

static void on_listed(void *ctx, const struct client_reply *reply, bool all)
{
    struct token *token = ctx;
    if (!failed(reply->err)) {
        directory_take(&token->directory, reply->keys, reply->keys_n);
        unread_take(&token->unread, reply->keys, reply->keys_n, token->config->ring, all);
        token->keys_n =
            ring_keys_of(token->config, token->number, reply, &token->refused, token->keys);
        token->listed = true;
    }
    token->events.on_listed(token->events.ctx, reply->err, all);
}

static void on_status(void *ctx, const struct ipc_status *status)
{
    static const char *const phases[] = {
        [IPC_PHASE_STARTING] = "starting", [IPC_PHASE_NO_MODULE] = "no-module",
        [IPC_PHASE_NO_TOKEN] = "no-token", [IPC_PHASE_PIN] = "pin",
        [IPC_PHASE_CONFIG] = "config",     [IPC_PHASE_READY] = "ready",
    };
    (void)ctx;
    /* The text is in the log already: the token process wrote it there. */
    log_event(EVENT_TOKEN_STATUS, LOG_TEXT("phase", phases[status->phase]),
              LOG_TEXT("token", status->token), LOG_TEXT("serial", status->serial));
}

static void on_hung(void *ctx)
{
    const struct token *token = ctx;
    log_event(EVENT_TOKEN_HUNG);
    token->events.on_hung(token->events.ctx);
}

static void token_free(struct token *token)
{
    if (token != NULL) {
        client_free(token->client);
        free(token);
    }
}
DEFINE_CLEANUP(struct token *, token_free)

static err_t token_new(struct tokens *tokens, size_t number, const struct config *config,
                       const struct token_events *events, struct token **ret_token)
{
    CLEANUP(token_free_p) struct token *token = calloc(1, sizeof(*token));
    if (token == NULL) {
        return FAIL_ERRNO("out of memory for a token");
    }
    const struct client_events of_client = {token, on_status, on_hung};
    const struct unwraps_events of_unwraps = {events->ctx, events->on_unwrapped};
    const struct lister_events of_lister = {token, on_listed};
    token->config = config;
    token->number = number;
    token->events = *events;
    TRY(client_new(&of_client, config->tokens[number].sessions, &token->client));
    unwraps_init(&token->unwraps, token->client, &of_unwraps);
    lister_init(&token->lister, token->client, &tokens->listings, &of_lister);
    *ret_token = TAKE(token);
    return OK;
}

err_t tokens_init(struct tokens *tokens, const struct config *config,
                  const struct token_events *events)
{
    *tokens = (struct tokens){0};
    while (tokens->n < config->tokens_n) {
        TRY(token_new(tokens, tokens->n, config, events, &tokens->at[tokens->n]));
        tokens->n++;
    }
    return OK;
}

void tokens_done(struct tokens *tokens)
{
    while (tokens->n > 0) {
        tokens->n--;
        token_free(TAKE(tokens->at[tokens->n]));
    }
}

void tokens_tick(struct tokens *tokens, int64_t mono_ms)
{
    for (size_t i = 0; i < tokens->n; i++) {
        client_tick(tokens->at[i]->client, mono_ms);
    }
}

int64_t tokens_next_ms(const struct tokens *tokens)
{
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < tokens->n; i++) {
        next_ms = times_earlier(next_ms, client_next_ms(tokens->at[i]->client));
    }
    return next_ms;
}

bool token_is_ready(const struct token *token)
{
    return client_status(token->client)->phase == IPC_PHASE_READY;
}

int64_t token_list_ms(const struct token *token, int64_t list_at_ms)
{
    return token_is_ready(token) ? lister_due_ms(&token->lister, list_at_ms) : INT64_MAX;
}

err_t token_list(struct token *token, const struct ring_key *serving, struct times now)
{
    const struct ipc_key_ref *ref =
        serving != NULL ? directory_find(&token->directory, serving->kek_id) : NULL;
    return lister_start(&token->lister, token->config->ring, ref, now);
}

struct token_place tokens_find(const struct tokens *tokens, const uint8_t kek_id[KEK_ID_LEN])
{
    for (size_t i = 0; i < tokens->n; i++) {
        const struct ipc_key_ref *ref = directory_find(&tokens->at[i]->directory, kek_id);
        if (ref != NULL) {
            return (struct token_place){tokens->at[i], ref};
        }
    }
    return (struct token_place){0};
}

/* Adds what no token before this one lists. */
static size_t add_keys(const struct token *token, struct ring_key *keys, size_t n)
{
    const size_t before = n;
    for (size_t i = 0; i < token->keys_n && n < ROTATION_KEYS_MAX; i++) {
        if (before == 0 || ring_find(keys, before, &token->keys[i]) == NULL) {
            keys[n++] = token->keys[i];
        }
    }
    return n;
}

size_t tokens_ring(const struct tokens *tokens, struct ring_key *ret_keys, bool *ret_whole)
{
    size_t n = 0;
    bool whole = true;
    for (size_t i = 0; i < tokens->n; i++) {
        whole = whole && tokens->at[i]->listed;
        n = add_keys(tokens->at[i], ret_keys, n);
    }
    *ret_whole = whole;
    return n;
}

bool tokens_unread(const struct tokens *tokens)
{
    bool any = false;
    for (size_t i = 0; i < tokens->n; i++) {
        any = any || tokens->at[i]->unread.any;
    }
    return any;
}

uint64_t tokens_want_all(struct tokens *tokens)
{
    for (size_t i = 0; i < tokens->n; i++) {
        lister_want_all(&tokens->at[i]->lister);
    }
    return tokens->listings + 1;
}

uint64_t tokens_all_listed(const struct tokens *tokens)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < tokens->n; i++) {
        uint64_t done = tokens->at[i]->lister.all_done;
        least = done < least ? done : least;
    }
    return least;
}

size_t tokens_background(const struct tokens *tokens)
{
    size_t n = 0;
    for (size_t i = 0; i < tokens->n; i++) {
        n += tokens->at[i]->unwraps.background_n;
    }
    return n;
}

void tokens_mark_again(struct tokens *tokens, const uint8_t key[32])
{
    for (size_t i = 0; i < tokens->n; i++) {
        unwraps_mark_again(&tokens->at[i]->unwraps, key);
    }
}

void tokens_abandon(struct tokens *tokens, const uint8_t key[32])
{
    for (size_t i = 0; i < tokens->n; i++) {
        unwraps_abandon(&tokens->at[i]->unwraps, key);
    }
}
