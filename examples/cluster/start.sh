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

need() {
  command -v "$1" >/dev/null && return
  echo "$1 is missing; on Debian: sudo apt-get install --no-install-recommends $2" >&2
  exit 1
}

need haproxy haproxy
[ -n "${PRESENCE_REDIS_URL:-}" ] || need redis-server redis-server

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

listens() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Waits until a program listens, as long as it lives.
await() { # name, pid, port
  local tries
  for ((tries = 0; tries < 150; tries++)); do
    kill -0 "$2" 2>/dev/null || break
    listens "$3" && return
    sleep 0.1
  done
  echo "$1 did not start" >&2
  exit 1
}

[ -e dist/server/cli.js ] || npm run build

if [ -z "${PRESENCE_REDIS_URL:-}" ]; then
  port=$((first + 6))
  redis-server --port "$port" --bind 127.0.0.1 --dir "$directory" --save '' --appendonly yes \
    --loglevel warning &
  redis=$!
  await Redis "$redis" "$port"
  export PRESENCE_REDIS_URL=redis://127.0.0.1:$port
fi

for number in 1 2 3; do
  mqtt=$((first + 2 * number - 2))
  http=$((first + 2 * number - 1))
  export "CLUSTER_MQTT_$number=$mqtt" "CLUSTER_HTTP_$number=$http"
  node dist/server/cli.js --cluster --broker-id "server-$number" --trusted-proxy 127.0.0.1 \
    --mqtt-port "$mqtt" --http-port "$http" --log-level warn "$@" >/dev/null &
  servers+=($!)
done
for number in 1 2 3; do
  await "server $number" "${servers[number - 1]}" "$((first + 2 * number - 1))"
done

haproxy -f "$here/haproxy.cfg" &
haproxy=$!
await HAProxy "$haproxy" "$CLUSTER_MQTT_PORT"

cat <<END

  MQTT              mqtt://127.0.0.1:$CLUSTER_MQTT_PORT
  MQTT/WebSocket    ws://127.0.0.1:$CLUSTER_HTTP_PORT/mqtt
  HTTP              http://127.0.0.1:$CLUSTER_HTTP_PORT/
  servers           ${servers[*]} (kill one of them: nobody goes)

END
wait "$haproxy"
