package shop;

import frontdesk.conversation.v1.Chat;
import frontdesk.conversation.v1.ChatEntry;
import frontdesk.conversation.v1.CreateChatAttachmentLinkRequest;
import frontdesk.conversation.v1.CreateChatAttachmentRequest;
import frontdesk.conversation.v1.CreateChatAttachmentResponse;
import frontdesk.conversation.v1.SendMessageRequest;
import frontdesk.conversation.v1.StartChatRequest;
import frontdesk.conversation.v1.VisitorServiceGrpc.VisitorServiceBlockingStub;
import io.grpc.Context;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** What a page does for its visitor. */
final class Widget {
    final VisitorServiceBlockingStub visitors;
    final String channelId;
    Chat chat;
    private final VisitorServiceBlockingStub watched;
    private final String token;
    private BlockingQueue<ChatEntry> entries;
    private Context.CancellableContext watch;
    private int seen;

    /** `watched` is the stub over the connection for streams. */
    Widget(VisitorServiceBlockingStub visitors, VisitorServiceBlockingStub watched, String token, String channelId) {
        this.watched = watched;
        this.token = token;
        this.visitors = Connect.calling(visitors, token);
        this.channelId = channelId;
    }

    /** Starts a chat, or goes on with the open one, and watches it in a thread of its own. */
    void start() {
        StartChatRequest start = StartChatRequest.newBuilder()
            .setChannelId(channelId).setPageUrl("https://shop.example/wheels").setPageTitle("Wheels").setRequestId(Expect.newId()).build();
        chat = visitors.startChat(start).getChat();
        stop();
        watch = Context.ROOT.withCancellation();
        Context.CancellableContext own = watch;
        BlockingQueue<ChatEntry> read = new LinkedBlockingQueue<>();
        entries = read;
        seen = 0;
        String chatId = chat.getId();
        Thread thread = new Thread(() -> own.run(() -> {
            try {
                Watch.chat(watched, chatId, 0, renew -> tokenUnless(own), read::add);
            } catch (InterruptedException | RuntimeException ended) {
                if (!own.isCancelled()) ended.printStackTrace();
            }
        }));
        thread.setDaemon(true);
        thread.start();
    }

    private String tokenUnless(Context stopped) {
        if (stopped.isCancelled()) throw new CancellationException();
        return token;
    }

    void stop() {
        if (watch != null) watch.cancel(null);
    }

    /** Reads the chat up to the entry that is wanted. */
    ChatEntry until(Predicate<ChatEntry> wanted) throws InterruptedException {
        for (;;) {
            ChatEntry entry = entries.poll(30, TimeUnit.SECONDS);
            if (entry == null) throw new IllegalStateException("no entry within 30 seconds");
            Expect.equal(entry.getVisitorSequence(), ++seen); // No gap, no repeat.
            System.out.printf("%d. %s: %s%n", entry.getVisitorSequence(), entry.getAuthor().getName(), entry.getMessage().getText());
            if (wanted.test(entry)) return entry;
        }
    }

    ChatEntry untilText(String text) throws InterruptedException {
        return until(entry -> entry.getMessage().getText().equals(text));
    }

    void send(String text, String... attachmentIds) {
        visitors.sendMessage(SendMessageRequest.newBuilder()
            .setChatId(chat.getId()).setText(text).addAllAttachmentIds(List.of(attachmentIds)).setRequestId(Expect.newId()).build());
    }

    /** Uploads a file of the visitor, which goes with a message; returns the attachment's id. */
    String attach(String name, String content) throws IOException, InterruptedException {
        CreateChatAttachmentResponse created = visitors.createChatAttachment(CreateChatAttachmentRequest.newBuilder()
            .setChatId(chat.getId()).setFileName(name).setSizeBytes(content.getBytes(StandardCharsets.UTF_8).length)
            .setRequestId(Expect.newId()).build());
        Upload.put(created.getUpload(), content);
        return created.getAttachment().getId();
    }

    /** Downloads the first file of an entry. The link is made when somebody opens the file. */
    String open(ChatEntry entry) throws IOException, InterruptedException {
        CreateChatAttachmentLinkRequest opened = CreateChatAttachmentLinkRequest.newBuilder()
            .setChatId(chat.getId()).setVisitorSequence(entry.getVisitorSequence())
            .setAttachmentId(entry.getMessage().getAttachments(0).getAttachmentId()).build();
        return Upload.get(visitors.createChatAttachmentLink(opened).getUrl());
    }
}
