"""The bytes of attachments, which go beside the calls."""

import urllib.error
import urllib.request


def upload(target, content):
    """Sends the bytes of an announced attachment. The address is the permission, so there is no token."""
    put = urllib.request.Request(target.url, data=content, method="PUT", headers=dict(target.headers))
    try:
        urllib.request.urlopen(put).close()
    except urllib.error.HTTPError as refusal:
        raise SystemExit(refusal.read().decode())  # A sentence that says what is wrong.


def download(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read()
