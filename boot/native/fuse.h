/* The file system of what the bundle lacks, below the overlay that the application runs in. */
#ifndef FUSE_H
#define FUSE_H

/* The kernel gives requests only into room for the largest one (fuse_dev_do_read). */
#define REQUEST 8192
#define SLOTS 64

/*
 * A request from when the kernel handed it over until it was answered. They stand in memory that outlives the process
 * that answers: whoever comes next answers what was left, or the caller would hang for ever.
 */
struct slot {
  volatile int state; /* FREE, TAKEN or WAITING */
  long deadline, began;
  char request[REQUEST];
};
enum { FREE, TAKEN, WAITING };

/* Answers the requests of a connection until it ends. `proc` is a descriptor of /proc. */
int fuse_serve(int connection, struct slot *slots, int proc);
#endif
