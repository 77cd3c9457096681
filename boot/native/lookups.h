/* Names that were looked up and are not there, out of what the probes tell. */
#ifndef LOOKUPS_H
#define LOOKUPS_H
#define PATH 4096

struct lookup {
  int pid;
  char process[16];
  /* Where the name was not found: without symbolic links, "" for the root; only its end where it is a tail. */
  char directory[PATH];
  int is_tail;
  /* The name, and what was wanted behind it. */
  char wanted[PATH];
};

/* Reads one line, in place; 0 when it tells of a look-up, -1 when not, or not yet. */
int lookup_read(char *line, struct lookup *lookup);

/* The whole path of what was wanted in a directory. */
void lookup_path(const char *directory, const struct lookup *lookup, char path[PATH]);
#endif
