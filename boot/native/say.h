/* What a node's console is told. */
#ifndef SAY_H
#define SAY_H

/* One line to standard error, after `bootloom: `, in one write, so that it stays whole beside what others print. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
