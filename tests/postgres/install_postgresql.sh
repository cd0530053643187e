#!/usr/bin/env bash
# Makes sure that there is a PostgreSQL server for the tests: on Debian and its kin it is installed when it is missing.
set -euo pipefail

if [ -n "${CLIPSEARCH_POSTGRESQL:-}" ] || command -v initdb > /dev/null; then
    exit 0
fi
if compgen -G "/usr/lib/postgresql/*/bin/initdb" > /dev/null; then
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
fi
if ! command -v apt-get > /dev/null; then
    echo "install PostgreSQL with this system's package manager, or name its bin folder in CLIPSEARCH_POSTGRESQL" >&2
    exit 1
fi
# the package would make a server of its own and leave it running
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    "${as_root[@]}" mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf > /dev/null
fi
"${as_root[@]}" apt-get update --quiet
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends postgresql
