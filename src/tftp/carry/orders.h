/* What the server orders: frames of a length (4 bytes, the machine's order), a kind, and what belongs to it. */
#ifndef ORDERS_H
#define ORDERS_H
#include <stdint.h>

/* Reads what there is of it, and does it. `sockets`: our own, the one for requests first. */
void orders_read(int descriptor, const int *sockets, int count, int64_t now);

#endif
