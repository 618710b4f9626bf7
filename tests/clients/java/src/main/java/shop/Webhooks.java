package shop;

import frontdesk.notification.v1beta1.CreateWebhookEndpointRequest;
import frontdesk.notification.v1beta1.CreateWebhookEndpointResponse;
import frontdesk.notification.v1beta1.DeleteWebhookEndpointRequest;
import frontdesk.notification.v1beta1.WebhookServiceGrpc.WebhookServiceBlockingStub;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Instant;

/** Webhooks of the account. */
final class Webhooks {
    /** Has the events of the account posted to the receiver from now on, those of each aggregate in order. Returns the endpoint's id. */
    static String postTo(WebhookReceiver receiver, WebhookServiceBlockingStub webhooks) {
        CreateWebhookEndpointRequest create = CreateWebhookEndpointRequest.newBuilder()
            .setUrl(receiver.url).setOrdered(true).setRequestId(Expect.newId()).build();
        CreateWebhookEndpointResponse created = webhooks.createWebhookEndpoint(create);
        receiver.verifyWith(created.getSecret());
        return created.getWebhookEndpoint().getId();
    }

    static void stopPosting(String endpointId, WebhookServiceBlockingStub webhooks) {
        webhooks.deleteWebhookEndpoint(DeleteWebhookEndpointRequest.newBuilder().setWebhookEndpointId(endpointId).build());
    }

    /** Sends the receiver a request with a signature of somebody else, which it refuses. */
    static void playForged(WebhookReceiver receiver) throws IOException, InterruptedException {
        HttpRequest forged = HttpRequest.newBuilder(URI.create(receiver.url))
            .header("webhook-id", Expect.newId())
            .header("webhook-timestamp", String.valueOf(Instant.now().getEpochSecond()))
            .header("webhook-signature", "v1," + "A".repeat(43) + "=")
            .POST(HttpRequest.BodyPublishers.ofString("{}")).build();
        Expect.equal(HttpClient.newHttpClient().send(forged, BodyHandlers.discarding()).statusCode(), 401);
    }
}
