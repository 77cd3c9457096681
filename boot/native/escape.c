#include "escape.h"

#include <stdlib.h>
#include <string.h>

void unescape(char *text) {
  char *out = text;
  for (; *text; text++) {
    char code[3] = {0};
    if (*text == '%' && text[1] && text[2]) {
      memcpy(code, text + 1, 2);
      *out++ = (char)strtol(code, NULL, 16);
      text += 2;
    } else *out++ = *text;
  }
  *out = 0;
}
