#!/usr/bin/env bash
# The tests run against real programs. Installs the missing ones where apt-get works without asking,
# and otherwise says what is missing and the command to run. Never fails itself: the tests that need
# a missing program fail and name it, all others still run.
set -uo pipefail

PATH="$PATH:/usr/sbin:/sbin"

# program:package
TOOLS=(
  redis-server:redis-server
  mosquitto:mosquitto
  mosquitto_pub:mosquitto-clients
  mosquitto_sub:mosquitto-clients
  chromium:chromium
  ip:iproute2
  paho_c_sub:paho.mqtt.c-examples
  haproxy:haproxy
)

missing_packages() {
  local tool
  for tool in "${TOOLS[@]}"; do
    command -v "${tool%%:*}" >/dev/null || echo "${tool##*:}"
  done | sort -u
  /usr/bin/python3 -c 'import paho.mqtt.client' 2>/dev/null || echo python3-paho-mqtt
}

# Runs a command as root, without a password prompt.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

# Debian starts a service as soon as it is installed; a mosquitto on 1883 is nobody's wish here.
# https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt: 101 = action forbidden.
POLICY=/usr/sbin/policy-rc.d

install_packages() {
  if [ ! -e "$POLICY" ]; then
    trap 'as_root rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
  fi
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -y --no-install-recommends "$@"
  # Not at the next boot either.
  [ -d /run/systemd/system ] || return 0
  local package
  for package in "$@"; do
    case "$package" in
      mosquitto | redis-server | haproxy) as_root systemctl disable --now "$package" ;;
    esac
  done
}

mapfile -t missing < <(missing_packages)
[ "${#missing[@]}" -gt 0 ] || exit 0

if can_install; then
  echo "installing for the tests: ${missing[*]}"
  install_packages "${missing[@]}" </dev/null 1>&2
  mapfile -t missing < <(missing_packages)
  [ "${#missing[@]}" -gt 0 ] || exit 0
fi

echo "missing for the tests: ${missing[*]}" >&2
echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
