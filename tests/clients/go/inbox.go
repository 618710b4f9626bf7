package main

import (
	"context"
	"math/rand/v2"
	"time"

	api "example.com/shop/gen/frontdesk/conversation/v1"
)

// inbox is a channel's open conversations, as an agent's program shows them: a list, and watches that go on from where it was read.
type inbox struct {
	watched api.ConversationServiceClient // over the connection for streams
	token   string
	request *api.ListConversationsRequest
	rows    map[string]*api.InboxRow
	cursor  string
	// lost is called when a stream has ended.
	lost func()
}

func listInbox(ctx context.Context, client, watched api.ConversationServiceClient, token, channelID string) *inbox {
	request := &api.ListConversationsRequest{
		ChannelIds: []string{channelID}, Statuses: []api.ConversationStatus{api.ConversationStatus_CONVERSATION_STATUS_OPEN},
	}
	page := must(client.ListConversations(calling(ctx, token), request))
	rows := map[string]*api.InboxRow{}
	for _, row := range page.Rows {
		rows[row.Conversation.Id] = row
	}
	return &inbox{watched: watched, token: token, request: request, rows: rows, cursor: page.WatchCursor, lost: func() {}}
}

// watchUntil keeps the rows up to date, across lost connections, until they are as wanted.
func (i *inbox) watchUntil(ctx context.Context, wanted func(rows map[string]*api.InboxRow) bool) {
	ctx, cancel := context.WithCancel(calling(ctx, i.token))
	defer cancel()
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 30*time.Second) {
		stream, err := i.watched.WatchInbox(ctx, &api.WatchInboxRequest{Inbox: i.request, Cursor: i.cursor})
		for err == nil {
			var response *api.WatchInboxResponse
			if response, err = stream.Recv(); err != nil {
				break
			}
			pause = 250 * time.Millisecond
			i.update(response)
			if wanted(i.rows) {
				return
			}
		}
		refusal := readRefusal(err)
		if final[refusal.Code] || ctx.Err() != nil {
			fail(err)
		}
		i.lost()
		time.Sleep(refusal.RetryDelay + rand.N(pause))
	}
}

func (i *inbox) update(response *api.WatchInboxResponse) {
	if response.Cursor != "" {
		i.cursor = response.Cursor
	}
	switch update := response.Update.(type) { // Others are skipped, also those of later versions.
	case *api.WatchInboxResponse_Row:
		id := update.Row.Conversation.Id
		if shown, known := i.rows[id]; !known || shown.Conversation.Version <= update.Row.Conversation.Version {
			i.rows[id] = update.Row
		}
	case *api.WatchInboxResponse_GoneConversationId:
		delete(i.rows, update.GoneConversationId)
	}
}
