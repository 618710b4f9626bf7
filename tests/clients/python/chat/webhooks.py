"""Webhooks of the account."""

import time
import urllib.error
import urllib.request

from frontdesk.notification.v1beta1 import webhook_service_pb2 as api
from frontdesk.notification.v1beta1.webhook_service_pb2_grpc import WebhookServiceStub

from .connect import calling, new_id
from .expect import expect


def post_to(receiver, connection, token):
    """Has the events of the account posted to the receiver from now on, those of each aggregate in order."""
    create = api.CreateWebhookEndpointRequest(url=receiver.url, ordered=True, request_id=new_id())
    created = WebhookServiceStub(connection).CreateWebhookEndpoint(create, metadata=calling(token), timeout=30)
    receiver.secret = created.secret
    return created.webhook_endpoint.id


def stop_posting(endpoint_id, connection, token):
    delete = api.DeleteWebhookEndpointRequest(webhook_endpoint_id=endpoint_id)
    WebhookServiceStub(connection).DeleteWebhookEndpoint(delete, metadata=calling(token), timeout=30)


def play_forged(receiver):
    """Sends the receiver a request with a signature of somebody else, which it refuses."""
    headers = {"webhook-id": new_id(), "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1," + 43 * "A" + "="}
    try:
        urllib.request.urlopen(urllib.request.Request(receiver.url, data=b"{}", method="POST", headers=headers)).close()
    except urllib.error.HTTPError as refusal:
        expect(refusal.status, 401)
    else:
        raise SystemExit("a forged request was received")
