package shop;

import frontdesk.conversation.v1.UploadTarget;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** The bytes of attachments, which go beside the calls. */
final class Upload {
    // HTTP/1.1: the listener is not encrypted here.
    private static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    /** Sends the bytes of an announced attachment. The address is the permission, so there is no token. */
    static void put(UploadTarget target, String content) throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(target.getUrl())).PUT(HttpRequest.BodyPublishers.ofString(content));
        target.getHeadersMap().forEach(request::setHeader);
        HttpResponse<String> answer = HTTP.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) throw new IllegalStateException(answer.body()); // A sentence that says what is wrong.
    }

    static String get(String url) throws IOException, InterruptedException {
        return HTTP.send(HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString()).body();
    }
}
