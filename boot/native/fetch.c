#include "fetch.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sha256.h"

static const struct server *from;
static const char *kept;

struct coming {
  int file;
  struct sha256 sha;
  uint64_t left;
};

void fetch_from(const struct server *server, const char *directory) {
  from = server;
  kept = directory;
}

static void path_of(char *path, size_t size, const char *hex) { snprintf(path, size, "%s/%s", kept, hex); }

int fetch_has(const char *hex) {
  char path[160];
  path_of(path, sizeof path, hex);
  return access(path, F_OK) == 0;
}

long fetch_read(const char *hex, void *bytes, size_t length, uint64_t offset) {
  char path[160];
  path_of(path, sizeof path, hex);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  long got = pread(file, bytes, length, (off_t)offset);
  close(file);
  return got;
}

static int take(void *state, const char *bytes, size_t length) {
  struct coming *coming = state;
  if (length > coming->left || write(coming->file, bytes, length) != (ssize_t)length) return -1;
  coming->left -= length;
  sha256_add(&coming->sha, bytes, length);
  return 0;
}

const char *fetch_bring(const char *hex, uint64_t size, long deadline) {
  static atomic_uint number;
  char place[96], path[160], part[192], found[65];
  snprintf(place, sizeof place, "/blob/sha256:%s", hex);
  path_of(path, sizeof path, hex);
  snprintf(part, sizeof part, "%s/.%u", kept, atomic_fetch_add(&number, 1));
  const char *outcome = "away";
  while (now_ms() < deadline) {
    struct coming coming = {.file = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), .left = size};
    if (coming.file < 0) break;
    sha256_begin(&coming.sha);
    int status = server_ask(from, place, NULL, 0, (long)size, deadline, take, &coming);
    close(coming.file);
    sha256_end(&coming.sha, found);
    if (status == 200 && coming.left == 0) {
      if (strcmp(found, hex) != 0) outcome = "corrupt";
      else if (rename(part, path) == 0) return "fetched";
      break;
    }
    if (status > 0 && status != 429 && status != 503) {
      outcome = "refused";
      break;
    }
    /* A server that is being restarted is back in a moment. */
    usleep(300000);
  }
  unlink(part);
  return outcome;
}
