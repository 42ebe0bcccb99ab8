# What deploy/up and deploy/down share: options, paths, and how a service starts and stops. Sourced by bash.

set -euo pipefail

readonly here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly source_root=$(dirname "$here")

# An instance is the default one unless told otherwise; several run side by side with options of their own.
root=/var/lib/slipway
run_dir=/run/slipway
log_dir=/var/log/slipway
bin_dir=/usr/local/lib/slipway
prefix=slipway
subnet=172.29.0.0/16
network_pool=172.30.0.0/15
port_base=9480
ready_sandboxes=4
user=slipway
build=yes
demo=yes
all=no

# In the order they start.
readonly services=(log image agent container build gateway)

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

usage() {
  cat <<END
usage: deploy/${0##*/} [options]
  --root DIR       state (default $root)
  --run-dir DIR    sockets (default $run_dir)
  --log-dir DIR    logs of the services (default $log_dir)
  --bin-dir DIR    where the binaries are installed (default $bin_dir)
  --prefix NAME    of the bridge, firewall table and cgroups (default $prefix)
  --subnet CIDR    of the default bridge (default $subnet)
  --network-pool CIDR  where other networks get their subnets (default $network_pool)
  --ready-sandboxes N  network namespaces made before they are needed, of each kind; 0: none (default $ready_sandboxes)
  --port-base N    web page; metrics are on the ports after it (default $port_base)
  --user NAME      that the unprivileged services run as (default $user)
  --no-build       use the binaries in --bin-dir as they are
  --no-demo        start no first container
  --all            (down) stop the containers too

More flags of a service (slipway-NAME --help tells them) are in <root>/NAME.flags, one a line.
END
}

parse_options() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --root | --run-dir | --log-dir | --bin-dir | --prefix | --subnet | --network-pool | --ready-sandboxes | \
        --port-base | --user)
        [ $# -ge 2 ] || die "$1 needs a value"
        local name=${1#--}
        printf -v "${name//-/_}" '%s' "$2"
        shift
        ;;
      --no-build) build=no ;;
      --no-demo) demo=no ;;
      --all) all=yes ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) die "unknown option $1 (see --help)" ;;
    esac
    shift
  done
  [ "$(id -u)" = 0 ] || die "must be root: the runtime agent makes namespaces, mounts and cgroups"
}

# Prints the service's pid when it runs from our pid file.
running_pid() {
  local pid_file=$run_dir/$1.pid pid
  [ -f "$pid_file" ] || return 1
  pid=$(cat "$pid_file")
  # A pid that was given to somebody else since is not ours: the executable tells.
  case "$(readlink "/proc/$pid/exe" 2>/dev/null)" in
    "$bin_dir/slipway-$1" | "$bin_dir/slipway-$1 (deleted)") echo "$pid" ;;
    *) return 1 ;;
  esac
}

arguments_of() {
  local common=(--root="$root/$1" --run_dir="$run_dir" --prefix="$prefix")
  case "$1" in
    image) common+=(--metrics_address="127.0.0.1:$((port_base + 1))") ;;
    container)
      common+=(--metrics_address="127.0.0.1:$((port_base + 2))" --network_pool="$network_pool")
      ;;
    log) common+=(--metrics_address="127.0.0.1:$((port_base + 3))") ;;
    build) common+=(--metrics_address="127.0.0.1:$((port_base + 4))") ;;
    agent)
      common+=(--metrics_address="127.0.0.1:$((port_base + 5))" --socket_owner="$user"
        --bridge_subnet="$subnet" --ready_sandboxes="$ready_sandboxes" --supervisor="$bin_dir/slipway-supervisor")
      ;;
    gateway) common+=(--http_address="127.0.0.1:$port_base") ;;
  esac
  [ ! -f "$root/$1.flags" ] || common+=(--flagfile="$root/$1.flags")
  printf '%s\n' "${common[@]}"
}

start_service() {
  local name=$1 pid arguments
  mapfile -t arguments < <(arguments_of "$name")
  local as=(setpriv "--reuid=$user" "--regid=$user" --clear-groups --no-new-privs)
  [ "$name" != agent ] || as=()
  # In a session of its own, so that a hang-up of this terminal does not reach it.
  setsid "${as[@]}" "$bin_dir/slipway-$name" "${arguments[@]}" \
    </dev/null >>"$log_dir/$name.log" 2>&1 &
  pid=$!
  disown
  echo "$pid" >"$run_dir/$name.pid"
}

# Asks processes to end, all at once, and makes those end that still run after 10 s.
stop_pids() {
  local pid
  kill -TERM "$@" 2>/dev/null || true
  for pid in "$@"; do
    timeout 10 tail -s 0.02 --pid="$pid" -f /dev/null || kill -KILL "$pid" 2>/dev/null || true
  done
}

stop_services() {
  local name pids=()
  for name in "$@"; do
    pids+=($(running_pid "$name" || true))
  done
  [ ${#pids[@]} -eq 0 ] || stop_pids "${pids[@]}"
  for name in "$@"; do rm -f "$run_dir/$name.pid"; done
}

cli() {
  "$bin_dir/slipway" --host "unix://$run_dir/slipway.sock" "$@"
}
