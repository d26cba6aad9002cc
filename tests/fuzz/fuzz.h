/*
 * fuzz: the one entry of every fuzz target. Returns 0 always; a finding is a crash or a sanitizer
 * report.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
