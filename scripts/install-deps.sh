#!/bin/sh
# Installs the Debian packages named in the given lists that are not there yet. Idempotent; asks apt only if something is missing.
set -eu
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' 2>/dev/null | sed -n 's/ installed$//p')
missing=$(sed 's/#.*//' "$@" | tr -s ' \n' '\n\n' | grep . | sort -u | while read -r package; do
  echo "$installed" | grep -qxF "$package" || printf ' %s' "$package"
done)
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "these packages are needed and this is no Debian, install their like by hand:$missing" >&2
  exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
  as_root=sudo
  command -v sudo >/dev/null || { echo "not root and no sudo; as root: apt-get install$missing" >&2; exit 1; }
fi
echo "installing:$missing"
$as_root apt-get -o DPkg::Lock::Timeout=600 update -qq
# No service that a package brings may start: the rig starts what it needs itself.
$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends $missing >/dev/null
