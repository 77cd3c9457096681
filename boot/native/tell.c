/*
 * What init reports goes to the server one after the other, by a process of its own, so that the boot never waits for it,
 * and with no process for each, for an application is about to start. What is reported before there is a network waits.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.h"

/* Milliseconds that one try may take. */
static const long patience = 5000;
/* Of what an application printed at last, a part is told. */
enum { LONGEST = 64 << 10 };

/* `ready` is tried for some minutes: without it the server thinks that the node did not come up. */
static int tell(const struct server *server, const char *query, const char *body, size_t length) {
  static const unsigned pauses[] = {0, 1, 2, 5, 10, 20, 40, 60, 60, 60};
  char more[256];
  size_t tries = strncmp(query, "stage=ready", 11) == 0 ? sizeof pauses / sizeof *pauses : 3;
  if ((size_t)snprintf(more, sizeof more, "&%s", query) >= sizeof more) return -1;
  for (size_t i = 0; i < tries; i++) {
    sleep(pauses[i]);
    int status = ask_more(server, "/report", more, body, length, now_ms() + patience, NULL, NULL);
    if (status == 200 || status == 204) return 0;
  }
  return -1;
}

/* Lines of a query and the path of a file with the body, on standard input, until it ends. */
void tell_reports(const struct server *server) {
  static char line[512], body[LONGEST];
  while (fgets(line, sizeof line, stdin)) {
    char *path = strchr(line, ' ');
    if (!path) continue;
    *path++ = 0;
    path[strcspn(path, "\n")] = 0;
    while (access(RUN "/online", F_OK) < 0) usleep(20000);
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(body, 1, sizeof body, file) : 0;
    if (file) fclose(file);
    tell(server, line, body, length);
    unlink(path);
  }
}
