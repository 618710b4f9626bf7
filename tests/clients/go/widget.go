package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"

	api "example.com/shop/gen/frontdesk/conversation/v1"
)

// widget is what a page does for its visitor.
type widget struct {
	client           api.VisitorServiceClient
	watched          api.VisitorServiceClient // over the connection for streams
	token, channelID string
	chat             *api.Chat
	// next returns the next entry of the chat, and stop ends the watch.
	next func() (*api.ChatEntry, error, bool)
	stop func()
	seen int32
}

// start starts a chat, or goes on with the open one, and watches it.
func (w *widget) start(ctx context.Context) {
	w.chat = must(w.client.StartChat(calling(ctx, w.token), &api.StartChatRequest{
		ChannelId: w.channelID, PageUrl: "https://shop.example/wheels", PageTitle: "Wheels", RequestId: rand.Text(),
	})).Chat
	if w.stop != nil {
		w.stop()
	}
	w.next, w.stop = iter.Pull2(watchChat(ctx, w.watched, w.chat.Id, 0, func(bool) string { return w.token }))
	w.seen = 0
}

// until reads the chat up to the entry that is wanted.
func (w *widget) until(wanted func(entry *api.ChatEntry) bool) *api.ChatEntry {
	for {
		entry, err, _ := w.next()
		must(entry, err)
		w.seen++
		expect(entry.VisitorSequence, w.seen) // No gap, no repeat.
		fmt.Printf("%d. %s: %s\n", entry.VisitorSequence, entry.GetAuthor().GetName(), entry.GetMessage().GetText())
		if wanted(entry) {
			return entry
		}
	}
}

func (w *widget) untilText(text string) *api.ChatEntry {
	return w.until(func(entry *api.ChatEntry) bool { return entry.GetMessage().GetText() == text })
}

func (w *widget) send(ctx context.Context, text string, attachmentIDs ...string) {
	request := &api.SendMessageRequest{ChatId: w.chat.Id, Text: text, AttachmentIds: attachmentIDs, RequestId: rand.Text()}
	must(w.client.SendMessage(calling(ctx, w.token), request))
}

// attach uploads a file of the visitor, which goes with a message; it returns the attachment's id.
func (w *widget) attach(ctx context.Context, name, content string) string {
	created := must(w.client.CreateChatAttachment(calling(ctx, w.token), &api.CreateChatAttachmentRequest{
		ChatId: w.chat.Id, FileName: name, SizeBytes: int32(len(content)), RequestId: rand.Text(),
	}))
	upload(created.Upload, []byte(content))
	return created.Attachment.Id
}

// open downloads the first file of an entry. The link is made when somebody opens the file.
func (w *widget) open(ctx context.Context, entry *api.ChatEntry) string {
	link := must(w.client.CreateChatAttachmentLink(calling(ctx, w.token), &api.CreateChatAttachmentLinkRequest{
		ChatId: w.chat.Id, VisitorSequence: entry.VisitorSequence, AttachmentId: entry.GetMessage().Attachments[0].AttachmentId,
	}))
	return download(link.Url)
}
