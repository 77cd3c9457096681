/* Look-ups that are repeated without end for what the stack does not have either, such as pages that are nowhere. */
#ifndef STORMS_H
#define STORMS_H
#include "lookups.h"

/*
 * Counts one that was looked at for nothing. `in_stack` tells of a path whether the bundle lacks it, and of one that ends
 * in a slash whether the bundle lacks anything in it. Those that keep coming are left out in the kernel from then on.
 */
void storms_count(const struct lookup *lookup, int (*in_stack)(const char *path));
#endif
