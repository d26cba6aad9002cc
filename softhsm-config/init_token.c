/*
 * init_token MODULE LABEL PIN_FILE: makes a token in the first slot that has none, with a random
 * user PIN written to PIN_FILE (0600, must not exist). The SO PIN is random and forgotten: nobody
 * needs it on a token for tests. A program of its own because softhsm2-util takes PINs on the
 * command line, where every user of the host can read them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define PIN_LEN   32
#define SLOTS_MAX 64

static bool random_pin(CK_UTF8CHAR ret_pin[PIN_LEN])
{
    static const char alphabet[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    if (getrandom(ret_pin, PIN_LEN, 0) != PIN_LEN) {
        return false;
    }
    for (size_t i = 0; i < PIN_LEN; i++) {
        ret_pin[i] = (CK_UTF8CHAR)alphabet[ret_pin[i] & 63];
    }
    return true;
}

static bool write_pin(const char *path, const CK_UTF8CHAR pin[PIN_LEN])
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return false;
    }
    bool written = write(fd, pin, PIN_LEN) == PIN_LEN && write(fd, "\n", 1) == 1;
    return close(fd) == 0 && written;
}

static bool free_slot(CK_FUNCTION_LIST *module, CK_SLOT_ID *ret_slot)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = SLOTS_MAX;
    if (module->C_GetSlotList(CK_TRUE, slots, &n) != CKR_OK) {
        return false;
    }
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        if (module->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            (info.flags & CKF_TOKEN_INITIALIZED) == 0) {
            *ret_slot = slots[i];
            return true;
        }
    }
    return false;
}

static CK_RV set_up(CK_FUNCTION_LIST *module, CK_SLOT_ID slot, const char *label,
                    CK_UTF8CHAR pin[PIN_LEN])
{
    CK_UTF8CHAR so_pin[PIN_LEN];
    CK_UTF8CHAR padded[32];
    memset(padded, ' ', sizeof(padded));
    memcpy(padded, label, strlen(label));
    if (!random_pin(so_pin)) {
        return CKR_FUNCTION_FAILED;
    }
    CK_SESSION_HANDLE session = 0;
    CK_RV rv = module->C_InitToken(slot, so_pin, PIN_LEN, padded);
    if (rv == CKR_OK) {
        rv = module->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    }
    if (rv == CKR_OK) {
        rv = module->C_Login(session, CKU_SO, so_pin, PIN_LEN);
    }
    if (rv == CKR_OK) {
        rv = module->C_InitPIN(session, pin, PIN_LEN);
    }
    explicit_bzero(so_pin, sizeof(so_pin));
    return rv;
}

static CK_FUNCTION_LIST *load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "init_token: %s\n", dlerror());
        return NULL;
    }
    CK_C_GetFunctionList get = (CK_C_GetFunctionList)dlsym(library, "C_GetFunctionList");
    CK_FUNCTION_LIST *module = NULL;
    if (get == NULL || get(&module) != CKR_OK || module->C_Initialize(NULL) != CKR_OK) {
        fprintf(stderr, "init_token: %s: cannot be initialised\n", path);
        return NULL;
    }
    return module;
}

int main(int argc, char **argv)
{
    if (argc != 4 || strlen(argv[2]) == 0 || strlen(argv[2]) > 32) {
        fprintf(stderr, "usage: init_token MODULE LABEL PIN_FILE\n");
        return 2;
    }
    CK_FUNCTION_LIST *module = load(argv[1]);
    CK_SLOT_ID slot = 0;
    CK_UTF8CHAR pin[PIN_LEN];
    if (module == NULL) {
        return 1;
    }
    if (!free_slot(module, &slot)) {
        fprintf(stderr, "init_token: no slot without a token\n");
        return 1;
    }
    if (!random_pin(pin) || !write_pin(argv[3], pin)) {
        fprintf(stderr, "init_token: %s: %s\n", argv[3], strerror(errno));
        return 1;
    }
    CK_RV rv = set_up(module, slot, argv[2], pin);
    explicit_bzero(pin, sizeof(pin));
    (void)module->C_Finalize(NULL);
    if (rv != CKR_OK) {
        fprintf(stderr, "init_token: CK_RV 0x%lx\n", rv);
        (void)unlink(argv[3]);
        return 1;
    }
    return 0;
}
