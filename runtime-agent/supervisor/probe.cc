#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <initializer_list>

// Runs inside a container under test and prints what it sees. Arguments are verbs, run in order.
namespace {

void PrintStatusLines() {
  FILE* file = fopen("/proc/self/status", "r");
  char line[256];
  while (file != nullptr && fgets(line, sizeof(line), file) != nullptr) {
    for (const char* name :
         {"Cap", "NoNewPrivs", "Seccomp:", "Uid", "Gid", "Groups", "SigBlk", "SigIgn"}) {
      if (strncmp(line, name, strlen(name)) == 0) fputs(line, stdout);
    }
  }
  if (file != nullptr) fclose(file);
}

void PrintFds() {
  for (int fd = 0; fd < 1024; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) printf("fd %d\n", fd);
  }
}

// The classic way out of a chroot: a root below the working directory does not hold "..". Prints
// what there is to see outside.
void Escape() {
  const int outside = open("/", O_RDONLY | O_DIRECTORY);
  mkdir("/tmp/jail", 0755);
  bool out = outside >= 0 && chroot("/tmp/jail") == 0 && fchdir(outside) == 0;
  for (int i = 0; out && i < 64; ++i) out = chdir("..") == 0;
  if (!out || chroot(".") != 0) {
    printf("escape: %s\n", strerror(errno));
    return;
  }
  DIR* root = opendir("/");
  while (const dirent* entry = root == nullptr ? nullptr : readdir(root)) {
    if (entry->d_name[0] != '.') printf("outside: %s\n", entry->d_name);
  }
  printf("escape: tried\n");
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    char* verb = argv[i];
    if (strcmp(verb, "status") == 0) PrintStatusLines();
    if (strcmp(verb, "fds") == 0) PrintFds();
    if (strcmp(verb, "escape") == 0) Escape();
    if (strcmp(verb, "pid") == 0) printf("pid %d\n", getpid());
    if (strcmp(verb, "cwd") == 0) {
      char path[4096];
      printf("cwd %s\n", getcwd(path, sizeof(path)) != nullptr ? path : strerror(errno));
    }
    if (strncmp(verb, "write=", 6) == 0) {
      int fd = open(verb + 6, O_WRONLY | O_CREAT, 0644);
      printf("write %s: %s\n", verb + 6, fd < 0 ? strerror(errno) : "ok");
      if (fd >= 0) close(fd);
    }
    if (strncmp(verb, "chmod=", 6) == 0) {
      printf("chmod: %s\n", chmod(verb + 6, 0755) != 0 ? strerror(errno) : "ok");
    }
  }
  fflush(stdout);
  return 0;
}
