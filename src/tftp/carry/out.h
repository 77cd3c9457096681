/* Datagrams gathered, and sent with as few calls as can be. */
#ifndef OUT_H
#define OUT_H
#include "transfer.h"

/* Blocks `first` and on, `count` of them. */
void out_blocks(struct transfer *transfer, int64_t first, int64_t count);
/* `bytes` stay as they are until out_flush. `transfer` may be NULL. */
void out_bytes(int socket, const struct sockaddr_in *peer, struct transfer *transfer, const void *bytes, size_t size);
/* An ERROR packet, now. */
void out_error(int socket, const struct sockaddr_in *peer, int code, const char *message, size_t size);
void out_flush(void);

#endif
