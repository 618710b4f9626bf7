package main

import (
	"context"
	"crypto/rand"
	"time"

	"google.golang.org/grpc"

	assignments "example.com/shop/gen/frontdesk/assignment/v1"
	api "example.com/shop/gen/frontdesk/conversation/v1"
	transcripts "example.com/shop/gen/frontdesk/notification/v1"
)

// agent is what an agent's program does in one conversation.
type agent struct {
	connection                *grpc.ClientConn
	token, id, conversationID string
}

func (a *agent) conversation(ctx context.Context) *api.Conversation {
	get := &api.GetConversationRequest{ConversationId: a.conversationID}
	return must(api.NewConversationServiceClient(a.connection).GetConversation(calling(ctx, a.token), get)).Conversation
}

// takeOver takes the conversation from its owner, as the agent saw them: if they changed meanwhile, it is refused.
func (a *agent) takeOver(ctx context.Context) {
	must(assignments.NewAssignmentServiceClient(a.connection).TakeOverConversation(calling(ctx, a.token), &assignments.TakeOverConversationRequest{
		ConversationId: a.conversationID, ExpectedEpoch: a.conversation(ctx).Epoch, RequestId: rand.Text(),
	}))
}

// post posts a message. The conversation and the request id are added.
func (a *agent) post(ctx context.Context, message *api.PostMessageRequest) (*api.Entry, error) {
	message.ConversationId = a.conversationID
	if message.RequestId == "" {
		message.RequestId = rand.Text()
	}
	response, err := api.NewThreadServiceClient(a.connection).PostMessage(calling(ctx, a.token), message)
	return response.GetEntry(), err
}

// attach uploads a file as a back end does; it returns the attachment's id.
func (a *agent) attach(ctx context.Context, name, content string) string {
	files := api.NewAttachmentServiceClient(a.connection)
	created := must(files.CreateAttachment(calling(ctx, a.token), &api.CreateAttachmentRequest{
		ConversationId: a.conversationID, FileName: name, SizeBytes: int32(len(content)), RequestId: rand.Text(),
	}))
	upload(created.Upload, []byte(content))
	get := &api.GetAttachmentRequest{AttachmentId: created.Attachment.Id}
	stored := must(files.GetAttachment(calling(ctx, a.token), get)).Attachment
	expect(stored.Status, api.AttachmentStatus_ATTACHMENT_STATUS_READY)
	return stored.Id
}

// insert adds a snippet to the library; it returns its id. Sending fills the placeholder.
func (a *agent) insert(ctx context.Context) string {
	created := must(api.NewInsertServiceClient(a.connection).CreateInsert(calling(ctx, a.token), &api.CreateInsertRequest{
		Title:     "Opening hours",
		Content:   &api.CreateInsertRequest_Snippet{Snippet: &api.Snippet{Text: "{{agent.name}} is here until six."}},
		RequestId: rand.Text(),
	}))
	return created.Insert.Id
}

// mention writes a comment, which only the team sees, with a mention of a colleague at its beginning.
func (a *agent) mention(ctx context.Context, colleagueID string) {
	must(api.NewThreadServiceClient(a.connection).PostComment(calling(ctx, a.token), &api.PostCommentRequest{
		ConversationId: a.conversationID, Text: "@Grace: a squeaking saddle, too", RequestId: rand.Text(),
		Mentions: []*api.Mention{{Start: 0, Length: int32(len("@Grace")), AgentId: colleagueID}},
	}))
}

// search waits until the conversation is found by the words, about a second after they were written.
func (a *agent) search(ctx context.Context, query string) {
	client := api.NewConversationServiceClient(a.connection)
	for ctx.Err() == nil {
		for _, match := range must(client.SearchConversations(calling(ctx, a.token), &api.SearchConversationsRequest{Query: query})).Matches {
			if match.Row.Conversation.Id == a.conversationID {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	fail("not found: " + query)
}

func (a *agent) close(ctx context.Context) {
	request := &api.CloseConversationRequest{ConversationId: a.conversationID, RequestId: rand.Text()}
	must(api.NewConversationServiceClient(a.connection).CloseConversation(calling(ctx, a.token), request))
}

// preview returns the text of the transcript, which is read in parts of at most 1 MiB.
func (a *agent) preview(ctx context.Context) string {
	client := transcripts.NewTranscriptServiceClient(a.connection)
	request := &transcripts.PreviewTranscriptRequest{
		ConversationId: a.conversationID, Part: transcripts.TranscriptPart_TRANSCRIPT_PART_TEXT,
	}
	var text []byte
	for {
		part := must(client.PreviewTranscript(calling(ctx, a.token), request))
		text = append(text, part.Content...)
		if len(part.Content) == 0 || int32(len(text)) >= part.TotalSize {
			return string(text)
		}
		request.Offset = int32(len(text))
	}
}
