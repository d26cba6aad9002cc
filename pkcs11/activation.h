/* activation: which ring a key belongs to, and from when on: what the token says of it. */
#ifndef PKCS11_ACTIVATION_H
#define PKCS11_ACTIVATION_H

#include "token/ipc.h"

/* Of a label as struct ipc_key has it. */
struct ipc_activation activation_of_label(const char *label);

#endif
