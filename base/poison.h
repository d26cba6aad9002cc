/* poison: tells AddressSanitizer what of an arena is handed out; nothing in other builds. */
#ifndef BASE_POISON_H
#define BASE_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ACTIVE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ACTIVE 1
#endif
#endif

#ifdef POISON_ACTIVE
#include <sanitizer/asan_interface.h>
#define POISON(ptr_, len_)   __asan_poison_memory_region((ptr_), (len_))
#define UNPOISON(ptr_, len_) __asan_unpoison_memory_region((ptr_), (len_))
#else
#define POISON(ptr_, len_)   ((void)(ptr_), (void)(len_))
#define UNPOISON(ptr_, len_) ((void)(ptr_), (void)(len_))
#endif

#endif
