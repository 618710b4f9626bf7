#!/usr/bin/env bash
# Creates what compose.yaml mounts, in state/: passwords, the installation secret, certificates of the services, and the key of an issuer.
# What exists already stays, so that it can be run again. Needs openssl 3.
set -euo pipefail
umask 077
# state/ itself is closed to other users of the machine. The files in it can be read by the users of the containers that they are mounted in.
mkdir -p "${STATE:=$(dirname "$0")/state}"
cd "$STATE"
mkdir -p secrets certificates issuer authority
chmod 0755 secrets certificates issuer

create() { # path, command that prints the content
  local path=$1
  shift
  [ -e "$path" ] || "$@" >"$path"
  chmod 0444 "$path"
}
# Begins with a letter: nats-server reads digits alone as a number.
password() { printf 'p%s' "$(openssl rand -hex 24)"; }

create secrets/installation openssl rand -base64 48
# Put the password of your mail server here.
create secrets/smtp true
create secrets/postgres password
for database in conversation assignment bot_session notification; do
  create "secrets/database-$database" password
  create "secrets/url-$database" printf 'postgres://%s:%s@postgres/%s' "$database" "$(cat "secrets/database-$database")" "$database"
done
nats_env() {
  for user in conversation assignment bot-session notification operator reader; do
    echo "FRONTDESK_NATS_$(tr a-z- A-Z_ <<<"$user")=$(cat "secrets/nats-$user")"
  done
}
for user in conversation assignment bot-session notification operator reader; do
  create "secrets/nats-$user" password
done
create nats.env nats_env

# The authority signs for Frontdesk's services only: who holds such a certificate can act for any account.
if [ ! -e authority/ca.crt ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Frontdesk services" \
    -addext keyUsage=critical,keyCertSign -keyout authority/ca.key -out authority/ca.crt 2>/dev/null
fi
# `operator` is for `frontdesk migrate`, which serves and calls nothing and needs a certificate to begin.
for service in conversation assignment bot-session notification operator; do
  folder=certificates/$service
  [ -e "$folder/tls.crt" ] && continue
  mkdir -p "$folder"
  rm -f "$folder"/*
  chmod 0755 "$folder"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$service" -keyout "$folder/tls.key" -out authority/request.csr 2>/dev/null
  printf 'subjectAltName=DNS:%s,URI:spiffe://frontdesk/%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$service" "$service" >authority/extensions
  openssl x509 -req -in authority/request.csr -CA authority/ca.crt -CAkey authority/ca.key -CAcreateserial -days 90 \
    -extfile authority/extensions -out "$folder/tls.crt" 2>/dev/null
  cp authority/ca.crt "$folder/ca.crt"
  chmod 0444 "$folder"/*
done

# An issuer of your own, to try it. Its private key is in no container.
if [ ! -e authority/issuer.pem ]; then
  openssl genpkey -algorithm ed25519 -out authority/issuer.pem
fi
jwks() {
  local x
  x=$(openssl pkey -in authority/issuer.pem -pubout -outform DER | tail -c 32 | openssl base64 -A | tr '+/' '-_' | tr -d '=')
  printf '{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"1","x":"%s"}]}\n' "$x"
}
create issuer/jwks.json jwks
