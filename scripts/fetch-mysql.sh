#!/usr/bin/env bash
# fetch-mysql.sh: a current MySQL (server, clients, and MySQL Router to measure against) in a folder of its own, because
# Debian's stable releases carry MariaDB only. The packages of Debian's development release are unpacked, not installed:
# their libraries, the C library included, lie beside the programs and are loaded from there, so nothing of the system changes.
#
#   fetch-mysql.sh                 makes PREFIX/bin/{mysqld,mysql,mysqladmin,mysqldump,mysqlbinlog,mysqlrouter}; does nothing if they work
#   fetch-mysql.sh --print-prefix  says where that is or would be
#
# PREFIX is $PELORUS_MYSQL_PREFIX, or /opt/pelorus-mysql, or ~/.cache/pelorus/mysql when /opt may not be written.
# Downloads about 70 MB, keeps about 370 MB. Needs apt-get and dpkg-deb, and root only where PREFIX needs it.
set -euo pipefail
fail() { echo "fetch-mysql: $*" >&2; exit 1; }

choose_prefix() {
  if [ -n "${PELORUS_MYSQL_PREFIX:-}" ]; then
    echo "$PELORUS_MYSQL_PREFIX"
  elif [ -x /opt/pelorus-mysql/bin/mysqld ] || { mkdir -p /opt/pelorus-mysql && [ -w /opt/pelorus-mysql ]; } 2>/dev/null; then
    echo /opt/pelorus-mysql
  else
    echo "${XDG_CACHE_HOME:-$HOME/.cache}/pelorus/mysql"
  fi
}
prefix=$(choose_prefix)
[ "${1:-}" != --print-prefix ] || { echo "$prefix"; exit 0; }

works() { "$prefix/bin/mysqld" --no-defaults --version 2>/dev/null; }
if works; then exit 0; fi

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
  fail "this needs Debian's or Ubuntu's package tools; elsewhere install MySQL 8.0 or later and set PELORUS_MYSQLD"
architecture=$(dpkg --print-architecture)
triplet=$(case $architecture in amd64) echo x86_64-linux-gnu ;; arm64) echo aarch64-linux-gnu ;; *) fail "no MySQL for $architecture" ;; esac)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r $keyring ] || fail "$keyring is missing: install debian-archive-keyring"

# The mirror that this machine already uses, if it is a Debian one.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -E '/debian/?$' | head -n 1 || true)
mirror=${mirror:-http://deb.debian.org/debian/}

# A private apt: own sources, lists and cache, and an empty status file so that it fetches every library.
mkdir -p "$prefix"
private=$(mktemp -d "$prefix/.fetch.XXXXXX")
trap 'rm -rf "$private"' EXIT
mkdir -p "$private"/{state/lists/partial,cache/archives/partial,root}
: >"$private/status"
echo "deb [signed-by=$keyring] $mirror sid main" >"$private/sources.list"
private_apt() {
  apt-get -qq -y \
    -o APT::Architecture="$architecture" -o APT::Sandbox::User=root -o Debug::NoLocking=1 \
    -o Dir::Etc::SourceList="$private/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State="$private/state" -o Dir::State::Status="$private/status" -o Dir::Cache="$private/cache" "$@"
}
private_apt update >&2
private_apt install --download-only --no-install-recommends libc6 mysql-server-core mysql-client-core mysql-router >&2

for package in "$private"/cache/archives/*.deb; do
  case ${package##*/} in
  perl* | libperl*) ;; # wanted by a few scripts that are not used here
  *) dpkg-deb --extract "$package" "$private/root" ;;
  esac
done
rm -rf "$prefix/root" "$prefix/bin"
mv "$private/root" "$prefix/root"
mkdir "$prefix/bin"

# Each program gets a starter that runs it with the unpacked loader and libraries.
libraries=$prefix/root/usr/lib/$triplet
loader=$(find "$prefix/root/usr/lib" -name 'ld-linux-*.so.*' | head -n 1)
[ -n "$loader" ] || fail "the unpacked C library has no loader"
path=$libraries:$prefix/root/usr/lib/mysql/private:$prefix/root/usr/lib/mysql-router
starter() { # starter NAME OPTIONS: the server's compiled-in paths lead elsewhere, so it is told the right ones
  local program
  program=$(find "$prefix/root/usr/sbin" "$prefix/root/usr/bin" -name "$1" | head -n 1)
  [ -n "$program" ] || fail "the packages have no $1"
  cat >"$prefix/bin/$1" <<STARTER
#!/bin/sh
# Which option file to read is only understood as the first argument, so it stays first.
first=
case "\$1" in --no-defaults | --defaults-file=* | --defaults-extra-file=*) first=\$1; shift ;; esac
exec "$loader" --library-path "$path" "$program" \$first $2 "\$@"
STARTER
  chmod 755 "$prefix/bin/$1"
}
starter mysqld "--basedir=$prefix/root/usr --lc-messages-dir=$prefix/root/usr/share/mysql --secure-file-priv= --mysqlx=OFF"
for name in mysql mysqladmin mysqldump mysqlbinlog mysqlrouter; do starter "$name" ""; done
works || fail "the unpacked server does not start: $("$prefix/bin/mysqld" --no-defaults --version 2>&1 | head -n 3)"
