/*
 * What init has done in C, where a shell would start a process for each step, or could not do it at all.
 *
 *   agent begin                      prints how many paths were unpacked, and makes what every process expects
 *   agent drivers                    loads the bundle's drivers; prints those that it leaves to busybox, for the kernel
 *                                    cannot unpack them
 *   agent network [MAC]              brings the interface of this address up and prints its name; where the boot before
 *                                    handed on a lease, sets its address, and prints it and the seconds that are left
 *   lease EVENT                      what udhcpc calls: the same program by another name
 *   agent tell SERVER MAC BOOT       sends the reports named on standard input
 *   agent probe NAME PORT [STATUS]   ends well when the application answers as it should; of HTTP with STATUS
 *   agent obey SERVER MAC BOOT       asks the server now and then what this node is to do, and does it: boots anew, tells
 *                                    what stands in its root, or where its memory is; for as long as the node runs
 *   agent jump                       enters the kernel that was made ready; init calls it when all has ended
 *
 * GET /orders answers lines of a word and its value: `wait` seconds until the next question, and where there is
 * something to do `order`, its id, and `do`, which is `reboot`, `reboot-full`, `drift` or `weigh`.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lease.h"
#include "say.h"

/* Milliseconds that a question may take. */
static const long patience = 10000;
/* Seconds between two questions until the server says otherwise. */
static const long first_wait = 2;
/* Seconds that init has to end the application when it was told to; then the node boots anew all the same. */
static const unsigned ending = 120;

int text_take(void *state, const char *bytes, size_t length) {
  struct text *text = state;
  if (text->held + length >= sizeof text->bytes) return -1;
  memcpy(text->bytes + text->held, bytes, length);
  text->held += length;
  text->bytes[text->held] = 0;
  return 0;
}

const char *text_value(const struct text *text, const char *name, char *out, size_t size) {
  size_t length = strlen(name);
  const char *end = text->bytes + text->held, *line = text->bytes;
  *out = 0;
  while (line < end) {
    size_t rest = strcspn(line, "\n");
    if (rest > length && strncmp(line, name, length) == 0 && line[length] == '=') {
      if (rest - length > size) return NULL;
      memcpy(out, line + length + 1, rest - length - 1);
      out[rest - length - 1] = 0;
      return out;
    }
    line += rest + 1;
  }
  return NULL;
}

int ask_more(const struct server *server, const char *path, const char *more, const char *body, size_t body_length,
             long deadline, take_body taken, void *state) {
  struct server with = *server;
  size_t used = strlen(with.identity);
  snprintf(with.identity + used, sizeof with.identity - used, "%s", more);
  return server_ask(&with, path, body, body_length, -1, deadline, taken, state);
}

/* init ends the application in good order, and then the node; where init hangs, that is done here. */
static void leave(void) {
  kill(1, SIGTERM);
  sleep(ending);
  sync();
  reboot(RB_AUTOBOOT);
}

static void boot_anew(const struct server *server, const char *url, const char *mac, int through_firmware) {
  const char *why = through_firmware ? "it was asked to" : kexec_prepare(server, url, mac);
  if (why) say("boots anew through the firmware: %s", why);
  leave();
}

/* One question. Returns the seconds until the next one. */
static long ask(const struct server *server, const char *url, const char *mac, long wait) {
  static char done[40];
  struct text answer = {.held = 0};
  char what[24], order[40], seconds[12];
  if (server_ask(server, "/orders", NULL, 0, -1, now_ms() + patience, text_take, &answer) != 200) return wait;
  text_value(&answer, "do", what, sizeof what);
  text_value(&answer, "order", order, sizeof order);
  text_value(&answer, "wait", seconds, sizeof seconds);
  if (strcmp(what, "reboot") == 0 || strcmp(what, "reboot-full") == 0)
    boot_anew(server, url, mac, what[6] != 0);
  /* It stands there until its answer has come. */
  int asks = strcmp(what, "drift") == 0 ? 'd' : strcmp(what, "weigh") == 0 ? 'w' : 0;
  if (asks && strcmp(order, done) != 0) {
    snprintf(done, sizeof done, "%s", order);
    if (asks == 'd') drift_tell(server, order);
    else weigh_tell(server, order);
  }
  long told = atol(seconds);
  return told > 0 && told <= 3600 ? told : wait;
}

/* Nodes that were switched on together shall not ask together: between three and five quarters of the time. */
static void pause_for(long seconds) {
  unsigned short random = 0;
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0) random = (unsigned short)now_ms();
  usleep((useconds_t)(seconds * 750000 + seconds * 500000 / 65536 * random));
}

/* An agent that is killed for want of memory could not be told to boot anew. */
static void never_kill(void) {
  int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  if (write(file, "-1000", 5) < 0) perror("bootloom: agent: oom_score_adj");
  close(file);
}

static void obey(const struct server *server, const char *url, const char *mac) {
  never_kill();
  for (;;) {
    pid_t worker = fork();
    if (worker == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (long wait = first_wait;; wait = ask(server, url, mac, wait)) pause_for(wait);
    }
    if (worker > 0) waitpid(worker, NULL, 0);
    sleep(1);
  }
}

int main(int count, char **words) {
  static struct server server;
  const char *what = count > 1 ? words[1] : "";
  signal(SIGPIPE, SIG_IGN);
  if (count > 0 && strcmp(basename(words[0]), "lease") == 0) return lease_event(what) < 0;
  if (strcmp(what, "begin") == 0) {
    begin();
    return 0;
  }
  if (strcmp(what, "drivers") == 0) {
    load_drivers();
    return 0;
  }
  if (strcmp(what, "network") == 0) return connect_network(count > 2 ? words[2] : "") < 0;
  if (strcmp(what, "jump") == 0) {
    kexec_jump();
    return 1;
  }
  if (strcmp(what, "probe") == 0 && (count == 4 || count == 5)) return !probe(words[2], atoi(words[3]), words[4]);
  int tells = strcmp(what, "tell") == 0;
  if (count != 5 || (!tells && strcmp(what, "obey") != 0) || server_parse(&server, words[2], words[3], words[4]) < 0) {
    fprintf(stderr, "usage: agent begin|drivers|jump | agent network [MAC] | agent probe NAME PORT [STATUS] | agent tell|obey http://ADDRESS:PORT MAC BOOT\n");
    return 2;
  }
  if (tells) tell_reports(&server);
  else obey(&server, words[2], words[3]);
  return 0;
}
