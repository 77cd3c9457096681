/* The lease of this node's address, which is a matter of udhcpc's. */
#ifndef LEASE_H
#define LEASE_H

/* What udhcpc tells, by `deconfig`, `bound`, `renew` or a word that means nothing here; 0 when it is done. */
int lease_event(const char *event);

/*
 * Sets the address of the lease that the boot before handed on to an interface. The seconds that are left of it; 0 when
 * there is none, or too little is left. Asked for again, it stays.
 */
long lease_go_on(const char *interface);
#endif
