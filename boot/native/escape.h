/* Paths and targets in lists that the server writes a line each: %XX for what would end a word. */
#ifndef ESCAPE_H
#define ESCAPE_H

/* In place. */
void unescape(char *text);
#endif
