#include "reports.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

/* Below the bodyLimit of the server's route. */
static char waiting[32768], sending[sizeof waiting];
static size_t held;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct server *to;

static void escaped(char *out, size_t size, const char *text) {
  size_t at = 0;
  for (; *text && at + 4 < size; text++) {
    unsigned char letter = (unsigned char)*text;
    if (letter <= 0x20 || letter == '%' || letter == 0x7f) at += (size_t)snprintf(out + at, 4, "%%%02X", letter);
    else out[at++] = (char)letter;
  }
  out[at] = 0;
}

static int add(int pid, const char *process, unsigned count, const char *outcome, long took, const char *path, const char *more) {
  struct timespec up;
  clock_gettime(CLOCK_BOOTTIME, &up);
  char name[64], place[12400], line[sizeof place + 224];
  escaped(name, sizeof name, process);
  escaped(place, sizeof place, path);
  int size = snprintf(line, sizeof line, "%ld.%03ld\t%d\t%s\t%u\t%s\t%ld\t%s%s\n", (long)up.tv_sec, up.tv_nsec / 1000000,
                      pid, name, count, outcome, took, place, more);
  pthread_mutex_lock(&lock);
  int fits = held + (size_t)size <= sizeof waiting;
  if (fits) {
    memcpy(waiting + held, line, (size_t)size);
    held += (size_t)size;
  }
  pthread_mutex_unlock(&lock);
  return fits ? 0 : -1;
}

int reports_add(int pid, const char *process, unsigned count, const char *outcome, long took, const char *path) {
  return add(pid, process, count, outcome, took, path, "");
}

int reports_page(int pid, const char *process, long page, const char *path) {
  char more[32];
  snprintf(more, sizeof more, "\t%ld", page);
  return add(pid, process, 1, page < 0 ? "written" : "missed", 0, path, page < 0 ? "" : more);
}

/* A server that is away is asked again, less and less often; new lines gather meanwhile. */
static void *send_them(void *unused) {
  (void)unused;
  unsigned pause = 1, lost = 0;
  size_t size = 0;
  for (;;) {
    sleep(pause);
    if (size == 0) {
      pthread_mutex_lock(&lock);
      memcpy(sending, waiting, held);
      size = held;
      held = 0;
      pthread_mutex_unlock(&lock);
    }
    if (size == 0) continue;
    struct server with = *to;
    size_t used = strlen(with.identity);
    if (lost > 0) snprintf(with.identity + used, sizeof with.identity - used, "&lost=%u", lost);
    int status = server_ask(&with, "/misses", sending, size, -1, now_ms() + 5000, NULL, NULL);
    int again = status < 0 || status >= 500 || status == 408 || status == 425 || status == 429;
    pause = again ? (pause < 32 ? pause * 2 : 60) : 1;
    if (again) {
      say("misses could not be told (%d), again in %u s", status, pause);
      continue;
    }
    if (status == 200) {
      lost = 0;
    } else {
      /* What the server refuses once it refuses again. */
      for (size_t i = 0; i < size; i++) lost += sending[i] == '\n';
      say("misses were refused (%d); %u are lost", status, lost);
    }
    size = 0;
  }
  return NULL;
}

void reports_start(const struct server *server) {
  to = server;
  pthread_t thread;
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  pthread_create(&thread, &small, send_them, NULL);
}
