#include <fcntl.h>
#include <unistd.h>

#include "runtime-agent/dns/server.h"

// Started by the agent through the supervisor, without privileges, in an empty file system: its
// standard input is the socket by which the agent tells what there is (control.h).
int main() {
  slipway::dns::Server server(STDIN_FILENO);
  return server.Run();
}
