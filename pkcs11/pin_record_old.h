/* pin_record_old: form 1 of the PIN record, which is read and not written any more. Pure. */
#ifndef PKCS11_PIN_RECORD_OLD_H
#define PKCS11_PIN_RECORD_OLD_H

#include "pkcs11/pin_record_scan.h"

/*
 * The lines after the salt, each
 *   "entry=<serial or *> <state> <hash or -> <once good> <restores> <last restore>"
 */
bool pin_record_parse_old(struct cursor *c, struct scan_lines *lines);

#endif
