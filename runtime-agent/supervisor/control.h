#ifndef RUNTIME_AGENT_SUPERVISOR_CONTROL_H_
#define RUNTIME_AGENT_SUPERVISOR_CONTROL_H_

namespace slipway::agent {

// Commands of the binary to a supervisor that runs in `run_dir`; the exit code for main. What goes
// wrong is said on stderr.

// Ends supervisor and keeper. 0 also when none runs, 1 while an entry has not exited.
int ShutdownCommand(const char* run_dir);

// Replaces a running supervisor and keeper by this executable, containers untouched.
int UpgradeCommand(const char* run_dir);

}  // namespace slipway::agent

#endif  // RUNTIME_AGENT_SUPERVISOR_CONTROL_H_
