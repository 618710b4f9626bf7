#!/usr/bin/env bash
# Replaces the passwords of databases.sql, which are for evaluation, with those of prepare.sh. PostgreSQL's image runs it once, before the server
# listens on the network.
set -euo pipefail
for role in conversation assignment bot_session notification; do
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set role="$role" --set password="$(cat "/run/secrets/database-$role")" <<<'ALTER ROLE :"role" PASSWORD :'"'password'"';'
done
