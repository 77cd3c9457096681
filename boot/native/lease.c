/*
 * The address of a node, by DHCP: what udhcpc calls for each event of its lease, with the lease in the environment
 * (busybox, networking/udhcp/dhcpc.c), and how the node goes on with the lease that the boot before handed on. All values
 * are a server's; what is not what it should be is left out.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "lease.h"
#include "network.h"

/* Stands here from when a handed lease was set until udhcpc begins to ask for it. */
#define HANDED RUN "/handed"

/* As udhcpc names them, and as they are noted, with `until`: seconds since 1970. */
static const char *const names[] = {"interface", "ip", "mask", "broadcast", "router", "dns", "domain", "hostname", "mtu"};

/* Seconds that must be left of a handed lease. */
static const long least_left = 60;

static const char *value_of(const char *name) {
  const char *value = getenv(name);
  return value ? value : "";
}

/* Whether it consists of names and spaces, as what is written to files of lines must. */
static int is_plain(const char *text) {
  return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_. ")] == 0;
}

static struct in_addr address_in(const char *name) {
  struct in_addr address = {INADDR_ANY};
  if (inet_pton(AF_INET, value_of(name), &address) != 1) address.s_addr = INADDR_ANY;
  return address;
}

static struct address leased(void) { return (struct address){address_in("ip"), atoi(value_of("mask"))}; }

static int is_address(struct address address) {
  return address.ip.s_addr != INADDR_ANY && address.prefix > 0 && address.prefix <= 32;
}

/* Writes each address of a list behind the words; how many there were. */
static int put_addresses(FILE *file, const char *words, const char *list) {
  char copy[1024], *rest = copy;
  int count = 0;
  snprintf(copy, sizeof copy, "%s", list);
  for (char *word; (word = strsep(&rest, " "));) {
    struct in_addr address;
    if (inet_pton(AF_INET, word, &address) != 1) continue;
    count++;
    if (file) fprintf(file, "%s%s\n", words, word);
  }
  return count;
}

static void set_names(void) {
  const char *domain = value_of("domain"), *hostname = value_of("hostname");
  int named = is_plain(domain);
  if (named || put_addresses(NULL, "", value_of("dns")) > 0) {
    /* It may be a link to where something else would write. */
    unlink("/etc/resolv.conf");
    FILE *file = fopen("/etc/resolv.conf", "we");
    if (file && named) fprintf(file, "search %s\n", domain);
    if (file) put_addresses(file, "nameserver ", value_of("dns"));
    if (file) fclose(file);
  }
  /* The overlay's name comes before the server's. */
  if (!*value_of("hostname_set") && is_plain(hostname)) sethostname(hostname, strlen(hostname));
}

/* The address that is noted as this node's; none is as good as zeros. */
static struct address noted(void) {
  struct address address = {{INADDR_ANY}, 0};
  char line[1100];
  FILE *file = fopen(LEASE, "re");
  while (file && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    if (strncmp(line, "ip=", 3) == 0) inet_pton(AF_INET, line + 3, &address.ip);
    if (strncmp(line, "mask=", 5) == 0) address.prefix = atoi(line + 5);
  }
  if (file) fclose(file);
  return address;
}

static int set_lease(void) {
  int interface = (int)if_nametoindex(value_of("interface")), mtu = atoi(value_of("mtu"));
  struct address address = leased(), before = noted();
  char router[INET_ADDRSTRLEN];
  struct in_addr gateway;
  if (interface == 0 || !is_address(address)) return -1;
  if (mtu >= 68 && mtu <= 65535) interface_mtu(interface, mtu);
  /* On a renewal the address stays: taking it away for a moment would end connections. */
  if (is_address(before) && (before.ip.s_addr != address.ip.s_addr || before.prefix != address.prefix))
    address_remove(interface, before);
  if (address_add(interface, address, address_in("broadcast")) < 0) return -1;
  snprintf(router, sizeof router, "%.*s", (int)strcspn(value_of("router"), " "), value_of("router"));
  if (inet_pton(AF_INET, router, &gateway) == 1 && default_route(interface, gateway) < 0) perror("bootloom: gateway");
  set_names();
  return 0;
}

/* For the next boot, when the node jumps into it (kexec.c). */
static void note(long until) {
  FILE *file = fopen(LEASE ".new", "we");
  if (!file) return;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strchr(value_of(names[i]), '\n')) fprintf(file, "%s=%s\n", names[i], value_of(names[i]));
  fprintf(file, "until=%ld\n", until);
  if (fclose(file) == 0) rename(LEASE ".new", LEASE);
}

int lease_event(const char *event) {
  if (strcmp(event, "bound") == 0 || strcmp(event, "renew") == 0) {
    if (set_lease() < 0) return -1;
    note((long)time(NULL) + atol(value_of("lease")));
    return 0;
  }
  /* A handed lease stays while it is being asked for. */
  if (strcmp(event, "deconfig") != 0 || unlink(HANDED) == 0) return 0;
  struct address before = noted();
  int interface = (int)if_nametoindex(value_of("interface"));
  if (interface > 0 && is_address(before)) address_remove(interface, before);
  unlink(LEASE);
  return 0;
}

/* Into the environment, where udhcpc has it. Seconds since 1970 when it is over; 0 without one. */
static long read_handed(void) {
  char line[1100];
  long until = 0;
  FILE *file = fopen(KEPT_LEASE, "re");
  while (file && fgets(line, sizeof line, file)) {
    char *value = line;
    line[strcspn(line, "\n")] = 0;
    const char *name = strsep(&value, "=");
    if (!value) continue;
    if (strcmp(name, "until") == 0) until = atol(value);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
      if (strcmp(name, names[i]) == 0) setenv(name, value, 1);
  }
  if (file) fclose(file);
  unlink(KEPT_LEASE);
  return until;
}

long lease_go_on(const char *interface) {
  long until = read_handed(), left = until - (long)time(NULL);
  setenv("interface", interface, 1);
  if (left < least_left || set_lease() < 0) return 0;
  close(open(HANDED, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  note(until);
  return left;
}
