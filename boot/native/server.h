/* One request at a time to the boot server, by its address; every wait ends at a deadline. */
#ifndef SERVER_H
#define SERVER_H
#include <netinet/in.h>
#include <stddef.h>

struct server {
  struct sockaddr_in address;
  char host[64];
  /* Whose node and which boot this is: "mac=…&boot=…". */
  char identity[320];
  /* A header line with its end, such as Range, or nothing: an answer of status 206 has a body, too. */
  char more[64];
};

/* Reads `http://A.B.C.D:PORT`; 0 when it is that. */
int server_parse(struct server *server, const char *url, const char *mac, const char *boot);

/* Milliseconds of the clock that no one sets. */
long now_ms(void);

/* Takes what has come of the body; anything but 0 ends the request. */
typedef int (*take_body)(void *state, const char *bytes, size_t length);

/*
 * GET of a path, or POST when `body` is given. Returns the HTTP status, or -1 when there was no whole answer until
 * `deadline` (of now_ms): what came is then not to be used. `length` must be what the answer says, unless it is -1.
 */
int server_ask(const struct server *server, const char *path, const char *body, size_t body_length, long length,
               long deadline, take_body take, void *state);
#endif
