/* What the kernel tells of look-ups on the root file system for names that are not there. */
#ifndef PROBES_H
#define PROBES_H
/* Directories above a name that are fetched, `/` among them: an argument of a probe has 63 letters at most. */
#define DEPTH 8

/*
 * Sets the probes, for all but the calling process, and opens the pipe that tells of them, without blocking; -1 with
 * errno when there are none. Each line is an event `miss`, or a `walk` just before it by the same process, whose n0 is
 * then all of the path that was not walked yet.
 */
int probes_open(void);

/* Leaves misses out in the kernel, by words of a filter that begin with ` && `; -1 when it does not take them. */
int probes_leave_out(const char *filter);

/* Whether the root is an overlay: then a name is told once, and so is each name on the way to it. */
int probes_in_overlay(void);
#endif
