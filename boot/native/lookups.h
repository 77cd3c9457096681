/* Names that were looked up and are not there, out of what the probes tell. */
#ifndef LOOKUPS_H
#define LOOKUPS_H
#define PATH 4096

struct lookup {
  int pid;
  char process[16], path[PATH];
};

/* Reads one line, in place; 0 when it tells of a look-up, -1 when not, or not yet. */
int lookup_read(char *line, struct lookup *lookup);
#endif
