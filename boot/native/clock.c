#include "clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/klog.h>

/* klogctl(2): reads what is in the log, and leaves it there. */
enum { READ_ALL = 3 };

static int tells_time(void) {
  char name[16] = "";
  FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
  int known = file && fgets(name, sizeof name, file) && strcmp(name, "tsc\n") == 0;
  if (file) fclose(file);
  return known;
}

/* `tsc: Refined TSC clocksource calibration: 2299.979 MHz`, told once, in the first seconds. */
unsigned long tsc_khz(void) {
  static const char words[] = "Refined TSC clocksource calibration: ";
  static char log[256 << 10];
  unsigned long mhz, khz;
  int length = tells_time() ? klogctl(READ_ALL, log, sizeof log - 1) : -1;
  if (length < 0) return 0;
  log[length] = 0;
  const char *line = strstr(log, words);
  return line && sscanf(line + sizeof words - 1, "%lu.%3lu", &mhz, &khz) == 2 ? mhz * 1000 + khz : 0;
}
