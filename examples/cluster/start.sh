#!/usr/bin/env bash
# Three servers behind HAProxy, on one Redis. Ctrl-C ends everything. What is said behind the command goes
# to the servers: bash examples/cluster/start.sh --grace-closed 10s
set -euo pipefail
# A process group for each program: Ctrl-C comes here alone, and they end in order.
set -m

source=${BASH_SOURCE[0]}
[[ $source == */* ]] || source=./$source
here=$(cd "${source%/*}" && pwd)
cd "$here/../.."
PATH="$PATH:/usr/sbin:/sbin"

export CLUSTER_MQTT_PORT=${CLUSTER_MQTT_PORT:-1883} CLUSTER_HTTP_PORT=${CLUSTER_HTTP_PORT:-8080}
# The servers and Redis listen on this port and the ones behind it.
first=${CLUSTER_FIRST_PORT:-18801}

fail() {
  echo "$1" >&2
  exit 1
}

need() {
  command -v "$1" >/dev/null && return
  fail "$1 is missing; on Debian: sudo apt-get install --no-install-recommends $2"
}

listens() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# What is not ours must not be taken for ours.
need_free() { # port, variable
  ! listens "$1" || fail "port $1 is already in use; choose another with $2"
}

need haproxy haproxy
[ -n "${PRESENCE_REDIS_URL:-}" ] || need redis-server redis-server
for ((port = first; port < first + 6; port++)); do
  need_free "$port" CLUSTER_FIRST_PORT
done
[ -n "${PRESENCE_REDIS_URL:-}" ] || need_free "$((first + 6))" CLUSTER_FIRST_PORT
need_free "$CLUSTER_MQTT_PORT" CLUSTER_MQTT_PORT
need_free "$CLUSTER_HTTP_PORT" CLUSTER_HTTP_PORT

directory=$(mktemp -d)
servers=()
haproxy=
redis=

end() {
  kill "$@" 2>/dev/null || true
  wait "$@" 2>/dev/null || true
}

stop() {
  trap - EXIT INT TERM
  # The servers drain, and Redis is the last to go: they say goodbye there.
  [ "${#servers[@]}" = 0 ] || end "${servers[@]}"
  [ -z "$haproxy" ] || end "$haproxy"
  [ -z "$redis" ] || end "$redis"
  rm -rf "$directory"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

names=()
pids=()

started() { # name, pid
  names+=("$1")
  pids+=("$2")
}

# Waits until a command succeeds, as long as everything lives that was started.
await() { # what it says when that takes too long, command
  local missing=$1 deadline=$((SECONDS + 30)) met=no i
  shift
  while [ "$met" = no ]; do
    if "$@"; then met=yes; else sleep 0.1; fi
    for i in "${!pids[@]}"; do
      kill -0 "${pids[i]}" 2>/dev/null || fail "${names[i]} ended while it started"
    done
    [ "$met" = yes ] || ((SECONDS < deadline)) || fail "$missing within 30 s"
  done
}

# Whether /readyz is answered with 200 on each of some ports.
ready() {
  local port
  for port in "$@"; do
    (
      exec 3<>"/dev/tcp/127.0.0.1/$port"
      printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
      read -r -t 2 line <&3
      [[ $line == *' 200 '* ]]
    ) 2>/dev/null || return 1
  done
}

[ -e dist/server/cli.js ] || npm run build

if [ -z "${PRESENCE_REDIS_URL:-}" ]; then
  port=$((first + 6))
  redis-server --port "$port" --bind 127.0.0.1 --dir "$directory" --save '' --appendonly yes \
    --loglevel warning &
  redis=$!
  started Redis "$redis"
  await 'Redis did not listen' listens "$port"
  export PRESENCE_REDIS_URL=redis://127.0.0.1:$port
fi

http_ports=()
for number in 1 2 3; do
  mqtt=$((first + 2 * number - 2))
  http=$((first + 2 * number - 1))
  export "CLUSTER_MQTT_$number=$mqtt" "CLUSTER_HTTP_$number=$http"
  node dist/server/cli.js --cluster --broker-id "server-$number" --trusted-proxy 127.0.0.1 \
    --mqtt-port "$mqtt" --http-port "$http" --log-level warn "$@" >/dev/null &
  servers+=($!)
  started "server $number" $!
  http_ports+=("$http")
done
# Nobody comes in before all of them see him, and HAProxy finds them up.
await 'the servers were not ready' ready "${http_ports[@]}"

# -dR: else another HAProxy on the same ports would share them. With -W the file is written when they are ours.
haproxy -W -dR -p "$directory/haproxy.pid" -f "$here/haproxy.cfg" &
haproxy=$!
started HAProxy "$haproxy"
await 'HAProxy did not listen' test -s "$directory/haproxy.pid"
await 'HAProxy did not find the servers' ready "$CLUSTER_HTTP_PORT"

cat <<END

  MQTT              mqtt://127.0.0.1:$CLUSTER_MQTT_PORT
  MQTT/WebSocket    ws://127.0.0.1:$CLUSTER_HTTP_PORT/mqtt
  HTTP              http://127.0.0.1:$CLUSTER_HTTP_PORT/
  servers           ${servers[*]} (kill one of them: nobody goes)

END
wait "$haproxy"
