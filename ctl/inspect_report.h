/* inspect_report: what an envelope or an etcd value says about itself, as output prints it. */
#ifndef CTL_INSPECT_REPORT_H
#define CTL_INSPECT_REPORT_H

#include <jansson.h>

#include "base/err.h"
#include "base/span.h"

/*
 * Adds all about one value to `report`. *ret_ours: it is sealed by p11-kms. E_INVALID: broken, or
 * nothing that is known; E_UNSUPPORTED: an envelope of a version to come.
 */
MUST_USE err_t inspect_report(struct span bytes, json_t *report, bool *ret_ours);

/*
 * The same of one object among many: a row with the same columns for each, its fault in "problem".
 */
bool inspect_row(struct span key, struct span value, json_t *row);

#endif
