/* Directories of the root that are deeper than the probes tell the whole path of. */
#ifndef DEEP_H
#define DEEP_H

/* The first that ends in `tail` and comes after the one returned before, NULL to begin with; NULL when there is none. */
const char *deep_next(const char *tail, const char *before);
#endif
