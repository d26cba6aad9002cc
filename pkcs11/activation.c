#include "pkcs11/activation.h"

#include "keys/ring_label.h"

struct ipc_activation activation_of_label(const char *label)
{
    static const enum ipc_activated_by by[] = {[RING_LABEL_NONE] = IPC_BY_NOTHING,
                                               [RING_LABEL_BROKEN] = IPC_BY_BROKEN_LABEL,
                                               [RING_LABEL_WHOLE] = IPC_BY_LABEL};
    struct ring_label read;
    struct ipc_activation activation = {.by = by[ring_label_read(span_of_text(label), &read)]};
    activation.not_before = read.not_before;
    activation.created = read.created;
    span_move(activation.ring, read.ring, sizeof(read.ring));
    return activation;
}
