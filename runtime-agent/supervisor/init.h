#ifndef RUNTIME_AGENT_SUPERVISOR_INIT_H_
#define RUNTIME_AGENT_SUPERVISOR_INIT_H_

// What `docker run --init` asks for: pid 1 of a container that is not the program itself. It passes
// signals on to the program, reaps what is left to it, and ends with the program's exit code
// (128 + n for signal n). It is this binary under another name, run by the container's user from a
// sealed memfd: there is no file of the host to overwrite through /proc/1/exe.
namespace slipway::agent {

inline constexpr char kInitName[] = "slipway-init";

// "slipway-init <pid of the program> -- <program> <arguments>": argv beyond the pid is only shown.
// Signals are blocked since before the program existed, so none is lost.
int RunInit(int argc, char** argv);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_INIT_H_
