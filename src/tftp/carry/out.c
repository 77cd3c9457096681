#define _GNU_SOURCE
#include "out.h"
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "told.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* Of one send that the kernel cuts up: UDP_MAX_SEGMENTS; an IPv4 datagram. */
enum { MOST_SEGMENTS = 64, MOST_BYTES = 65000 };
enum { MESSAGES = 64, PIECES = 2048 };

/* As struct mmsghdr, which musl lays out as the kernel does, but never sends with one call. */
static struct mmsghdr messages[MESSAGES];
static struct sockaddr_in peers[MESSAGES];
static struct transfer *owners[MESSAGES];
static union {
  char bytes[CMSG_SPACE(sizeof(uint16_t))];
  struct cmsghdr aligned;
} controls[MESSAGES];
static struct iovec pieces[PIECES];
static unsigned char heads[PIECES / 2][4];
static int count, used, current = -1;

/* Datagrams of so many bytes and more are not cut by the kernel: an interface cannot, or its MTU is smaller. */
static size_t uncut = SIZE_MAX;

/* Room for one more message of so many pieces. */
static struct msghdr *message(int socket, const struct sockaddr_in *peer, struct transfer *owner, int wanted) {
  if (count == MESSAGES || used + wanted > PIECES || socket != current) out_flush();
  current = socket;
  struct msghdr *header = &messages[count].msg_hdr;
  peers[count] = *peer;
  owners[count] = owner;
  memset(header, 0, sizeof *header);
  header->msg_name = &peers[count];
  header->msg_namelen = sizeof *peer;
  header->msg_iov = &pieces[used];
  header->msg_iovlen = wanted;
  used += wanted;
  count++;
  return header;
}

static void cut(struct msghdr *header, uint16_t size) {
  header->msg_control = &controls[count - 1];
  header->msg_controllen = sizeof controls[0].bytes;
  struct cmsghdr *control = CMSG_FIRSTHDR(header);
  control->cmsg_level = SOL_UDP;
  control->cmsg_type = UDP_SEGMENT;
  control->cmsg_len = CMSG_LEN(sizeof size);
  memcpy(CMSG_DATA(control), &size, sizeof size);
}

void out_blocks(struct transfer *transfer, int64_t first, int64_t wanted) {
  const struct content *content = transfer->content;
  const size_t block = transfer->terms.block_size;
  int64_t most = block + 4 < uncut ? MOST_BYTES / (block + 4) : 1;
  if (most > MOST_SEGMENTS) most = MOST_SEGMENTS;
  if (most < 1) most = 1;
  for (int64_t end = first + wanted; first < end;) {
    const int n = end - first < most ? end - first : most;
    struct msghdr *header = message(transfer->socket, &transfer->peer, transfer, 2 * n);
    for (int i = 0; i < n; i++, first++) {
      struct iovec *piece = &header->msg_iov[2 * i];
      unsigned char *head = heads[(piece - pieces) / 2];
      const size_t from = (first - 1) * block, left = content->size - from;
      head[0] = 0;
      head[1] = 3;
      head[2] = first >> 8;
      head[3] = first;
      piece[0] = (struct iovec){head, 4};
      piece[1] = (struct iovec){content->bytes + from, left < block ? left : block};
    }
    if (n > 1) cut(header, block + 4);
  }
}

void out_bytes(int socket, const struct sockaddr_in *peer, struct transfer *transfer, const void *bytes, size_t size) {
  /* Two, so that the heads of what follows stay in step. */
  struct msghdr *header = message(socket, peer, transfer, 2);
  header->msg_iov[0] = (struct iovec){(void *)bytes, size};
  header->msg_iovlen = 1;
}

void out_error(int socket, const struct sockaddr_in *peer, int code, const char *text, size_t size) {
  unsigned char bytes[520] = {0, 5, code >> 8, code};
  if (size > sizeof bytes - 5) size = sizeof bytes - 5;
  memcpy(bytes + 4, text, size);
  /* After what was gathered before it. */
  out_flush();
  sendto(socket, bytes, size + 5, MSG_DONTWAIT, (const struct sockaddr *)peer, sizeof *peer);
}

/* Each block of a message by itself. */
static void send_apart(const struct msghdr *whole, struct transfer *owner) {
  struct msghdr one = *whole;
  one.msg_control = NULL;
  one.msg_controllen = 0;
  one.msg_iovlen = 2;
  for (size_t i = 0; i < (size_t)whole->msg_iovlen; i += 2) {
    one.msg_iov = &whole->msg_iov[i];
    if (sendmsg(current, &one, MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == ENOBUFS)) owner->unsent = true;
  }
}

static void refused(const struct msghdr *header, struct transfer *owner) {
  if (owner == NULL) return;
  if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
    owner->unsent = true;
  } else if (header->msg_control != NULL && (errno == EINVAL || errno == EIO || errno == EMSGSIZE)) {
    const size_t size = owner->terms.block_size + 4;
    if (size < uncut) tell_uncut(uncut = size);
    send_apart(header, owner);
  }
  /* What else is refused is as good as lost on the way. */
}

void out_flush(void) {
  for (int done = 0; done < count;) {
    const int n = syscall(SYS_sendmmsg, current, messages + done, count - done, MSG_DONTWAIT);
    if (n > 0) done += n;
    else if (errno != EINTR) {
      refused(&messages[done].msg_hdr, owners[done]);
      done++;
    }
  }
  count = used = 0;
}
