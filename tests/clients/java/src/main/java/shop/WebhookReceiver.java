package shop;

import com.google.gson.Gson;
import com.google.gson.JsonParseException;
import com.standardwebhooks.Webhook;
import com.standardwebhooks.exceptions.WebhookVerificationException;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.function.BiConsumer;

/** A receiver of webhooks: it verifies each request, and hands its event on. It needs no stubs. */
final class WebhookReceiver {
    /** Maximum size of a request that is read, in bytes. Events have no text, and are smaller. */
    private static final int MAX_BYTES = 1 << 20;

    /** The JSON of an event, without its data. */
    record PostedEvent(String id, String type, String aggregateType, String aggregateId, int version) {}

    final String url;
    private final HttpServer server;
    private final BiConsumer<PostedEvent, byte[]> handle;
    /** Has the secret of the endpoint. Without one all requests are refused. */
    private volatile Webhook verifier;

    /** Listens on a free port of this machine. `handle` gets each event, and the bytes that came. */
    WebhookReceiver(BiConsumer<PostedEvent, byte[]> handle) throws IOException {
        this.handle = handle;
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/frontdesk", this::answer);
        server.start();
        url = "http://127.0.0.1:" + server.getAddress().getPort() + "/frontdesk";
    }

    /** Sets the secret of the endpoint, from CreateWebhookEndpoint. */
    void verifyWith(String secret) {
        verifier = new Webhook(secret);
    }

    void stop() {
        server.stop(0);
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            exchange.sendResponseHeaders(receive(exchange), -1);
        }
    }

    /** The status of the answer. */
    private int receive(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readNBytes(MAX_BYTES + 1);
        if (body.length > MAX_BYTES) return 413;
        if (verifier == null) return 401;
        // The signature is of these bytes: verify them before anything reads the JSON.
        String json = new String(body, StandardCharsets.UTF_8);
        try {
            verifier.verify(json, exchange.getRequestHeaders());
            // It has ten seconds. Work that takes longer is stored here, and done afterwards.
            handle.accept(new Gson().fromJson(json, PostedEvent.class), body);
            return 204;
        } catch (WebhookVerificationException forged) {
            return 401;
        } catch (JsonParseException unreadable) {
            return 400;
        }
    }
}
