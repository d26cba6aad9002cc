/*
 * pulse: whether a role still answers. It is asked once a second, and what counts is how often in a
 * row it had a whole second of ours and did not answer: time in which we did not run either proves
 * nothing. Pure.
 */
#ifndef SERVER_SUPERVISOR_PULSE_H
#define SERVER_SUPERVISOR_PULSE_H

#include <stdbool.h>
#include <stdint.h>

#define PULSE_LOOK_MS     1000
#define PULSE_LOOKS       8  /* in vain: it hangs */
#define PULSE_LOOKS_FIRST 60 /* before its first answer: it is still starting */

/* Zeroed: to be asked at once. */
struct pulse {
    int64_t next_ms; /* of the next look */
    unsigned in_vain;
    bool asked;    /* and not yet answered */
    bool answered; /* ever */
};

enum pulse_verdict { PULSE_WAIT, PULSE_ASK, PULSE_HUNG };

/*
 * Call it at next_ms. ASK: send the question; HUNG: end the role (said again only after as many
 * looks).
 */
enum pulse_verdict pulse_look(struct pulse *pulse, int64_t now_ms);
void pulse_answered(struct pulse *pulse);
/* It said something else, behind which the answer may be waiting for us. */
void pulse_heard(struct pulse *pulse);

#endif
