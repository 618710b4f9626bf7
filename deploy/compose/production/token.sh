#!/usr/bin/env bash
# Prints a token of the issuer that prepare.sh created, valid for ten minutes: token.sh <kind> <account> <subject> [<role>…]
# For example: ./token.sh admin 0192f3a4-5b6c-7d8e-9f01-23456789abcd ada administrator
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 64; }
kind=$1 account=$2 subject=$3
shift 3
key=${STATE:-$(dirname "$0")/state}/authority/issuer.pem
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

now=$(date +%s)
header='{"alg":"EdDSA","typ":"JWT","kid":"1"}'
claims=$(printf '{"iss":"https://id.frontdesk.example","aud":"frontdesk","sub":"%s","account":"%s","kind":"%s","roles":"%s","nbf":%d,"exp":%d}' \
  "$subject" "$account" "$kind" "$*" "$((now - 5))" "$((now + 600))")
signed=$(mktemp)
trap 'rm -f "$signed"' EXIT
printf '%s.%s' "$(printf %s "$header" | base64url)" "$(printf %s "$claims" | base64url)" >"$signed"
printf '%s.%s\n' "$(cat "$signed")" "$(openssl pkeyutl -sign -rawin -inkey "$key" -in "$signed" | base64url)"
