/* Lines for the server's POST /misses, sent in batches by a thread of their own. */
#ifndef REPORTS_H
#define REPORTS_H
#include "server.h"

/* Starts the thread; `server` stays the caller's. */
void reports_start(const struct server *server);

/*
 * One line: seconds since boot, process id, its name, how often, what became of it (`missed`, or of one that reached
 * back: `answered`, `fetched`, `away`, `corrupt`, `refused`), milliseconds that it took, and the path; tabs between, and
 * %XX for what may not stand in a line. -1 when more wait than fit.
 */
int reports_add(int pid, const char *process, unsigned count, const char *outcome, long took, const char *path);

/*
 * The same of a file of which only some pages are here: `missed` with the number of the page as one more word, or, with
 * -1, `written` of one that was to be.
 */
int reports_page(int pid, const char *process, long page, const char *path);
#endif
