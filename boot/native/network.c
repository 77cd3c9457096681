#define _GNU_SOURCE
#include "network.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
  struct nlmsghdr header;
  union {
    struct ifinfomsg link;
    struct ifaddrmsg address;
    struct rtmsg route;
    char room[128];
  };
};

static void put(struct request *request, unsigned short type, const void *value, unsigned short length) {
  struct rtattr *attribute = (void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = (unsigned short)RTA_LENGTH(length);
  memcpy(RTA_DATA(attribute), value, length);
  request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
}

/* Sends it, and takes the kernel's answer. */
static int ask(struct request *request) {
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    char request[sizeof *request];
  } answer;
  int socket_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), why = 0;
  request->header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  if (socket_ < 0) return -1;
  if (send(socket_, request, request->header.nlmsg_len, 0) < 0 || recv(socket_, &answer, sizeof answer, 0) < 0) why = errno;
  else if (answer.header.nlmsg_type == NLMSG_ERROR) why = -answer.error.error;
  close(socket_);
  errno = why;
  return why ? -1 : 0;
}

#define REQUEST(kind, flags, body) {{NLMSG_LENGTH(sizeof(body)), kind, flags, 0, 0}, {.room = {0}}}

int interface_up(int interface) {
  struct request request = REQUEST(RTM_NEWLINK, 0, struct ifinfomsg);
  request.link.ifi_index = interface;
  request.link.ifi_flags = request.link.ifi_change = IFF_UP;
  return ask(&request);
}

int interface_mtu(int interface, int bytes) {
  struct request request = REQUEST(RTM_NEWLINK, 0, struct ifinfomsg);
  request.link.ifi_index = interface;
  put(&request, IFLA_MTU, &bytes, sizeof bytes);
  return ask(&request);
}

static int change_address(struct request request, int interface, struct address address, struct in_addr broadcast) {
  request.address.ifa_family = AF_INET;
  request.address.ifa_prefixlen = (unsigned char)address.prefix;
  request.address.ifa_index = (unsigned)interface;
  put(&request, IFA_LOCAL, &address.ip, sizeof address.ip);
  put(&request, IFA_ADDRESS, &address.ip, sizeof address.ip);
  if (broadcast.s_addr != INADDR_ANY) put(&request, IFA_BROADCAST, &broadcast, sizeof broadcast);
  return ask(&request);
}

int address_add(int interface, struct address address, struct in_addr broadcast) {
  struct request request = REQUEST(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, struct ifaddrmsg);
  int done = change_address(request, interface, address, broadcast);
  return done < 0 && errno == EEXIST ? 0 : done;
}

int address_remove(int interface, struct address address) {
  struct request request = REQUEST(RTM_DELADDR, 0, struct ifaddrmsg);
  return change_address(request, interface, address, (struct in_addr){INADDR_ANY});
}

int default_route(int interface, struct in_addr gateway) {
  struct request request = REQUEST(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, struct rtmsg);
  request.route.rtm_family = AF_INET;
  request.route.rtm_table = RT_TABLE_MAIN;
  request.route.rtm_protocol = RTPROT_BOOT;
  request.route.rtm_scope = RT_SCOPE_UNIVERSE;
  request.route.rtm_type = RTN_UNICAST;
  put(&request, RTA_GATEWAY, &gateway, sizeof gateway);
  put(&request, RTA_OIF, &interface, sizeof interface);
  return ask(&request);
}
