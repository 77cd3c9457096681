/* The network interface of a node, in one process: found, brought up, and with an address where one was handed on. */
#define _GNU_SOURCE
#include <dirent.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"
#include "lease.h"
#include "network.h"

/* Milliseconds in which an interface and then its link must be there, and between two looks. */
static const long patience = 5000, pace = 5;

/* The first line of what the kernel tells of an interface, without its end. */
static int read_about(const char *interface, const char *what, char *out, int size) {
  char path[128];
  snprintf(path, sizeof path, "/sys/class/net/%s/%s", interface, what);
  FILE *file = fopen(path, "re");
  int done = file && fgets(out, size, file) ? 0 : -1;
  if (file) fclose(file);
  if (done == 0) out[strcspn(out, "\n")] = 0;
  return done;
}

static int is_interface(const struct dirent *entry) { return entry->d_name[0] != '.' && strcmp(entry->d_name, "lo") != 0; }

/* That of this address, or where none is named the first; its name in `out`. */
static int find_interface(const char *mac, char out[IFNAMSIZ]) {
  struct dirent **entries;
  char address[64];
  int count = scandir("/sys/class/net", &entries, is_interface, alphasort), found = 0;
  for (int i = 0; i < count; i++) {
    const char *name = entries[i]->d_name;
    if (!found && (!*mac || (read_about(name, "address", address, sizeof address) == 0 && strcmp(address, mac) == 0)))
      found = strlcpy(out, name, IFNAMSIZ) < IFNAMSIZ;
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  return found;
}

/* A driver may take a moment to find its card, and a link a few seconds to come up. */
int connect_network(const char *mac) {
  char interface[IFNAMSIZ], carrier[8];
  long until = now_ms() + patience;
  while (!find_interface(mac, interface)) {
    if (now_ms() > until) return -1;
    usleep((useconds_t)pace * 1000);
  }
  if (interface_up((int)if_nametoindex(interface)) < 0) perror(interface);
  /* Without a link, DHCP may be answered all the same, later. */
  for (until = now_ms() + patience; now_ms() < until; usleep((useconds_t)pace * 1000))
    if (read_about(interface, "carrier", carrier, sizeof carrier) == 0 && carrier[0] == '1') break;
  long left = lease_go_on(interface);
  if (left > 0) printf("%s %s %ld\n", interface, getenv("ip"), left);
  else printf("%s\n", interface);
  return 0;
}
