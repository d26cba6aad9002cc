#include "base/config_element.h"

#include <stdio.h>
#include <string.h>

/* What a rule's offsets count from. */
static size_t base_offset(struct config_element element)
{
    return element.list == NULL ? 0 : element.list->offset + element.index * element.list->size;
}

size_t config_field_offset(struct config_element element, const struct config_rule *rule)
{
    return base_offset(element) + rule->offset;
}

uint32_t config_list_n(struct config_element element, const struct config_rule *list,
                       const struct config *config)
{
    uint32_t n = 0;
    span_move(&n, (const uint8_t *)config + base_offset(element) + list->count, sizeof(n));
    return n;
}

void *config_list_grow(struct config_element element, const struct config_rule *list,
                       struct config *config)
{
    uint32_t n = config_list_n(element, list, config);
    if (n == list->room) {
        return NULL;
    }
    uint8_t *item = (uint8_t *)config + config_field_offset(element, list) + n * list->size;
    n++;
    span_move((uint8_t *)config + base_offset(element) + list->count, &n, sizeof(n));
    return item;
}

void config_element_path(struct config_element element, const char *path, char *text, size_t size)
{
    const char *list = element.list == NULL || element.n <= 1 ? NULL : element.list->path;
    if (list != NULL && strncmp(path, list, strlen(list)) == 0) {
        (void)snprintf(text, size, "%s[%u]%s", list, element.index, path + strlen(list));
    } else {
        (void)snprintf(text, size, "%s", path);
    }
}
