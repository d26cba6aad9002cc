/*
 * heard_log: what a room logs, for its unit tests: link it and wrap log_write. Nothing is written.
 */
#ifndef TESTS_KIT_HEARD_LOG_H
#define TESTS_KIT_HEARD_LOG_H

/* Forgets what was logged. */
void heard_log_clear(void);
/* Lines of this event since then: with a text field that is `text` (NULL: any). */
unsigned heard_log_count(const char *event, const char *text);

#endif
