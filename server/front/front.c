#include "server/front/front.h"

void front_end(struct front *front)
{
    front->ends = true;
    loop_stop(front->loop);
}

void front_apply_uids(struct front *front)
{
    const struct config_listen *listen = &front->config.listen;
    net_set_allowed_uids(front->net, listen->allowed_uids, listen->allowed_uids_n);
}
