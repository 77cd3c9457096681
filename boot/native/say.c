#include "say.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void say(const char *format, ...) {
  static const char name[] = "bootloom: ";
  /* Room for a path and what is said of it; what is longer is cut. */
  char line[sizeof name + PATH_MAX + 256];
  memcpy(line, name, sizeof name);
  va_list values;
  va_start(values, format);
  vsnprintf(line + sizeof name - 1, sizeof line - sizeof name, format, values);
  va_end(values);
  size_t length = strlen(line);
  line[length++] = '\n';
  if (write(STDERR_FILENO, line, length) < 0) return;
}
