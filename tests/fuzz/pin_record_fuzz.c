/* The PIN guard's record: what is read writes back to something that reads the same. */
#include <stdint.h>
#include <stdlib.h>

#include "pkcs11/pin_record.h"

#define SERIAL "abcd" /* of the corpus */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t first[PIN_RECORD_BYTES];
    static uint8_t second[PIN_RECORD_BYTES];
    size_t first_len = 0;
    size_t second_len = 0;
    struct pin_record record;
    pin_record_parse(span_of(data, size), SERIAL, &record);
    if (failed(pin_record_write(&record, SERIAL, span_mut_of(first, sizeof(first)), &first_len))) {
        abort();
    }
    pin_record_parse(span_of(first, first_len), SERIAL, &record);
    if (failed(
            pin_record_write(&record, SERIAL, span_mut_of(second, sizeof(second)), &second_len)) ||
        !span_equal(span_of(first, first_len), span_of(second, second_len))) {
        abort();
    }
    return 0;
}
