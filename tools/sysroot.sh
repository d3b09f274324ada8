#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sysroot.sh ARCH DIR: the libraries of another architecture, unpacked below DIR, for cross-building and qemu. Uses this
# system's own package sources with package lists kept below DIR; installs nothing and needs no root.
set -eu
arch=$1 dir=$2
[ -e "$dir/.complete" ] && exit 0
mkdir -p "$dir" && cd "$dir"
mkdir -p .apt/lists/partial .apt/cache/archives/partial .apt/debs
: >.apt/status
apt() {
  apt-get -qq -o "APT::Architecture=$arch" -o "APT::Architectures::=$arch" -o "Dir::State=$PWD/.apt" \
    -o "Dir::State::lists=$PWD/.apt/lists" -o "Dir::State::status=$PWD/.apt/status" -o "Dir::Cache=$PWD/.apt/cache" \
    -o APT::Sandbox::User= "$@"
}
apt update
wanted='libdnnl-dev libpng-dev libjpeg-dev zlib1g-dev libjansson-dev libutf8proc-dev libcmocka-dev libcurl4-openssl-dev libarchive-dev libcairo2'
# What an installation would fetch, without installing.
# shellcheck disable=SC2086
apt install --download-only --no-install-recommends -y $wanted >/dev/null
for deb in .apt/cache/archives/*.deb; do dpkg-deb -x "$deb" .; done
rm -rf .apt/cache .apt/lists
: >.complete
