/* What the running kernel found out about the machine's clock, which the next one need not find out again. */
#ifndef CLOCK_H
#define CLOCK_H

/* Cycles of the time-stamp counter in a millisecond; 0 where it is not what time is told by, or the kernel's log is gone. */
unsigned long tsc_khz(void);
#endif
