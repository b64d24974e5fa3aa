#!/usr/bin/env bash
# setup.sh server | bench | all: installs from Debian's (or Ubuntu's) archive what this machine lacks, and nothing else.
#   server  a database server, if there is none: enough for `pelorus up` and `make demo`
#   bench   server, and what `make bench` drives
#   all     both server families and the foreign clients, drivers and ORMs that the tests run
# Go itself is expected to be there. Pelorus starts its own servers: the package's own service is not started.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}

# Perl, PHP and Python of the distribution: a version manager's shim in PATH has not the distribution's modules.
has() { PATH=/usr/local/sbin:/usr/sbin:/sbin:$PATH command -v "$1" >/dev/null 2>&1; }
python_has() { [ -x /usr/bin/python3 ] && /usr/bin/python3 -c "import $1" >/dev/null 2>&1; }
perl_has() { [ -x /usr/bin/perl ] && /usr/bin/perl -M"$1" -e 1 >/dev/null 2>&1; }
php_has() { has php && php -m 2>/dev/null | grep -qix "$1"; }

missing=()
need() { # need PACKAGE CHECK...: notes the package when the check fails
  local package=$1
  shift
  "$@" || missing+=("$package")
}

need_server() { need mariadb-server has mariadbd; }
need_all() {
  need_server
  need mariadb-client has mariadb
  need mariadb-backup has mariadb-backup
  need sysbench has sysbench
  need php-cli has php
  need php-mysql php_has pdo_mysql
  need python3 test -x /usr/bin/python3
  need python3-pymysql python_has pymysql
  need python3-mysqldb python_has MySQLdb
  need python3-sqlalchemy python_has sqlalchemy
  need python3-django python_has django
  need libdbd-mysql-perl perl_has DBD::mysql
  need nodejs has node
  need npm has npm
}

case $what in
server) has mariadbd || [ -x "${PELORUS_MYSQLD:-/nonexistent}" ] || need_server ;;
bench) need_server; need sysbench has sysbench ;;
all) need_all ;;
*) echo "usage: setup.sh server|bench|all" >&2; exit 2 ;;
esac

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif has sudo; then sudo "$@"; else
    echo "setup: not root and no sudo here; as root: $*" >&2
    exit 1
  fi
}

# policy-rc.d is Debian's own way to say that a package must not start its service when it is installed.
policy=/usr/sbin/policy-rc.d
install_missing() {
  if ! has apt-get; then
    echo "setup: missing: ${missing[*]}; this script installs with apt only, so please install them yourself" >&2
    exit 1
  fi
  echo "setup: installing ${missing[*]}"
  if [ ! -e $policy ]; then
    trap 'as_root rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
  fi
  local install=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}")
  # The lists that are there usually do; fetching them again costs half a minute.
  if ! as_root "${install[@]}" >/dev/null 2>&1; then
    as_root apt-get -qq update
    as_root "${install[@]}" >/dev/null
  fi
}

[ ${#missing[@]} = 0 ] || install_missing
if [ "$what" = all ] || [ "$what" = bench ]; then
  scripts/fetch-mysql.sh >/dev/null
fi
if [ "$what" = all ] && ! cmp -s test/drivers/node/package-lock.json test/drivers/node/node_modules/.pelorus-lock; then
  echo "setup: installing the node driver that the tests run"
  (cd test/drivers/node && npm ci --silent --no-audit --no-fund --ignore-scripts && cp package-lock.json node_modules/.pelorus-lock)
fi
