/* A network interface of this node, by rtnetlink(7); an interface is named by its index. */
#ifndef NETWORK_H
#define NETWORK_H
#include <netinet/in.h>

struct address {
  struct in_addr ip;
  /* Bits of the network's prefix. */
  int prefix;
};

/* Each returns 0, or -1 with errno. */
int interface_up(int interface);
int interface_mtu(int interface, int bytes);

/* One that it has already is not set again. Without a broadcast address, `broadcast` is INADDR_ANY. */
int address_add(int interface, struct address address, struct in_addr broadcast);
int address_remove(int interface, struct address address);

/* The way to everywhere else, instead of the one there was. */
int default_route(int interface, struct in_addr gateway);
#endif
