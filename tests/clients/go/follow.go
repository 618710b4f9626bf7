package main

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	api "example.com/shop/gen/frontdesk/event/v1"
)

// followEvents yields the updates of an account's events, across lost connections, until a final error or the end of ctx: those after
// request.Cursor, or from request.Start on. token returns a token.
func followEvents(ctx context.Context, events api.ConversationEventServiceClient, request *api.SubscribeConversationEventsRequest, token func() string) iter.Seq2[*api.SubscribeConversationEventsResponse, error] {
	return func(yield func(*api.SubscribeConversationEventsResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for pause := time.Second; ; pause = min(2*pause, 30*time.Second) {
			stream, err := events.SubscribeConversationEvents(calling(ctx, token()), request)
			for err == nil {
				var update *api.SubscribeConversationEventsResponse
				if update, err = stream.Recv(); err != nil {
					break
				}
				pause = time.Second
				if !yield(update, nil) { // The program that handles it stores its cursor, in the same transaction.
					return
				}
				request.Cursor = update.Cursor
			}
			refusal := readRefusal(err)
			if final[refusal.Code] || ctx.Err() != nil { // For example CURSOR_TOO_OLD.
				yield(nil, err)
				return
			}
			time.Sleep(refusal.RetryDelay + pause/2 + rand.N(pause/2))
		}
	}
}
