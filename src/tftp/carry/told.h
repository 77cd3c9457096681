/* What the server is told. */
#ifndef TOLD_H
#define TOLD_H
#include "transfer.h"

/* Where it is told. */
void tell_to(int descriptor);
void tell_listening(uint16_t port);
/* What came to the port for requests from nobody with a transfer there. Dropped when the server does not keep up. */
void tell_received(const struct sockaddr_in *from, const unsigned char *bytes, size_t size);
void tell_state(const struct transfer *transfer);
void tell_end(const struct transfer *transfer, enum result result, uint64_t bytes, const char *reason);
/* The kernel cuts no datagrams of so many bytes. */
void tell_uncut(size_t size);
/* Writes what can be written; true: more is left. */
bool tell_flush(void);

#endif
